"""Tables of the audit: its curves, its summary, and differences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval, bootstrap_mean
from clip2latent_kedro.metrics.student_t import t_interval
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

AREA_RESAMPLES = 1000  # of an area, whose every draw is as many hulls as targets
# Of a table without a row, which cannot be read without columns.
CURVE_COLUMNS = ["row", "target", "number", "strength", "chosen", "gain", "leakage"]
DIFFERENCE_COLUMNS = ["row", "num_targets"]
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
    "edit_seconds": "one edit, s",
    "edit_seconds_each": "of many, s",
    "generator_seconds": "once a generator, s",
    "target_seconds": "once a text, s",
    "num_targets": "targets",
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
        pictures: Which w are edited, by target, as the scores (see
            `Audit.find_pictures`).
    """

    name: str
    strengths: list[float]
    chosen: Mapping[str, int]
    choice: Choice
    scores: Mapping[str, Samples]
    records: Mapping[str, Mapping[str, Any]]
    pictures: Mapping[str, np.ndarray]

    def by_w(
        self, score: str, targets: Sequence[str], num: int | None = None
    ) -> np.ndarray:
        """Return a number for each w of the mean of a score over targets, [num_w].

        Most targets edit most of the w, each in another place of its list, so that
        their pictures are no independent draws; the w are. With s_i the sum of the
        scores of what is edited of a w, c_i their count and m the mean of all, it is

            m + (s_i - m c_i) / mean(c),

        whose mean is m, and whose spread is that of m as w are drawn anew (the
        linearised ratio of sums, Cochran 1977, chapter 6).

        Args:
            score: At the chosen strength of each target.
            targets: One or more of those in `scores`.
            num: Pictures of each seed, the first; None for all.

        Returns:
            NaN where the score applies to none.
        """
        values = np.concatenate(
            [self.scores[t][score][self.chosen[t]][:, :num].ravel() for t in targets]
        ).astype(np.float64)
        pictures = [self.pictures[t][:, :num].ravel() for t in targets]
        _, w = np.unique(np.concatenate(pictures), return_inverse=True)
        applies = np.isfinite(values)
        counts = np.bincount(w, applies)
        if not applies.any():
            return np.full(len(counts), np.nan)
        sums = np.bincount(w, np.where(applies, values, 0))
        mean = sums.sum() / counts.sum()
        found: np.ndarray = mean + (sums - mean * counts) / counts.mean()
        return found


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
        scores = {t: arrays for t, (arrays, r) in of_row.items() if not r["problem"]}
        found.append(
            Found(
                name,
                row.list_strengths(),
                choices[name].strengths,
                choices[name],
                scores,
                {t: record for t, (_, record) in of_row.items()},
                {
                    t: audit.find_pictures(t, arrays["kept"].shape[2])
                    for t, arrays in scores.items()
                },
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
                of_pictures = {k: scores[k][number].ravel() for k in EDIT_SCORES}
                intervals = {
                    name: t_interval(applying.tolist(), evaluation.confidence)
                    for name, values in of_pictures.items()
                    if len(applying := values[np.isfinite(values)]) > 1
                }
                yield {
                    "row": one.name,
                    "target": target,
                    "number": number,
                    "strength": strength,
                    "chosen": number == one.chosen[target],
                    "gain": gain[number],
                    "leakage": leakage[number],
                    **as_columns(intervals),
                }


def summary_rows(
    audit: Audit, found: list[Found], evaluation: EvaluationConfig, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the means over the targets of each row, and what it costs."""
    for one in found:
        problems = [r["problem"] for r in one.records.values() if r["problem"]]
        intervals = {}
        if one.scores:
            flat = {name: one.by_w(name, list(one.scores)) for name in EDIT_SCORES}
            intervals = _intervals(flat, evaluation, seed)
            intervals = {
                "area": _area_interval(audit, one, evaluation, seed),
                **intervals,
            }
        made = [r for r in one.records.values() if not r["problem"]]
        row = audit.rows[one.name]
        tried = row.tried[one.choice.tried]
        yield {
            "row": one.name,
            **as_columns(intervals),
            "num_targets": len(one.scores),
            "edit_seconds": _median(made, "seconds_one"),
            "edit_seconds_each": _median(made, "seconds_each"),
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
    """Yield each row less the baseline, paired by w, at the chosen strengths."""
    by_name = {one.name: one for one in found}
    baseline = by_name.get(audit.config.baseline or "")
    if baseline is None:
        return
    for one in found:
        if one is baseline:
            continue
        common = [target for target in one.scores if target in baseline.scores]
        if not common:
            continue
        differences = {}
        num = min(row.pictures[common[0]].shape[1] for row in (one, baseline))
        for score in EDIT_SCORES:
            ours, theirs = (row.by_w(score, common, num) for row in (one, baseline))
            difference = paired_difference(
                ours, theirs, confidence=evaluation.confidence
            )
            if difference is not None:
                differences[score] = difference
        yield {"row": one.name, "num_targets": len(common), **as_columns(differences)}


def _area_interval(
    audit: Audit, found: Found, evaluation: EvaluationConfig, seed: int
) -> Interval:
    """Return the area of a row, the mean over all targets, with its interval.

    The w are drawn again with replacement, each with all that is edited of it. A target
    for which the row failed has no area.
    """

    def mean_areas(weights: np.ndarray) -> np.ndarray:
        areas = np.zeros(len(weights))
        for target, scores in found.scores.items():
            of_pictures = weights[:, np.searchsorted(every, found.pictures[target])]
            drawn = of_pictures.reshape(len(weights), -1)
            points = zip(*gain_and_leakage(scores, drawn), strict=True)
            areas += [
                tradeoff_area(gain, leakage, limit=audit.config.max_leakage)
                for gain, leakage in points
            ]
        return areas / len(found.records)

    every = np.unique(np.concatenate([p.ravel() for p in found.pictures.values()]))
    num = len(every)
    random = np.random.default_rng(derive_seed(seed, "bootstrap"))
    draws = min(evaluation.num_resamples, AREA_RESAMPLES)
    drawn = random.multinomial(num, np.full(num, 1 / num), size=draws)
    tail = (1 - evaluation.confidence) / 2
    low, high = np.quantile(mean_areas(drawn.astype(np.float64)), [tail, 1 - tail])
    (mean,) = mean_areas(np.ones((1, num)))
    return Interval(float(mean), float(low), float(high))


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
