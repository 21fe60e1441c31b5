"""What a run on Weights & Biases is told: tables, pictures, curves, files."""

import html
import logging
import numbers
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import CatalogProtocol
from kedro_datasets.json import JSONDataset
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clip2latent_kedro.datasets.priors import CheckpointDataset, PriorDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.hooks.results import saved_path
from clip2latent_kedro.inference import LabelledPicture
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.study.validation import ValidationPictures

logger = logging.getLogger(__name__)

INTERVAL_ENDS = ("_low", "_high")
WAY_OUT = "Run `wandb login`, or set WANDB_MODE=offline, or logging to null."


class WandbRun:
    """A run that is open on wandb (see `hooks.wandb`)."""

    def __init__(
        self, run: Any, catalog: CatalogProtocol[str, Any], *, is_resumed: bool
    ) -> None:
        """Log into a run of wandb.

        Args:
            run: As `wandb.init` returns it.
            catalog: Whose entries are logged.
            is_resumed: Whether what an earlier run has made is gone on with.
        """
        self._run = run
        self._catalog: Any = catalog
        self._is_resumed = is_resumed
        self._logged: dict[str, list[dict[str, float]]] = {}  # rows by checkpoint file

    def note_loaded(self, dataset_name: str, data: Any) -> None:
        """Remember what an earlier run has logged that may be gone on with."""
        if not isinstance(data, Checkpoint):
            return
        path = saved_path(self._catalog.get(dataset_name))
        if path is not None and self._is_resumed:
            self._logged.setdefault(path, data.history)

    def log(self, dataset_name: str, data: Any) -> None:
        """Log what was saved, if it is something to look at."""
        dataset = self._catalog.get(dataset_name)
        name = dataset_name.partition("@")[0]
        if isinstance(dataset, CheckpointDataset):
            self._log_new_rows(name, data.history, saved_path(dataset))
        elif isinstance(data, ValidationPictures):
            self._log_over_steps(name, name)
            for step, picture in data.pictures.items():
                self._run.log({name: to_images(picture), f"{name}/step": step})
        elif isinstance(data, pd.DataFrame):
            self._log_table(name, data)
        elif isinstance(data, str):
            self._run.log({name: to_page(data)})
        elif isinstance(dataset, JSONDataset):
            self._summarise(name, dict(numbers_of_tree(data)))
        elif images := to_images(data):
            self._run.log({name: images})
        if kind := artifact_type(dataset):
            self._log_file(name, kind, saved_path(dataset))

    def finish(self, exit_code: int) -> None:
        """Close the run."""
        self._run.finish(exit_code=exit_code)

    def _log_new_rows(self, name: str, rows: list[dict[str, float]], key: Any) -> None:
        logged = self._logged.get(key, [])
        if rows[: len(logged)] != logged:
            logged = []  # of a run that was replaced
        self._log_over_steps(name, f"{name}/*")
        for row in rows[len(logged) :]:
            self._run.log({f"{name}/{measured}": row[measured] for measured in row})
        self._logged[key] = rows

    def _log_table(self, name: str, data: pd.DataFrame) -> None:
        self._run.log({name: to_table(data)})
        self._summarise(name, numbers_of_rows(data))
        if "step" not in data or not data["step"].is_unique:
            return
        steps = data["step"].tolist()
        if all(
            [row["step"] for row in rows] != steps for rows in self._logged.values()
        ):
            curves = data.select_dtypes("number")
            rows = [
                {str(key): row[key] for key in row if not pd.isna(row[key])}
                for row in curves.to_dict("records")
            ]
            self._log_new_rows(f"{name}_curves", rows, name)

    def _summarise(self, name: str, measured: dict[str, float]) -> None:
        self._run.summary.update(
            {f"{name}/{path}": measured[path] for path in measured}
        )

    def _log_over_steps(self, name: str, metric: str) -> None:
        """Tell wandb to draw a metric over training steps."""
        self._run.define_metric(f"{name}/step", hidden=True)
        self._run.define_metric(metric, step_metric=f"{name}/step")

    def _log_file(self, name: str, kind: str, path: str | None) -> None:
        import wandb

        if path is None or not Path(path).is_file():
            logger.info("%s is at %s, not on this machine: no artifact.", name, path)
            return
        artifact = wandb.Artifact(name, type=kind)
        artifact.add_file(path)
        self._run.log_artifact(artifact)


