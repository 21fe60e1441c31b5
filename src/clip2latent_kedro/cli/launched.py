"""`torchrun -m clip2latent_kedro run`: one run by all of its processes."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from clip2latent_kedro.errors import InputError

BY_SEVERAL = ("training", "distillation")  # pipelines that several processes can run


def is_follower() -> bool:
    """Return whether torchrun has started this process, but not as the first."""
    return _is_launched() and os.environ["RANK"] != "0"


def follow() -> None:
    """Serve the first process, which says what is to be said, refusals included."""
    from clip2latent_kedro.engines.launched import serve

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
    if not names or not set(names) <= set(BY_SEVERAL):
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
