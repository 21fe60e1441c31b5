"""Run a pipeline with `python -m clip2latent_kedro`, as `kedro run` would.

A command of the project comes first if it is named: `python -m clip2latent_kedro draw`.
"""

import sys
from typing import Any

from kedro.framework.project import configure_project

from clip2latent_kedro.cli import LAZY_COMMANDS, cli

PACKAGE_NAME = "clip2latent_kedro"


def main(*args: Any, **options: Any) -> Any:
    """Configure the project and hand the command line to its run command."""
    configure_project(PACKAGE_NAME)
    options["standalone_mode"] = not hasattr(sys, "ps1")
    given = [*(args[0] if args else sys.argv[1:])]
    if not given or given[0] not in LAZY_COMMANDS:
        given = ["run", *given]
    return cli(given, prog_name=f"python -m {PACKAGE_NAME}", **options)


if __name__ == "__main__":
    main()
