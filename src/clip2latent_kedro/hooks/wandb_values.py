"""What is saved, in the forms that Weights & Biases can show."""

import html
import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clip2latent_kedro.inference import LabelledPicture

INTERVAL_ENDS = ("_low", "_high")


def to_table(data: pd.DataFrame) -> Any:
    """Return a wandb table of the same cells; those without a value are empty."""
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
