"""`kedro viz` with options of `kedro viz run`, such as `kedro viz --port 4999`.

kedro-viz means `run` where a command line names none of its commands, but takes the
options for its group's own and then finds their values left over.
"""

import click
from kedro_viz.launchers.cli.main import viz

_parse_args = viz.parse_args


def parse_args(context: click.Context, args: list[str]) -> list[str]:
    """Name the command that is meant where the first argument is an option of it."""
    if args and args[0].startswith("-") and args[0] not in context.help_option_names:
        args = ["run", *args]
    rest: list[str] = _parse_args(context, args)
    return rest


viz.parse_args = parse_args
