"""What happens around every run: check parameters, say where results are, wandb."""

import os
from pathlib import Path
from typing import Any

import click
import pandas as pd
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol

from clip2latent_kedro.parameters import check_parameters


class ParameterHooks:
    """Refuses misspelt and ill-typed parameters before anything runs."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check the whole parameter tree, overrides included."""
        check_parameters(context.config_loader["parameters"])


class ResultHooks:
    """Lists, at the end of a run, the files that it wrote."""

    def __init__(self) -> None:
        """Start with nothing saved."""
        self._saved: dict[str, None] = {}  # names, in order, once each

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Forget an earlier run of the same process."""
        self._saved.clear()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Remember the name; a streamed dataset comes here once per chunk."""
        self._saved[dataset_name] = None

    @hook_impl
    def after_pipeline_run(self, catalog: CatalogProtocol[str, Any]) -> None:
        """Print one line per file."""
        paths = {name: _path_of(catalog.get(name)) for name in self._saved}
        lines = [
            f"  {name.partition('@')[0]}: {path}"
            for name, path in paths.items()
            if path
        ]
        if lines:
            click.echo("\n".join(["Results:", *lines]))


def _path_of(dataset: Any) -> str | None:
    """Return where a dataset was saved, relative to here; None if in memory."""
    path = getattr(dataset, "_filepath", None)
    if path is None:
        return None
    if getattr(dataset, "_version", None) is not None:
        path = dataset._get_versioned_path(dataset.resolve_save_version())
    return os.path.relpath(path) if Path(path).is_absolute() else str(path)


class WandbHooks:
    """Logs a run to Weights & Biases where the parameter `logging` is `wandb`.

    Parameters become the run's config, every saved table a wandb table, and the
    columns of a table that has `step` also curves. wandb is imported only then.
    """

    def __init__(self) -> None:
        """Start with no run open."""
        self._parameters: dict[str, Any] = {}
        self._run: Any = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the parameters for the run's config."""
        self._parameters = context.config_loader["parameters"]

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Open a wandb run if one is wanted."""
        if self._parameters.get("logging") != "wandb":
            return
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "clip2latent_kedro"),
            job_type=",".join(run_params["pipeline_names"] or ["__default__"]),
            config={**self._parameters, "kedro": run_params},
            dir=run_params["project_path"],
        )

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Log a saved table."""
        if self._run is None or not isinstance(data, pd.DataFrame):
            return
        import wandb

        self._run.log({dataset_name: wandb.Table(dataframe=data)})
        if "step" in data:
            self._run.define_metric(f"{dataset_name}/*", f"{dataset_name}/step")
            for row in data.to_dict("records"):
                self._run.log({f"{dataset_name}/{key}": row[key] for key in row})

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close the wandb run."""
        self._finish(exit_code=0)

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Close the wandb run as failed."""
        self._finish(exit_code=1)

    def _finish(self, exit_code: int) -> None:
        if self._run is not None:
            self._run.finish(exit_code=exit_code)
            self._run = None
