"""The error that the command line shows to a user as a sentence."""


class InputError(ValueError):
    """A value or file from the user cannot be used.

    The message is one sentence that names the thing, what was expected, what
    came, and how to mend it. `kedro run` prints it without a traceback and
    exits with code 2.
    """


class MissingError(InputError):
    """There is nothing yet where a catalog entry or a path points.

    A catalog entry with `missing_ok: true` loads None then.
    """
