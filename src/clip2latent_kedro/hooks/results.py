"""Where the results of a run are."""

import os
from pathlib import Path
from typing import Any

import click
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol


class ResultHooks:
    """Lists, at the end of a run, the files that it wrote."""

    def __init__(self) -> None:
        """Start with nothing saved."""
        self._saved: dict[str, None] = {}  # names, in order, once each

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Forget what an earlier run of this process has saved."""
        self._saved.clear()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Remember the name; a streamed dataset comes here once per chunk."""
        self._saved[dataset_name] = None

    @hook_impl
    def after_pipeline_run(self, catalog: CatalogProtocol[str, Any]) -> None:
        """Print one line per file."""
        paths = {name: saved_path(catalog.get(name)) for name in self._saved}
        lines = [
            f"  {name.partition('@')[0]}: {path}"
            for name, path in paths.items()
            if path
        ]
        if lines:
            click.echo("\n".join(["Results:", *lines]))


def saved_path(dataset: Any) -> str | None:
    """Return where a dataset was saved, relative to here; None if in memory."""
    path = getattr(dataset, "_filepath", None)
    if path is None:
        return None
    if getattr(dataset, "_version", None) is not None:
        path = dataset._get_versioned_path(dataset.resolve_save_version())
    return os.path.relpath(path) if Path(path).is_absolute() else str(path)
