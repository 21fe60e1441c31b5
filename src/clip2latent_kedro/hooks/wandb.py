"""A run on Weights & Biases, for who asks for it with `logging: wandb`."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clip2latent_kedro.datasets import CheckpointDataset, PriorDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.evaluation.validation import ValidationPictures
from clip2latent_kedro.hooks.results import saved_path
from clip2latent_kedro.inference import LabelledPicture
from clip2latent_kedro.prior.checkpoint import Checkpoint

WAY_OUT = "Run `wandb login`, or set WANDB_MODE=offline, or logging to null."


class WandbHooks:
    """Logs a run while it goes on; wandb is imported only where it is wanted.

    Parameters become the run's config. Every saved table becomes a wandb table,
    every picture and figure an image, every prior an artifact. A checkpoint adds
    what has been measured since the one before it, and validation its pictures, each
    over its training step.
    """

    def __init__(self) -> None:
        """Start with no run open."""
        self._parameters: dict[str, Any] = {}
        self._run: Any = None
        self._catalog: Any = None
        self._logged: dict[str, list[dict[str, float]]] = {}  # rows by checkpoint file

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Keep the parameters for the run's config."""
        self._parameters = context.config_loader["parameters"]

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], catalog: CatalogProtocol[str, Any]
    ) -> None:
        """Open a wandb run if one is wanted."""
        if self._parameters.get("logging") != "wandb":
            return
        self._catalog = catalog
        self._logged = {}
        self._run = open_run(
            project=os.environ.get("WANDB_PROJECT", "clip2latent_kedro"),
            job_type=",".join(run_params["pipeline_names"] or ["__default__"]),
            config={**self._parameters, "kedro": run_params},
            dir=run_params["project_path"],
        )

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Remember what an earlier run has logged that may be gone on with."""
        if self._run is None or not isinstance(data, Checkpoint):
            return
        path = saved_path(self._catalog.get(dataset_name))
        if path is not None and self._parameters.get("resume"):
            self._logged.setdefault(path, data.history)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Log what was saved, if it is something to look at."""
        if self._run is None:
            return
        if isinstance(data, Checkpoint):
            dataset = self._catalog.get(dataset_name)
            if isinstance(dataset, CheckpointDataset):
                self._log_new_rows(dataset_name, data, saved_path(dataset))
            if isinstance(dataset, PriorDataset):
                self._log_file(dataset_name, saved_path(dataset))
        elif isinstance(data, ValidationPictures):
            self._log_over_steps(dataset_name, dataset_name)
            for step, picture in data.pictures.items():
                images = _to_images(picture)
                self._run.log({dataset_name: images, f"{dataset_name}/step": step})
        elif isinstance(data, pd.DataFrame):
            import wandb

            rows = data.astype(object).to_numpy()
            rows[data.isna().to_numpy()] = None
            columns: list[str | int] = [*data.columns]
            table = wandb.Table(columns, list(rows.tolist()), allow_mixed_types=True)
            self._run.log({dataset_name: table})
        elif images := _to_images(data):
            self._run.log({dataset_name: images})

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close the wandb run."""
        self._finish(exit_code=0)

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Close the wandb run as failed."""
        self._finish(exit_code=1)

    def _log_new_rows(self, name: str, checkpoint: Checkpoint, path: Any) -> None:
        rows, logged = checkpoint.history, self._logged.get(path, [])
        if rows[: len(logged)] != logged:
            logged = []  # of a run that was replaced
        self._log_over_steps(name, f"{name}/*")
        for row in rows[len(logged) :]:
            self._run.log({f"{name}/{key}": row[key] for key in row})
        self._logged[path] = rows

    def _log_over_steps(self, name: str, metric: str) -> None:
        """Tell wandb to draw a metric over training steps."""
        self._run.define_metric(f"{name}/step", hidden=True)
        self._run.define_metric(metric, step_metric=f"{name}/step")

    def _log_file(self, name: str, path: Any) -> None:
        import wandb

        artifact = wandb.Artifact(name, type="model")
        artifact.add_file(path)
        self._run.log_artifact(artifact)

    def _finish(self, exit_code: int) -> None:
        if self._run is not None:
            self._run.finish(exit_code=exit_code)
            self._run = None


def open_run(**settings: Any) -> Any:
    """Return a new wandb run; never ask anything.

    Args:
        settings: Of `wandb.init`.

    Raises:
        InputError: If nobody is logged in, or the server cannot be reached.
    """
    import wandb

    is_online = wandb.setup().settings.mode not in ("offline", "dryrun", "disabled")
    if is_online and not wandb.login(prompt=False, verify=False):
        msg = f"logging: wandb needs an account, and none is logged in. {WAY_OUT}"
        raise InputError(msg)
    try:
        return wandb.init(**settings)
    except wandb.errors.Error as error:
        msg = f"logging: wandb could not start a run ({error}). {WAY_OUT}"
        raise InputError(msg) from error


def _to_images(data: Any) -> list[Any]:
    """Return wandb images of a picture, a figure or several; none of other data."""
    import wandb

    if isinstance(data, Figure):
        canvas = FigureCanvasAgg(data)
        canvas.draw()  # type: ignore[no-untyped-call]
        return [wandb.Image(np.array(canvas.buffer_rgba()))]  # type: ignore[no-untyped-call]
    if isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 3:
        return [wandb.Image(data)]
    if not isinstance(data, Mapping):
        return []
    return [
        wandb.Image(picture.image_u8, caption=picture.labels.get("prompt", name))
        for name, picture in data.items()
        if isinstance(picture, LabelledPicture)
    ]
