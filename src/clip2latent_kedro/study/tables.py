"""Tables for people: scores, differences and seconds as cells of text."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.metrics.bootstrap import Interval
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
    "blended": "blends",
    "detected": "subject found",
    "clip_diversity": "diversity, CLIP",
    "pixel_diversity": "diversity, pixels",
    "w_distance": "distance of w",
    "num_images": "images",
    "kid": "KID",
    "fid": "FID",
    "cmmd": "CMMD",
    "training_seconds": "training, s",
    "training_cpu_seconds": "training of one, CPU s",
}
FORMATS = {
    "num_samples": ".0f",
    "num_images": ",.0f",
    "training_seconds": ",.0f",
    "training_cpu_seconds": ",.1f",
    "images": ".0f",
    "num_targets": ".0f",
    "num_pictures": ",.0f",
    "edit_seconds": ".2g",
    "edit_seconds_each": ".2g",
    "generator_seconds": ".3g",
    "target_seconds": ".2g",
}
ENDS = ("", "_low", "_high")  # of the columns of an interval
OF_EQUALS = ("fid", "cmmd")  # of `fid_images`, the same number in every row


def format_table(
    table: pd.DataFrame, titles: Mapping[str, str], *, sign: str = ""
) -> Cells:
    """Return the columns of a table as text, empty where there is no number.

    A column NAME stands with its interval where the table has NAME_low and NAME_high,
    with its spread where it has NAME_std or NAME_error, and with how often it was
    measured where it has NAME_runs.

    Args:
        table: Numbers and texts.
        titles: What stands above each column that is shown, if it is there.
        sign: "+" to write it also before what is above zero.
    """
    shown = [name for name in titles if name in table]
    rows = table.to_dict("records")
    header = [titles[name] for name in shown]
    return [header, *([_cell(row, name, sign) for name in shown] for row in rows)]


def score_cells(scores: pd.DataFrame, labels: Sequence[str] = ("method",)) -> Cells:
    """Return the scores as text: mean with interval, empty where one does not apply.

    Args:
        scores: A row for each method (see the catalog entry `scores`), point of a
            sweep or variant of an ablation.
        labels: Columns of texts to begin with.
    """
    titles = {**dict(zip(labels, labels, strict=True)), "num_samples": "samples"}
    trained = ["training_seconds", "training_cpu_seconds"]
    names = [*SCORES, "num_images", *DISTANCES, *trained]
    titles |= {name: TITLES[name] for name in names}
    if "fid_images" in scores and scores["fid_images"].notna().any():
        number = f"{int(scores['fid_images'].max()):,}"
        titles |= {name: f"{TITLES[name]} ({number} images)" for name in OF_EQUALS}
    if "timing_images" in scores:
        titles["seconds"] = f"{int(scores['timing_images'].max())} images, s"
    titles["seconds_one"] = "1 image, s"
    if "problem" in scores and scores["problem"].notna().any():
        titles["problem"] = "problem"
    return format_table(scores.astype(dict.fromkeys(labels, str)), titles)


def difference_cells(differences: pd.DataFrame) -> Cells:
    """Return how far rows are from the baseline as text; only a header without one.

    Args:
        differences: The catalog entry `score_differences`.
    """
    titles = {"method": "method", **{name: TITLES[name] for name in SCORES}}
    return format_table(differences.astype({"method": str}), titles, sign="+")


def timing_cells(timings: Mapping[str, Any]) -> Cells:
    """Return the seconds of each row and stage as text, of one image and of several.

    Args:
        timings: The catalog entry `timings`.
    """
    counts = {"seconds": timings["protocol"]["timing_images"], "seconds_one": 1}
    assert counts.keys() == TIMED.keys()
    rows: list[dict[str, Any]] = []
    for method in timings["seconds_one"]:
        for what in (what for what in counts if method in timings[what]):
            stages = timings[what][method]
            row = {"method": method, "images": counts[what]}
            together = np.sum(list(stages.values()), axis=0)
            for name, seconds in {**stages, "together": together}.items():
                row[name] = np.mean(seconds)
                row[f"{name}_std"] = (
                    np.std(seconds, ddof=1) if len(seconds) > 1 else None
                )
            rows.append({**row, "runs": str(len(together))})
    titles = {name: name for name in ("method", "images", *STAGES, "together", "runs")}
    return format_table(pd.DataFrame(rows, columns=None if rows else [*titles]), titles)


def format_settings(settings: Mapping[str, Any]) -> str:
    """Return settings in one line, such as `sampler "ddim", num_steps 4`."""
    return ", ".join(f"{name} {json.dumps(v)}" for name, v in settings.items())


def as_columns(intervals: Mapping[str, Interval]) -> dict[str, float]:
    """Return intervals as tables have them: NAME, NAME_low and NAME_high."""
    return {
        f"{name}{end}": value
        for name, found in intervals.items()
        for end, value in zip(ENDS, vars(found).values(), strict=True)
    }


def _cell(row: Mapping[Any, Any], name: str, sign: str) -> str:
    value = row[name]
    if pd.isna(value):
        return ""
    if isinstance(value, str):
        return value
    if f"{name}_low" in row:
        interval = Interval(value, row[f"{name}_low"], row[f"{name}_high"])
        return f"{interval:{sign}.3f}"
    text = f"{value:{sign}{FORMATS.get(name, '.3f')}}"
    spreads = [
        row[f"{name}{end}"] for end in ("_std", "_error") if f"{name}{end}" in row
    ]
    text += "".join(f" ± {spread:.3f}" for spread in spreads if pd.notna(spread))
    if f"{name}_runs" in row:
        runs = row[f"{name}_runs"]
        text += " (1 run)" if runs == 1 else f" ({runs:.0f} runs)"
    return text