def open_run(**settings: Any) -> Any:
    """Return a new wandb run; never ask anything.

    Args:
        settings: Arguments of `wandb.init`.

    Raises:
        InputError: If nobody is logged in, the key or another of wandb's own settings
            is wrong, or the server cannot be reached.
    """
    import wandb

    offline = ("offline", "dryrun", "disabled")
    try:
        is_online = wandb.setup().settings.mode not in offline
        if not is_online or wandb.login(prompt=False, verify=False):
            return wandb.init(**settings)
    except (wandb.errors.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        msg = f"logging: wandb could not start a run ({reason}). {WAY_OUT}"
        raise InputError(msg) from error
    msg = f"logging: wandb needs an account, and none is logged in. {WAY_OUT}"
    raise InputError(msg)


def artifact_type(dataset: Any) -> str | None:
    """Return the type of the artifact that a saved dataset becomes; None for none."""
    metadata = getattr(dataset, "metadata", None) or {}
    marked: str | None = metadata.get("wandb", {}).get("artifact")
    return "model" if isinstance(dataset, PriorDataset) else marked


def to_table(data: pd.DataFrame) -> Any:
    """Return a table as one of wandb's; cells without a value are empty."""
    import wandb

    rows = data.astype(object).to_numpy()
    rows[data.isna().to_numpy()] = None
    columns: list[str | int] = [*data.columns]
    return wandb.Table(columns, list(rows.tolist()), allow_mixed_types=True)


def to_images(data: Any) -> list[Any]:
    """Return wandb images of a picture, a figure or several; none of other data."""
    import wandb

    if isinstance(data, Figure):
        canvas = FigureCanvasAgg(data)
        canvas.draw()  # type: ignore[no-untyped-call]
        return [wandb.Image(np.array(canvas.buffer_rgba()))]  # type: ignore[no-untyped-call]
    if _is_picture(data):
        return [wandb.Image(data)]
    if not isinstance(data, Mapping):
        return []
    pictures = {
        name: (value.image_u8, value.labels.get("prompt", name))
        if isinstance(value, LabelledPicture)
        else (value, name)
        for name, value in data.items()
    }
    return [
        wandb.Image(picture, caption=caption)
        for picture, caption in pictures.values()
        if _is_picture(picture)
    ]


def to_page(text: str) -> Any:
    """Return a wandb page of HTML, or of a text that is none, as it is."""
    import wandb

    is_html = text.lstrip()[:9].lower().startswith(("<!doctype", "<html"))
    return wandb.Html(text if is_html else f"<pre>{html.escape(text)}</pre>")


def numbers_of_rows(data: pd.DataFrame) -> dict[str, float]:
    """Return what a table measures, as ROW/COLUMN, to compare runs by.

    Only a table whose first column names its rows has such; ends of intervals are
    left to the table itself.
    """
    names = data.iloc[:, 0]
    if not (pd.api.types.is_string_dtype(names) and names.is_unique):
        return {}
    measured = [
        column
        for column in data.columns
        if pd.api.types.is_float_dtype(data[column])
        and not column.endswith(INTERVAL_ENDS)
    ]
    return {
        f"{name}/{column}": float(value)
        for name, row in zip(names, data[measured].to_dict("records"), strict=True)
        for column, value in row.items()
        if not pd.isna(value)
    }


def numbers_of_tree(tree: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of nested mappings with their paths, such as `a/b`."""
    if isinstance(tree, Mapping):
        for name, branch in tree.items():
            yield from numbers_of_tree(branch, f"{path}/{name}" if path else str(name))
    elif isinstance(tree, numbers.Real) and not isinstance(tree, bool):
        yield path, float(tree)


def _is_picture(data: Any) -> bool:
    return isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 3
