"""What the paper claims, and this project, held against the figures of a comparison.

A claim is looked at only where its rows are there. It holds, does not hold or cannot
be told by the bootstrap intervals of paired differences; the sentence gives them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from clip2latent_kedro.evaluation.comparison import compare_scores
from clip2latent_kedro.metrics.bootstrap import Interval

Verdict = Literal["holds", "does not hold", "cannot be told"]
NEAR = 0.05  # of a score: less than this below it is near it
FRACTION = 0.5  # of the time: less than this is a fraction of it
FREE = 0.02  # of a score: losing less than this is no cost
TWENTIETH = 1 / 20  # of the time of a search from nothing, for a refined sample
SCORED_BY = {
    "clip_score": "the CLIP that ranks",
    "held_out_score": "the held-out CLIP",
}


@dataclass(frozen=True)
class Scored:
    """A row as the claims see it.

    Attributes:
        name: Of the row.
        kind: Of its method.
        settings: All of them.
        scores: Of each prompt of the comparison, NaN where there is none,
            [num_prompts].
        seconds: For the images of the timing; None if it is not timed.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    scores: Mapping[str, np.ndarray]
    seconds: float | None

    def mean(self, score: str) -> float:
        """Return the mean over prompts that have the score; NaN if none has."""
        values = self.scores[score]
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


@dataclass(frozen=True)
class Claim:
    """A claim about two rows, and what the figures say.

    Attributes:
        title: What is claimed.
        verdict: Whether it is so here.
        sentence: The figures.
    """

    title: str
    verdict: Verdict
    sentence: str


Compare = Callable[[Scored, Scored, str], Interval | None]


def judge_claims(
    rows: Sequence[Scored],
    baseline: str | None,
    *,
    num_resamples: int,
    confidence: float,
    seed: int,
) -> list[Claim]:
    """Return the claims that these rows can speak to.

    Args:
        rows: All of the comparison.
        baseline: The row that stands for clip2latent; None for none.
        num_resamples: Bootstrap draws.
        confidence: Of the intervals.
        seed: Seed of the run.
    """

    def compare(row: Scored, other: Scored, score: str) -> Interval | None:
        return compare_scores(
            row.scores[score],
            other.scores[score],
            num_resamples=num_resamples,
            confidence=confidence,
            seed=seed,
        )

    ours = [row for row in rows if row.name == baseline and row.kind == "clip2latent"]
    claims: list[Claim] = []
    for own in ours:
        for row in rows:
            if row.kind in ("lafite", "clip2gan"):
                claims += _beats(own, row, compare)
            if row.kind == "direct":
                claims += _is_near_and_faster(own, row, compare)
                claims += _climbs_its_own_clip_only(row, own, compare)
    refined = [row for row in rows if row.kind == "refinement"]
    for row, searched in product(refined, rows):
        if searched.kind == "direct":
            claims += _reaches(row, searched, compare)
    for fewer, full in _respaced(rows):
        claims += _costs_nothing(fewer, full, compare)
    return claims


def _beats(own: Scored, other: Scored, compare: Compare) -> Iterator[Claim]:
    """Clip2latent scores above LAFITE (paper, table 1), and above CLIP2GAN (ours)."""
    found = _differences(own, other, compare)
    if not found:
        return
    judged = compare(own, other, "accuracy")
    verdict = _verdict(
        holds=all(difference.low > 0 for difference in found.values()),
        fails=any(difference.high < 0 for difference in found.values()),
    )
    yield Claim(
        f"{own.name} scores above {other.name}",
        verdict,
        f"The difference is {_describe(found)}{_of_attributes(judged)}.",
    )


def _is_near_and_faster(
    own: Scored, other: Scored, compare: Compare
) -> Iterator[Claim]:
    """Clip2latent is near direct optimisation at a fraction of the time.

    A claim for each CLIP, since optimisation climbs one of them.
    """
    if own.seconds is None or other.seconds is None:
        return
    share = own.seconds / other.seconds
    for score, difference in _differences(own, other, compare).items():
        allowed = -NEAR * abs(other.mean(score))
        verdict = _verdict(
            holds=share < FRACTION and difference.low > allowed,
            fails=share >= FRACTION or difference.high < allowed,
        )
        yield Claim(
            f"{own.name} is near {other.name} by {SCORED_BY[score]}, at a fraction of "
            f"its time",
            verdict,
            f"The difference is {_show(difference)}, where near is less than "
            f"{NEAR:.0%} below; it takes {own.seconds:.3g} s where that takes "
            f"{other.seconds:.3g} s.",
        )


