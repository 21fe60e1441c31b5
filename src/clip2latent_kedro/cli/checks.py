"""What a command line names, checked before anything runs."""

import difflib
import inspect
import itertools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kedro.framework.project import pipelines, settings
from kedro.pipeline import Pipeline
from kedro.runner import AbstractRunner, ParallelRunner
from kedro.utils import find_kedro_project, load_obj

from clip2latent_kedro import project
from clip2latent_kedro.errors import InputError


def check_pipelines(names: Iterable[str]) -> None:
    """Raise `InputError` if a pipeline is unknown, or two make the same entries.

    Pipelines that compare gather their models in nodes of their own, under one name.
    """
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        if name not in pipelines:
            known = sorted(pipelines)
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            msg = f"pipeline must be one of {', '.join(known)}, got {name!r}.{hint}"
            raise InputError(msg)
    for first, second in itertools.combinations(chosen, 2):
        if both := _made_twice(pipelines[first], pipelines[second]):
            msg = (
                f"Pipelines of one run must not make the same entries, got {first} and "
                f"{second}, which both make {', '.join(both)}. Run one after the other."
            )
            raise InputError(msg)


def _made_twice(first: Pipeline, second: Pipeline) -> list[str]:
    """Return the entries that nodes of both make which are not the same node."""
    made_by = {entry: node for node in first.nodes for entry in node.outputs}
    entries = [(entry, node) for node in second.nodes for entry in node.outputs]
    return sorted(entry for entry, node in entries if made_by.get(entry, node) != node)


def check_environment(env: str | None, conf_source: str | None) -> None:
    """Raise `InputError` if the configuration has no such environment."""
    place = find_kedro_project(Path.cwd()) or Path.cwd()
    folder = place / (conf_source or settings.CONF_SOURCE)
    if not folder.is_dir():
        if conf_source is not None:
            return  # an archive or a URL
        msg = (
            f"The configuration must be the folder {folder}, which does not exist. "
            f"Change to the project's folder, or set --conf-source."
        )
        raise InputError(msg)
    project.check_environment(folder, env or os.environ.get("KEDRO_ENV"))


def check_runner(
    name: str | None, is_async: bool, arguments: Mapping[str, Any]
) -> None:
    """Raise `InputError` if there is no such runner, or nodes cannot run by it."""
    if is_async or arguments.get("is_async"):
        msg = (
            "--async cannot be used: nodes here yield what they make piece by piece. "
            "Leave it out, or use --runner=ThreadRunner."
        )
        raise InputError(msg)
    known = "runner must be SequentialRunner or ThreadRunner"
    try:
        runner = load_obj(name or "SequentialRunner", "kedro.runner")
    except (ImportError, AttributeError, TypeError, ValueError):
        runner = None
    is_runner = inspect.isclass(runner) and issubclass(runner, AbstractRunner)
    if not is_runner or inspect.isabstract(runner):
        msg = f"{known}, or the path of another class, got {name!r}."
        raise InputError(msg)
    if issubclass(runner, ParallelRunner):
        msg = f"{known}, got {name!r}: models are shared within one process."
        raise InputError(msg)
    try:
        inspect.signature(runner).bind(**arguments)
    except TypeError as error:
        taken = ", ".join(inspect.signature(runner).parameters)
        got = ", ".join(arguments)
        msg = f"--runner-params must be of {taken} for this runner, got {got}."
        raise InputError(msg) from error
    workers = arguments.get("max_workers")
    if workers is not None and not (type(workers) is int and workers >= 1):
        msg = f"max_workers must be a whole number of 1 or more, got {workers!r}."
        raise InputError(msg)
