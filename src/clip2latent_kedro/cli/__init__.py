"""The project's commands, each in a module that is imported when it is invoked."""

from typing import TYPE_CHECKING, Any

import click
from kedro.framework.cli.utils import LazyGroup

from clip2latent_kedro.cli.viz import mean_run

if TYPE_CHECKING:
    from clip2latent_kedro.cli.running import run

__all__ = ["cli", "run"]

LAZY_COMMANDS = {
    "compare-scores": f"{__name__}.comparing.compare_scores",
    "demo": "clip2latent_kedro.demo.command.demo",
    "draw": f"{__name__}.draw.draw",
    "run": f"{__name__}.running.run",
}


mean_run()


@click.group(name="clip2latent_kedro", cls=LazyGroup, lazy_subcommands=LAZY_COMMANDS)
def cli() -> None:
    """Commands of the project."""


def __getattr__(name: str) -> Any:
    """Return `run`, which Kedro asks for by this name in a packaged project."""
    if name == "run":
        from clip2latent_kedro.cli.running import run

        return run
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
