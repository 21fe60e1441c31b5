"""`kedro viz --port 4999`, understood as `kedro viz run --port 4999`.

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


def mean_run() -> None:
    """Let kedro-viz's own group read command lines so.

    Kedro looks for a command among those of plugins before those of a project.
    """
    viz.parse_args = parse_args
