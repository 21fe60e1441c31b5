"""Tables for people: scores, differences and seconds as cells with their numbers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.study.cells import (
    Cell,
    Column,
    Table,
    interval_cell,
    number_cell,
    read_cell,
)
from clip2latent_kedro.study.distances import DISTANCES
from clip2latent_kedro.study.scoring import SCORES
from clip2latent_kedro.study.timing import STAGES, TIMED

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
MEANINGS = {
    **SCORES,
    **DISTANCES,
    "num_images": "Images that the distances are of",
    "num_samples": "Images of each prompt",
    **STAGES,
}
FORMATS = {
    "num_samples": ".0f",
    "num_images": ",.0f",
    "training_seconds": ",.0f",
    "training_cpu_seconds": ",.1f",
    "images": ".0f",
    "num_stated": ".0f",
    "most_shown": ".0f",
    "all_shown": ",.0f",
    "own_images": ",.0f",
    "num_targets": ".0f",
    "num_pictures": ",.0f",
    "edit_seconds": ".2g",
    "edit_seconds_each": ".2g",
    "generator_seconds": ".3g",
    "target_seconds": ".2g",
}
OF_ONE = {"blended": "a blend", "detected": "subject found"}  # what a picture is
ENDS = ("", "_low", "_high")  # of the columns of an interval
OF_EQUALS = ("fid", "cmmd")  # of `fid_images`, the same number in every row


def format_table(
    caption: str,
    table: pd.DataFrame,
    titles: Mapping[str, str],
    *,
    sign: str = "",
    anchor: str = "",
    link: str = "",
) -> Table:
    """Return the columns of a table as cells, empty where there is no number.

    A column NAME stands with its interval where the table has NAME_low and NAME_high,
    with its spread where it has NAME_std or NAME_error, and with how often it was
    measured where it has NAME_runs.

    Args:
        caption: What it shows, in a phrase.
        table: Numbers and texts.
        titles: What stands above each column that is shown, if it is there.
        sign: "+" to write it also before what is above zero, to which bars then reach.
        anchor: See `Table`.
        link: Of the table of whose rows the first column tells; "" for none.
    """
    shown = [name for name in titles if name in table]
    columns = [
        Column(titles[name], MEANINGS.get(name, ""), has_zero=bool(sign))
        for name in shown
    ]
    rows = [
        [_cell(row, name, sign) for name in shown] for row in table.to_dict("records")
    ]
    if link:
        rows = [
            [replace(first, link=(link, first.text)), *rest] for first, *rest in rows
        ]
    return Table(caption, columns, rows, anchor)


def score_table(
    caption: str,
    scores: pd.DataFrame,
    labels: Sequence[str] = ("method",),
    *,
    anchor: str = "",
) -> Table:
    """Return the scores: mean with interval, empty where one does not apply.

    Args:
        caption: What it shows, in a phrase.
        scores: A row for each method (see the catalog entry `scores`), point of a
            sweep or variant of an ablation.
        labels: Columns of texts to begin with.
        anchor: See `Table`.
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
    scores = scores.astype(dict.fromkeys(labels, str))
    return format_table(caption, scores, titles, anchor=anchor)


def difference_table(caption: str, differences: pd.DataFrame, link: str = "") -> Table:
    """Return how far rows are from the baseline; no rows without one.

    Args:
        caption: What it shows, in a phrase.
        differences: The catalog entry `score_differences`.
        link: Anchor of the table of the rows themselves; "" for none.
    """
    titles = {"method": "method", **{name: TITLES[name] for name in SCORES}}
    differences = differences.astype({"method": str})
    return format_table(
        caption, differences, titles, sign="+", anchor="differences", link=link
    )


def timing_table(caption: str, timings: Mapping[str, Any], link: str = "") -> Table:
    """Return the seconds of each row and stage, of one image and of several.

    Args:
        caption: What it shows, in a phrase.
        timings: The catalog entry `timings`.
        link: Anchor of the table of the rows themselves; "" for none.
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
    table = pd.DataFrame(rows, columns=None if rows else [*titles])
    return format_table(caption, table, titles, link=link)


def describe_scores(scores: Mapping[str, float]) -> dict[str, str]:
    """Return the scores of one picture in words, without those that do not apply.

    Args:
        scores: By name; a share of one picture is yes or no.
    """
    applying = {name: value for name, value in scores.items() if np.isfinite(value)}
    return {
        OF_ONE.get(name, TITLES[name]): ("yes" if value else "no")
        if name in OF_ONE
        else f"{value:.3f}"
        for name, value in applying.items()
    }


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


def _cell(row: Mapping[Any, Any], name: str, sign: str) -> Cell:
    value = row[name]
    if pd.isna(value):
        return Cell()
    if isinstance(value, str):
        return read_cell(value)
    if f"{name}_low" in row:
        interval = Interval(value, row[f"{name}_low"], row[f"{name}_high"])
        return interval_cell(interval, f"{sign}.3f")
    spreads = [row.get(f"{name}{end}") for end in ("_std", "_error")]
    (spread, *_) = [*(s for s in spreads if pd.notna(s)), None]
    notes = [] if spread is None else [f"± {spread:.3f}"]
    if f"{name}_runs" in row:
        runs = row[f"{name}_runs"]
        notes.append("(1 run)" if runs == 1 else f"({runs:.0f} runs)")
    cell = number_cell(value, f"{sign}{FORMATS.get(name, '.3f')}", " ".join(notes))
    if spread is None:
        return cell
    return replace(cell, low=float(value - spread), high=float(value + spread))
