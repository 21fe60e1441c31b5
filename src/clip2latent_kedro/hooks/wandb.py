"""A run on Weights & Biases, for who asks for it with `logging: wandb`."""

import os
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol

if TYPE_CHECKING:
    from clip2latent_kedro.hooks.wandb_run import WandbRun


class WandbHooks:
    """Logs a run while it goes on; wandb is imported only where it is wanted.

    Parameters become the run's config. Every saved table becomes a wandb table,
    every picture and figure an image, every report a page, and every prior an
    artifact, as does what the catalog marks with `metadata: {wandb: {artifact:
    TYPE}}`. Numbers of JSON entries, and of tables with named rows, are in the run's
    summary. A checkpoint adds what has been measured since the one before it, and
    validation its pictures, each over its training step; so does, at the end, a
    table with a column `step` whose training stored no checkpoints.
    """

    def __init__(self) -> None:
        """Start with no run open."""
        self._parameters: dict[str, Any] = {}
        self._run: WandbRun | None = None

    @hook_impl(trylast=True)  # once they are known to be right
    def after_context_created(self, context: Any) -> None:
        """Keep the parameters for the run's config."""
        self._parameters = context.config_loader["parameters"]

    @hook_impl(trylast=True)  # once nothing refuses the run
    def before_pipeline_run(
        self, run_params: dict[str, Any], catalog: CatalogProtocol[str, Any]
    ) -> None:
        """Open a wandb run if one is wanted."""
        if self._parameters.get("logging") != "wandb":
            return
        from clip2latent_kedro.hooks.wandb_run import WandbRun, open_run

        opened = open_run(
            project=os.environ.get("WANDB_PROJECT", "clip2latent_kedro"),
            job_type=",".join(run_params["pipeline_names"] or ["__default__"]),
            config={**self._parameters, "kedro": run_params},
            dir=run_params["project_path"],
        )
        is_resumed = bool(self._parameters.get("resume"))
        self._run = WandbRun(opened, catalog, is_resumed=is_resumed)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Remember what an earlier run has logged that may be gone on with."""
        if self._run is not None:
            self._run.note_loaded(dataset_name, data)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Log what was saved, if it is something to look at."""
        if self._run is not None:
            self._run.log(dataset_name, data)

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
            self._run.finish(exit_code)
            self._run = None
