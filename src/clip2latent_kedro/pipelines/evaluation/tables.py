"""Tables for people: scores, differences and seconds as cells of text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.study.distances import DISTANCES
from clip2latent_kedro.study.scoring import SCORES
from clip2latent_kedro.study.timing import STAGES, TIMED

Cells = list[list[str]]  # the first row is the header

TITLES = {
    "clip_score": "CLIP score",
    "clip_score_best": "CLIP score, best",
    "held_out_score": "held-out CLIP",
    "held_out_score_best": "held-out CLIP, best",
    "accuracy": "attributes right",
    "accuracy_best": "attributes right, best",
    "all_right": "all right",
    "all_right_best": "all right, best",
    "clip_diversity": "diversity, CLIP",
    "pixel_diversity": "diversity, pixels",
    "w_distance": "distance of w",
    "num_images": "images",
    "kid": "KID",
    "fid": "FID",
    "cmmd": "CMMD",
    "training_seconds": "training, s",
}
PLAIN = {
    "num_images": ",.0f",
    **dict.fromkeys(DISTANCES, ".3f"),
    "training_seconds": ",.0f",
}
SPREADS = {"kid": "kid_error"}
OF_EQUALS = ("fid", "cmmd")  # of `fid_images`, the same number in every row


def score_cells(scores: pd.DataFrame, labels: Sequence[str] = ("method",)) -> Cells:
    """Return the scores as text: mean with interval, empty where one does not apply.

    Args:
        scores: One row for each method (see `scores.summarise`).
        labels: Columns of texts to begin with.
    """
    shown = [name for name in SCORES if name in scores]
    plain = [name for name in PLAIN if name in scores]
    timed = [what for what in TIMED if what in scores]
    titles = [column_title(name, scores) for name in (*shown, *plain)]
    costs = [_seconds_title(what, scores) for what in timed]
    cells = [[*labels, "samples", *titles, *costs]]
    for row in scores.to_dict("records"):
        seconds = [
            _seconds(*(row[f"{what}{end}"] for end in ("", "_std", "_runs")))
            for what in timed
        ]
        cells.append(
            [
                *(str(row[label]) for label in labels),
                str(row["num_samples"]),
                *_intervals(row, shown),
                *(_plain(row, name) for name in plain),
                *seconds,
            ]
        )
    return cells


def column_title(name: str, scores: pd.DataFrame) -> str:
    """Return what stands above a column, with the number of images where it counts.

    Args:
        name: Of a score or a distance.
        scores: Of `scores.summarise`.
    """
    if name not in OF_EQUALS or scores["fid_images"].isna().all():
        return TITLES[name]
    return f"{TITLES[name]} ({int(scores['fid_images'].max()):,} images)"


def difference_cells(differences: pd.DataFrame) -> Cells:
    """Return how far rows are from the baseline as text; only a header without one.

    Args:
        differences: Of `scores.compare_rows`.
    """
    shown = [name for name in SCORES if name in differences]
    cells = [["method", *(TITLES[name] for name in shown)]]
    for row in differences.to_dict("records"):
        cells.append([str(row["method"]), *_intervals(row, shown, sign="+")])
    return cells


def describe_differences(cells: Cells) -> str:
    """Return how to read the intervals of differences, and how many there are.

    Args:
        cells: Of `difference_cells`.
    """
    number = sum(bool(cell) for row in cells[1:] for cell in row[1:])
    return (
        f"Each of the {number} intervals is by itself: one without 0 tells two rows "
        f"apart on such prompts, but some of so many will be without 0 by chance."
    )


def gap_cells(modality_gap: pd.DataFrame) -> Cells:
    """Return the gap of each bridge as text; only a header without references.

    Args:
        modality_gap: Of `scores.measure_gap`.
    """
    header = [str(name).replace("_", " ") for name in modality_gap.columns]
    rows = [
        [bridge, *(f"{value:.3f}" for value in values)]
        for bridge, *values in modality_gap.itertuples(index=False)
    ]
    return [header, *rows]


def timing_cells(timings: Mapping[str, Any]) -> Cells:
    """Return the seconds of each row and stage as text, of one image and of several.

    Args:
        timings: Of `timings.collect_timings`.
    """
    counts = {"seconds": timings["protocol"]["timing_images"], "seconds_one": 1}
    cells = [["method", "images", *STAGES, "together", "runs"]]
    for method in timings["seconds_one"]:
        for what in TIMED:
            if method not in timings[what]:
                continue
            stages = timings[what][method]
            together = np.sum(list(stages.values()), axis=0)
            values = [*(stages[stage] for stage in STAGES), together]
            spreads = [
                _with_spread(np.mean(v), np.std(v, ddof=1) if len(v) > 1 else np.nan)
                for v in values
            ]
            cells.append([method, str(counts[what]), *spreads, str(len(together))])
    return cells


def markdown_table(cells: Cells) -> str:
    """Return cells as a Markdown table."""
    header, *rows = (
        f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells
    )
    rule = "|" + " --- |" * len(cells[0])
    return "\n".join([header, rule, *rows]) + "\n"


def _intervals(
    row: Mapping[Any, Any], names: Sequence[str], sign: str = ""
) -> list[str]:
    triples = [[row[f"{name}{end}"] for end in ("", "_low", "_high")] for name in names]
    return [_with_interval(*triple, sign=sign) for triple in triples]


def _with_interval(mean: float, low: float, high: float, *, sign: str) -> str:
    if np.isnan(mean):
        return ""
    return f"{mean:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def _seconds_title(what: str, scores: pd.DataFrame) -> str:
    if what == "seconds_one":
        return "1 image, s"
    return f"{int(scores['timing_images'].max())} images, s"


def _seconds(mean: float, std: float, num_runs: float) -> str:
    if np.isnan(mean):
        return ""
    runs = "1 run" if num_runs == 1 else f"{num_runs:.0f} runs"
    return f"{_with_spread(mean, std)} ({runs})"


def _with_spread(mean: Any, std: Any) -> str:
    if mean is None or np.isnan(mean):
        return ""
    return f"{mean:.3f}" if np.isnan(std) else f"{mean:.3f} ± {std:.3f}"


def _plain(row: Mapping[Any, Any], name: str) -> str:
    if name in SPREADS:
        return _with_spread(row[name], row[SPREADS[name]])
    return _number(row[name], PLAIN[name])


def _number(value: Any, form: str) -> str:
    return "" if value is None or np.isnan(value) else f"{value:{form}}"
