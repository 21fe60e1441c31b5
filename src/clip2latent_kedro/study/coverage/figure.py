"""The shares of all pairs of values, as a map.

matplotlib is imported where it is needed, as in `study.figures`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from clip2latent_kedro.study.coverage.demands import Demand
from clip2latent_kedro.study.figures import render_figure
from clip2latent_kedro.study.grid import DPI

CELL = 0.17  # inches of a value
MARGIN = 2.2  # inches for the names of values
MARKS = {"asked": ("o", "white"), "missed": ("x", "red")}  # points, and their colour


def plot_map(
    demands: Sequence[Demand],
    attributes: Mapping[str, Sequence[str]],
    num_images: int,
) -> np.ndarray:
    """Return the share of images that show two values together, uint8 [h, w, 3].

    The diagonal has the values by themselves. What is asked has a point, what the row
    misses a cross. Values of one attribute exclude each other, and are left white.

    Args:
        demands: What `list_demands` returned.
        attributes: Names and their values.
        num_images: Of the generator; one of them is the least share that is drawn.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    every = [(name, value) for name, values in attributes.items() for value in values]
    column = {pair: number for number, pair in enumerate(every)}
    shares = np.full((len(every), len(every)), np.nan)
    points: dict[str, list[tuple[int, int]]] = {name: [] for name in MARKS}
    for demand in demands:
        pairs = list(demand.values.items())
        one, other = column[pairs[0]], column[pairs[-1]]
        shares[one, other] = shares[other, one] = max(
            demand.share.mean, 0.5 / num_images
        )
        if demand.num_asked:
            points["missed" if demand.fault else "asked"] += [
                (one, other),
                (other, one),
            ]
    side = MARGIN + CELL * len(every)
    figure = Figure(figsize=(side + 0.8, side), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    norm = LogNorm(vmin=0.5 / num_images, vmax=1)
    drawn = axes.imshow(shares, norm=norm, cmap="viridis")
    for name, (marker, colour) in MARKS.items():
        if points[name]:
            x, y = np.array(points[name]).T
            axes.scatter(x, y, s=7, marker=marker, c=colour, linewidths=0.8)
    names = [f"{name} {value}".replace("_", " ") for name, value in every]
    axes.set_xticks(range(len(names)), names, fontsize=6, rotation=90)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    ends = np.cumsum([len(values) for values in attributes.values()])[:-1] - 0.5
    for end in ends:
        axes.axhline(end, color="white", linewidth=0.8)
        axes.axvline(end, color="white", linewidth=0.8)
    label = "share of images (points: asked; crosses: asked and missed)"
    figure.colorbar(drawn, ax=axes, shrink=0.5, label=label)
    return render_figure(figure)
