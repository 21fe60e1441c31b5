"""Run a pipeline with `python -m clip2latent_kedro`, as `kedro run` would."""

import sys
from typing import Any

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project

PACKAGE_NAME = "clip2latent_kedro"


def main(*args: Any, **options: Any) -> Any:
    """Configure the project and hand the command line to its run command."""
    configure_project(PACKAGE_NAME)
    options["standalone_mode"] = not hasattr(sys, "ps1")
    return find_run_command(PACKAGE_NAME)(*args, **options)


if __name__ == "__main__":
    main()
