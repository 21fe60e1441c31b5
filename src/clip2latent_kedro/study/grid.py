"""A grid of pictures with texts beside it, drawn by Pillow alone.

It is what a run shows most often, and what the shortest runs show: matplotlib, which
draws the charts, takes longer to import than a few pictures take to be sampled.
"""

import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DPI = 128  # pixels an inch; a cell is one inch wide
TEXT_WIDTH, TITLE_HEIGHT = 2.2, 0.45  # inches
GAP = 0.04  # of a cell
FONT_SIZE = 7 / 72  # inches
LINE_GAP = 2  # pixels
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def plot_grid(prompts: Sequence[str], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a grid of pictures with the prompts on the left, uint8 [h, w, 3].

    Args:
        prompts: One a row.
        columns: By title, uint8 [num_prompts, height, width, 3].
    """
    size = (TEXT_WIDTH + len(columns), TITLE_HEIGHT + len(prompts))
    grid = Image.new("RGB", (_pixels(size[0]), _pixels(size[1])), WHITE)
    draw = ImageDraw.Draw(grid)

    def write(text: str, x: float, y: float, anchor: str) -> None:
        place = _pixels(x), _pixels(y)
        align = "right" if anchor.startswith("r") else "center"
        draw.multiline_text(place, text, BLACK, _find_font(), anchor, LINE_GAP, align)

    for column, (title, images) in enumerate(columns.items()):
        left = TEXT_WIDTH + column
        name = textwrap.fill(title.replace("_", " "), 16)
        write(name, left + 0.5, TITLE_HEIGHT - 0.06, "md")
        for row, image in enumerate(images):
            top = TITLE_HEIGHT + row
            x, right = _pixels(left + GAP), _pixels(left + 1 - GAP)
            y, bottom = _pixels(top + GAP), _pixels(top + 1 - GAP)
            is_small = len(image) <= DPI
            way = Image.Resampling.NEAREST if is_small else Image.Resampling.LANCZOS
            cell = Image.fromarray(np.asarray(image)).resize(
                (right - x, bottom - y), way
            )
            grid.paste(cell, (x, y))
    for row, prompt in enumerate(prompts):
        text = textwrap.fill(prompt, 32, max_lines=5)
        write(text, TEXT_WIDTH - 0.1, TITLE_HEIGHT + row + 0.5, "rm")
    return np.array(grid)


def _pixels(inches: float) -> int:
    return round(inches * DPI)


@cache
def _find_font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of matplotlib's charts from its file; Pillow's own without it.

    It has Latin, Greek, Cyrillic and Arabic letters, Pillow's has Latin ones.
    """
    spec = find_spec("matplotlib")
    for place in (spec and spec.submodule_search_locations) or ():
        path = Path(place, "mpl-data/fonts/ttf/DejaVuSans.ttf")
        if path.is_file():
            return ImageFont.truetype(path, FONT_SIZE * DPI)
    return ImageFont.load_default(FONT_SIZE * DPI)
