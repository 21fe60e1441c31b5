"""From the options of the command to a model, and to its page."""

from pathlib import Path

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.demo import pieces, words
from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.demo.page import Page
from clip2latent_kedro.demo.service import Service
from clip2latent_kedro.errors import InputError

MOST_EXAMPLES = 8


def open_model(
    *,
    env: str | None,
    prior: str | None,
    cfg: str | None,
    model: str | None,
    device: str,
) -> Clip2StyleGAN:
    """Return the model that options name (see `Clip2StyleGAN`).

    Raises:
        InputError: If they contradict each other, or it cannot be loaded.
    """
    given = {"env": env, "prior": prior, "cfg": cfg}
    named = [f"--{name}" for name, value in given.items() if value is not None]
    if model is not None and named:
        msg = (
            f"--model must stand alone, since it is a whole model, got "
            f"{', '.join(named)} beside it. Leave one out."
        )
        raise InputError(msg)
    if model is not None:
        return Clip2StyleGAN.from_pretrained(model, device)
    return Clip2StyleGAN(cfg, device, prior, env=env)


def build_page(
    model: Clip2StyleGAN, *, images: int | None = None, examples: str | None = None
) -> Page:
    """Return the page of a model, warm.

    Args:
        model: Loaded.
        images: Most pictures of a request; None for the default.
        examples: Text file with a prompt a line; None for those of the world.

    Raises:
        InputError: If the file cannot be read, or the bound is out of range.
    """
    changes = {} if images is None else {"images": images}
    service = Service(model, read_settings(Limits, changes, "limits"))
    loaded = model.editor.loaded
    prompts = find_prompts(model, examples)
    service.warm_up(prompts[0])
    facts = words.list_facts(loaded, service)
    about = pieces.about(words.describe_model(loaded), facts)
    return Page(service, prompts, about, words.TITLE)


def find_prompts(model: Clip2StyleGAN, examples: str | None) -> tuple[str, ...]:
    """Return prompts to click on: of a text file, or those of the model's world.

    Raises:
        InputError: If the file cannot be read.
    """
    if examples is None:
        return words.find_examples(model.editor.loaded)
    return _read_examples(Path(examples))


def _read_examples(path: Path) -> tuple[str, ...]:
    """Return the prompts of a file, the first ones."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--examples must be a text file, got {str(path)!r} ({error})."
        raise InputError(msg) from error
    prompts = tuple(line.strip()[:300] for line in lines if line.strip())
    if not prompts:
        msg = f"--examples must hold a prompt a line, got none in {path}."
        raise InputError(msg)
    return prompts[:MOST_EXAMPLES]
