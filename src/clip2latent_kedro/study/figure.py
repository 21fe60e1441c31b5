"""The picture of prompts x methods, or prompts x samples."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 128
TEXT_WIDTH, TITLE_HEIGHT = 2.2, 0.45  # inches; a cell is one inch wide
GAP = 0.04  # of a cell


def draw_comparison(
    prompts: Sequence[str], columns: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return a grid with the prompts on the left, uint8 [h, w, 3].

    Args:
        prompts: One a row.
        columns: By title, uint8 [num_prompts, height, width, 3].
    """
    # Imported here: a machine that only trains and samples may do without it.
    from matplotlib.figure import Figure

    num_rows, num_columns = len(prompts), len(columns)
    width, height = TEXT_WIDTH + num_columns, TITLE_HEIGHT + num_rows
    figure = Figure(figsize=(width, height), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-TEXT_WIDTH, num_columns), ylim=(num_rows, -TITLE_HEIGHT))
    axes.set_axis_off()
    for column, (title, images) in enumerate(columns.items()):
        axes.text(
            column + 0.5,
            -0.06,
            textwrap.fill(title.replace("_", " "), 16),
            ha="center",
            va="bottom",
            fontsize=7,
        )
        for row, image in enumerate(images):
            axes.imshow(
                image,
                extent=(column + GAP, column + 1 - GAP, row + 1 - GAP, row + GAP),
                interpolation="nearest" if len(image) <= DPI else "antialiased",
                aspect="auto",
            )
    for row, prompt in enumerate(prompts):
        text = textwrap.fill(prompt, 32, max_lines=5)
        axes.text(-0.1, row + 0.5, text, ha="right", va="center", fontsize=7)
    axes.set(xlim=(-TEXT_WIDTH, num_columns), ylim=(num_rows, -TITLE_HEIGHT))

    return render_figure(figure)


def render_figure(figure: "Figure") -> np.ndarray:
    """Return a figure as a picture, uint8 [h, w, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    rgba = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture: np.ndarray = rgba[..., :3].copy()
    return picture