def _climbs_its_own_clip_only(
    other: Scored, own: Scored, compare: Compare
) -> Iterator[Claim]:
    """Optimisation gains by the CLIP that it climbs, not by another one."""
    found = _differences(other, own, compare)
    if len(found) < len(SCORED_BY):
        return
    climbed, held_out = found["clip_score"], found["held_out_score"]
    verdict = _verdict(
        holds=climbed.low > 0 and held_out.low <= 0,
        fails=climbed.high < 0 or held_out.low > 0,
    )
    judged = compare(other, own, "accuracy")
    yield Claim(
        f"{other.name} is above {own.name} by its own CLIP, but not by another",
        verdict,
        f"The difference is {_describe(found)}{_of_attributes(judged)}.",
    )


def _reaches(refined: Scored, searched: Scored, compare: Compare) -> Iterator[Claim]:
    """A refined sample is as good as a search from nothing, in a twentieth of its time.

    By what the search does not climb: the held-out CLIP and the attributes. Ours.
    """
    if refined.seconds is None or searched.seconds is None:
        return
    scores = ("held_out_score", "accuracy")
    found = {score: compare(refined, searched, score) for score in scores}
    differences = {score: value for score, value in found.items() if value is not None}
    if len(differences) < len(scores):
        return
    allowed = {score: -FREE * abs(searched.mean(score)) for score in scores}
    share = refined.seconds / searched.seconds
    verdict = _verdict(
        holds=share <= TWENTIETH
        and all(differences[score].low > allowed[score] for score in scores),
        fails=share > TWENTIETH
        or any(differences[score].high < allowed[score] for score in scores),
    )
    held_out, judged = (differences[score] for score in scores)
    yield Claim(
        f"{refined.name} is as good as {searched.name} by what that does not climb, in "
        f"a twentieth of its time",
        verdict,
        f"The difference is {_show(held_out)} by {SCORED_BY['held_out_score']}"
        f"{_of_attributes(judged)}, where as good is less than {FREE:.0%} below; it "
        f"takes {refined.seconds:.3g} s where that takes {searched.seconds:.3g} s.",
    )


def _costs_nothing(fewer: Scored, full: Scored, compare: Compare) -> Iterator[Claim]:
    """Respacing to a few steps costs nothing."""
    found = _differences(fewer, full, compare)
    if not found:
        return
    allowed = {score: -FREE * abs(full.mean(score)) for score in found}
    verdict = _verdict(
        holds=all(found[score].low > allowed[score] for score in found),
        fails=any(found[score].high < allowed[score] for score in found),
    )
    times = ""
    if fewer.seconds is not None and full.seconds is not None:
        times = f" It takes {fewer.seconds:.3g} s instead of {full.seconds:.3g} s."
    yield Claim(
        f"{fewer.settings['num_steps']} steps instead of "
        f"{full.settings['num_steps']} cost nothing ({fewer.name}, {full.name})",
        verdict,
        f"The difference is {_describe(found)}; nothing is less than {FREE:.0%} "
        f"below.{times}",
    )


def _respaced(rows: Sequence[Scored]) -> Iterator[tuple[Scored, Scored]]:
    """Yield rows of the published sampler in few steps, each with that in all steps."""
    ancestral = [
        row
        for row in rows
        if row.kind == "clip2latent" and row.settings["sampler"] == "ddpm"
    ]
    for fewer in ancestral:
        alike = [row for row in ancestral if _differ_in_steps_alone(fewer, row)]
        full = max(alike, key=lambda row: int(row.settings["num_steps"]), default=fewer)
        if full.settings["num_steps"] > fewer.settings["num_steps"]:
            yield fewer, full


def _differ_in_steps_alone(row: Scored, other: Scored) -> bool:
    free = ("num_steps", "variance")
    return all(
        row.settings[name] == other.settings[name]
        for name in row.settings
        if name not in free
    )


def _differences(row: Scored, other: Scored, compare: Compare) -> dict[str, Interval]:
    """Return the differences by each CLIP that has scored both."""
    found = {score: compare(row, other, score) for score in SCORED_BY}
    return {score: value for score, value in found.items() if value is not None}


def _verdict(*, holds: bool, fails: bool) -> Verdict:
    if fails:
        return "does not hold"
    return "holds" if holds else "cannot be told"


def _of_attributes(judged: Interval | None) -> str:
    return "" if judged is None else f"; of the attributes right {_show(judged)}"


def _describe(found: Mapping[str, Interval]) -> str:
    parts = [f"{_show(found[score])} by {SCORED_BY[score]}" for score in found]
    return " and ".join(parts)


def _show(interval: Interval) -> str:
    return f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
