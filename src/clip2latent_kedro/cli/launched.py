"""`torchrun -m clip2latent_kedro run`: one run by all of its processes."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from clip2latent_kedro.errors import InputError

BY_SEVERAL = ("training", "distillation")  # pipelines that several processes can run


def is_follower() -> bool:
    """Return whether torchrun has started this process, but not as the first."""
    return _is_launched() and os.environ["RANK"] != "0"


def follow(names: Sequence[str]) -> None:
    """Serve the first process, which says what is to be said.

    Args:
        names: Of the pipelines that are asked for.
    """
    from clip2latent_kedro.engines.launched import serve

    if _is_refused(names):
        raise click.exceptions.Exit(2)
    serve()


@contextmanager
def leading_all(names: Sequence[str]) -> Iterator[None]:
    """Lead the other processes of torchrun, if there are some, through a run.

    Args:
        names: Of the pipelines that are asked for.

    Raises:
        InputError: If these are such as one process runs alone.
    """
    if not _is_launched():
        yield
        return
    if _is_refused(names):
        msg = (
            f"Under torchrun pipeline must be one of {', '.join(BY_SEVERAL)}, got "
            f"{', '.join(names) or 'all of the method'}. Run the others without "
            f"torchrun."
        )
        raise InputError(msg)
    from clip2latent_kedro.engines.launched import leading

    with leading():
        yield


def _is_launched() -> bool:
    is_of_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    return is_of_torchrun and int(os.environ["WORLD_SIZE"]) > 1


def _is_refused(names: Sequence[str]) -> bool:
    return not names or not set(names) <= set(BY_SEVERAL)
