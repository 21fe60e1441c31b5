"""A command's way to say no: one sentence on stderr and exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager

import click


class CommandError(click.ClickException):
    """A sentence on stderr and exit code 2."""

    exit_code = 2


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what the user can mend into a sentence."""
    try:
        yield
    except Exception as error:
        # Only now, since it knows the errors of Kedro's catalog and of torch.
        from clip2latent_kedro.cli.refusals import explain

        sentence = explain(error)
        if sentence is None:
            raise
        raise CommandError(sentence) from error
