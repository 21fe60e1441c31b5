"""Tables of the audit: its curves, its summary, and differences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval, bootstrap_mean
from clip2latent_kedro.metrics.tradeoff import tradeoff_area
from clip2latent_kedro.runtime import derive_seed
from clip2latent_kedro.study.comparison import paired_difference
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.editing.choice import Choice, gain_and_leakage
from clip2latent_kedro.study.editing.plan import Audit
from clip2latent_kedro.study.editing.scores import EDIT_SCORES
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult
from clip2latent_kedro.study.samples import Samples
from clip2latent_kedro.study.tables import as_columns, format_settings

SCORE_TITLES = {
    "row": "row",
    "gained": "gained",
    "kept": "others kept",
    "identity": "identity",
    "direction": "held-out direction",
    "blended": "blends",
    "blended_before": "blends before",
    "w_distance": "distance of w",
    "style_distance": "distance of styles",
}
SUMMARY_TITLES = {
    "row": "row",
    "area": "area",
    **{name: title for name, title in SCORE_TITLES.items() if name != "row"},
    "seconds_one": "one edit, s",
    "seconds_each": "of many, s",
    "generator_seconds": "once a generator, s",
    "target_seconds": "once a text, s",
    "num_pictures": "pictures",
    "problem": "problem",
}


@dataclass(frozen=True)
class Found:
    """The results of a row.

    Attributes:
        name: Of the row.
        strengths: Of its curve.
        chosen: Number of the reported strength, by target.
        choice: Which settings, and the areas of all that were tried.
        scores: By target (see `measuring.measure_edit`); those that failed are not in.
        records: By target, all.
    """

    name: str
    strengths: list[float]
    chosen: Mapping[str, int]
    choice: Choice
    scores: Mapping[str, Samples]
    records: Mapping[str, Mapping[str, Any]]

    def at_chosen(self, score: str) -> np.ndarray:
        """Return a score at the chosen strengths, [num_targets, num_seeds, n]."""
        rows = [s[score][self.chosen[target]] for target, s in self.scores.items()]
        return np.array(rows, dtype=np.float64)

    def by_picture(self, score: str) -> np.ndarray:
        """Return the mean of a score over the targets, [num_seeds, n], or NaN."""
        values = self.at_chosen(score)
        if not len(values):
            return np.full((1, 1), np.nan)
        counts = np.isfinite(values).sum(0)
        totals = np.nansum(values, axis=0)
        empty = np.full(totals.shape, np.nan)
        np.divide(totals, counts, out=empty, where=counts > 0)
        return empty


def gather_found(
    audit: Audit,
    choices: Mapping[str, Choice],
    variants: list[PlannedVariant],
    results: Mapping[str, StoredResult],
) -> list[Found]:
    """Return the results of each row, in their order."""
    found = []
    for name, row in audit.rows.items():
        of_row = {
            v.variant.line: results[v.key] for v in variants if v.variant.label == name
        }
        found.append(
            Found(
                name,
                row.list_strengths(),
                choices[name].strengths,
                choices[name],
                {t: arrays for t, (arrays, r) in of_row.items() if not r["problem"]},
                {t: record for t, (_, record) in of_row.items()},
            )
        )
    return found


def curve_rows(
    found: list[Found], evaluation: EvaluationConfig, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the scores of each row, target and strength, with intervals."""
    for one in found:
        for target, scores in one.scores.items():
            gain, leakage = gain_and_leakage(scores)
            for number, strength in enumerate(one.strengths):
                flat = {k: scores[k][number].ravel() for k in EDIT_SCORES}
                yield {
                    "row": one.name,
                    "target": target,
                    "number": number,
                    "strength": strength,
                    "chosen": number == one.chosen[target],
                    "gain": gain[number],
                    "leakage": leakage[number],
                    **as_columns(_intervals(flat, evaluation, seed)),
                }


def summary_rows(
    audit: Audit, found: list[Found], evaluation: EvaluationConfig, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the means over the targets of each row, and what it costs."""
    for one in found:
        problems = [r["problem"] for r in one.records.values() if r["problem"]]
        flat = {name: one.by_picture(name).ravel() for name in EDIT_SCORES}
        intervals = _intervals(flat, evaluation, seed)
        areas = [
            tradeoff_area(*gain_and_leakage(s), limit=audit.config.max_leakage)
            for s in one.scores.values()
        ]
        failed = [0.0] * len(problems)
        made = [r for r in one.records.values() if not r["problem"]]
        row = audit.rows[one.name]
        tried = row.tried[one.choice.tried]
        yield {
            "row": one.name,
            "area": float(np.mean([*areas, *failed])),
            **as_columns(intervals),
            "seconds_one": _median(made, "seconds_one"),
            "seconds_each": _median(made, "seconds_each"),
            "generator_seconds": _median_preparation(made, "generator"),
            "target_seconds": _median_preparation(made, "target"),
            "num_pictures": sum(s["kept"][0].size for s in one.scores.values()),
            "strengths": " ".join(
                f"{target}={one.strengths[k]:g}" for target, k in one.chosen.items()
            ),
            "settings": format_settings({**row.settings, **tried}),
            "areas": " ".join(f"{area:.3f}" for area in one.choice.areas),
            "problem": problems[0] if problems else None,
        }


def difference_rows(
    audit: Audit, found: list[Found], evaluation: EvaluationConfig
) -> Iterator[dict[str, Any]]:
    """Yield each row less the baseline, paired by picture, at the chosen strengths."""
    by_name = {one.name: one for one in found}
    baseline = by_name.get(audit.config.baseline or "")
    if baseline is None:
        return
    for one in found:
        if one is baseline:
            continue
        differences = {}
        for score in EDIT_SCORES:
            ours, theirs = one.by_picture(score), baseline.by_picture(score)
            num = min(ours.shape[1], theirs.shape[1])
            if len(ours) != len(theirs):
                continue
            difference = paired_difference(
                ours[:, :num].ravel(),
                theirs[:, :num].ravel(),
                confidence=evaluation.confidence,
            )
            if difference is not None:
                differences[score] = difference
        yield {"row": one.name, **as_columns(differences)}


def _intervals(
    scores: Mapping[str, np.ndarray], evaluation: EvaluationConfig, seed: int
) -> dict[str, Interval]:
    found = {}
    for name, values in scores.items():
        applying = values[np.isfinite(values)].astype(np.float64)
        if len(applying):
            found[name] = bootstrap_mean(
                applying,
                num_resamples=evaluation.num_resamples,
                confidence=evaluation.confidence,
                generator=np.random.default_rng(derive_seed(seed, "bootstrap")),
            )
    return found


def _median(records: list[Mapping[str, Any]], name: str) -> float | None:
    values = [record[name] for record in records if name in record]
    return float(np.median(values)) if values else None


def _median_preparation(records: list[Mapping[str, Any]], name: str) -> float | None:
    values = [r["preparation"][name] for r in records if name in r["preparation"]]
    return float(np.median(values)) if values else None
