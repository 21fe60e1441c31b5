"""`kedro demo`: the page of a model, on this machine."""

import logging
import os
import tempfile
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from clip2latent_kedro.errors import InputError

MISSING = (
    "The demo page needs Gradio, which is not installed. Install it with "
    "`uv sync --extra demo`, or `pip install 'clip2latent-kedro[demo]'`."
)


@click.command("demo")
@click.option("--env", default=None, help="Environment of the configuration.")
@click.option(
    "--prior",
    default=None,
    help="What draws: an entry of the catalog (prior, prior_best, student), a file or "
    "an address, such as that of a published checkpoint.",
)
@click.option(
    "--cfg",
    default=None,
    help="Instead of the project here: the folder of another, or a YAML that names the "
    "models.",
)
@click.option(
    "--model",
    default=None,
    help="Instead of a project: a folder of save_pretrained, or owner/name on the "
    "Hugging Face Hub.",
)
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--host",
    default="127.0.0.1",
    envvar="GRADIO_SERVER_NAME",
    help="0.0.0.0 lets other machines in.",
)
@click.option(
    "--port",
    default=None,
    type=click.IntRange(1, 65535),
    envvar="GRADIO_SERVER_PORT",
    help="By default a free one from 7860.",
)
@click.option("--share", is_flag=True, help="Be reached through Gradio's servers.")
@click.option("--images", default=None, type=int, help="Most pictures of a request.")
@click.option(
    "--examples", default=None, help="A text file with a prompt a line to click on."
)
@click.option(
    "--export-space",
    default=None,
    help="Instead of opening the page, write it to this folder, as a Hugging Face "
    "Space that runs from there alone.",
)
@click.option(
    "--include",
    multiple=True,
    type=click.Choice(["generator", "encoder"]),
    help="Copy this model into the Space although its licence is not known to allow "
    "it; may be given twice.",
)
def demo(**options: Any) -> None:
    """Open the demo page: prompts, edits and inversion in a browser."""
    if not _has_gradio():
        click.echo(MISSING, err=True)
        raise click.exceptions.Exit(2)
    try:
        serve(**options)
    except KeyboardInterrupt:
        click.echo("Closed.", err=True)
    except Exception as error:
        sentence = _explain(error)
        if sentence is None:
            raise
        click.echo(f"Error: {sentence}", err=True)
        raise click.exceptions.Exit(2) from None


def _explain(error: Exception) -> str | None:
    """Return the sentence of what a user can mend; None for anything else."""
    if isinstance(error, InputError):
        return str(error)
    try:
        from clip2latent_kedro.cli.refusals import explain  # imports much
    except ImportError:  # a Space has no Kedro
        return None
    return explain(error)


def _has_gradio() -> bool:
    """Return whether Gradio can be imported, without importing it."""
    try:
        return find_spec("gradio") is not None
    except ValueError:  # something else stands in its place
        return False


def serve(
    *,
    env: str | None,
    prior: str | None,
    cfg: str | None,
    model: str | None,
    device: str,
    host: str,
    port: int | None,
    share: bool,
    images: int | None,
    examples: str | None,
    export_space: str | None = None,
    include: Sequence[str] = (),
) -> None:
    """Open the page, and keep it open until it is interrupted; or write it to a folder.

    Raises:
        InputError: If an option cannot be used, or a model cannot be loaded.
    """
    if include and export_space is None:
        msg = "--include needs --export-space, got none. Leave it out, or add a folder."
        raise InputError(msg)
    with tempfile.TemporaryDirectory(prefix="clip2latent_demo_") as folder:
        keep_to_ourselves(folder)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        click.echo("Loading the models ...", err=True)
        # Not before: these import torch and Gradio.
        from clip2latent_kedro.demo.launching import launch_page
        from clip2latent_kedro.demo.opening import build_page, open_model

        opened = open_model(env=env, prior=prior, cfg=cfg, model=model, device=device)
        if export_space is not None:
            write_space(Path(export_space), opened, examples, include)
            return
        page = build_page(opened, images=images, examples=examples)
        click.echo("Opening the page ...", err=True)
        address = launch_page(page, host=host, port=port, share=share)
        click.echo(f"The demo is at {address} (Ctrl+C closes it).")
        try:
            threading.Event().wait()
        finally:
            page.blocks.close(verbose=False)


def write_space(
    folder: Path, model: Any, examples: str | None, include: Sequence[str]
) -> None:
    """Write the folder of a Space, and say what is to be known of it.

    Raises:
        InputError: If it cannot be written.
    """
    from clip2latent_kedro.demo.opening import find_prompts
    from clip2latent_kedro.demo.space import export_space

    prompts = find_prompts(model, examples)
    for sentence in export_space(folder, model, prompts, include=include):
        click.echo(sentence, err=True)
    click.echo(f"The Space is in {folder}; `python app.py` there opens it.")


def keep_to_ourselves(folder: str | Path) -> None:
    """Have Gradio send nothing elsewhere, and keep what is brought in a folder."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
