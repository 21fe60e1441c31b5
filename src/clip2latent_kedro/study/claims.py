"""What the paper claims, and this project, held against the figures of a comparison.

A claim is looked at only where its rows are there. It rests on intervals, each of which
must lie on one side of a bound that its sentence names: it holds if all of them do,
does not hold if one lies on the other side, and cannot be told otherwise. So wider
intervals, of fewer prompts or repeats, never turn "cannot be told" into something else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.metrics.student_t import t_interval
from clip2latent_kedro.study.comparison import tell_apart

Verdict = Literal["holds", "does not hold", "cannot be told"]
ABOVE = 0.01  # of a score: up to this above it is not above it
NEAR = 0.05  # of a score: less than this below it is near it
FREE = 0.02  # of a score: losing less than this is no cost
FRACTION = 0.5  # of the time: up to this is a fraction of it
TWENTIETH = 1 / 20  # of the time of a search from nothing, for a refined sample
SINGLE = 3.0  # time that was taken once is known to this factor, up and down
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
        seconds: Of each repeat of one quantity, the same in all rows; None if the row
            is not timed.
        caveats: Sentences that a claim about the row must not leave unsaid.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    scores: Mapping[str, np.ndarray]
    seconds: Sequence[float] | None
    caveats: Sequence[str] = ()


@dataclass(frozen=True)
class Part:
    """One of the intervals that a claim rests on.

    Attributes:
        interval: Of a difference, or of a ratio of times.
        bound: Where it must not lie across.
        is_above: Whether it must lie above the bound, or else not above it.
    """

    interval: Interval
    bound: float
    is_above: bool = True

    @property
    def verdict(self) -> Verdict:
        """What the whole interval says; none tells two scores of zero apart."""
        if self.bound == 0 and self.interval.low <= 0 <= self.interval.high:
            return "cannot be told"  # a share of zero is no margin
        if self.interval.low > self.bound:
            return "holds" if self.is_above else "does not hold"
        if self.interval.high <= self.bound:
            return "does not hold" if self.is_above else "holds"
        return "cannot be told"


@dataclass(frozen=True)
class Claim:
    """A claim about two rows, and what the figures say.

    Attributes:
        title: What is claimed.
        parts: The intervals that decide.
        sentence: The figures, the margins, and what must be known of the rows.
    """

    title: str
    parts: Sequence[Part]
    sentence: str

    @property
    def verdict(self) -> Verdict:
        """Whether it is so here."""
        verdicts = {part.verdict for part in self.parts}
        if "does not hold" in verdicts:
            return "does not hold"
        return "holds" if verdicts == {"holds"} else "cannot be told"


@dataclass(frozen=True)
class Pair:
    """Two rows, with what can be said of the one against the other.

    Attributes:
        row: The one that is claimed to be better, or as good.
        other: The other.
        confidence: Of a claim as a whole.
    """

    row: Scored
    other: Scored
    confidence: float

    def differences(self, scores: Sequence[str], num_parts: int) -> dict[str, Interval]:
        """Return paired differences by each score that both have.

        Args:
            scores: Their names.
            num_parts: Of the claim, all of which are to be right together.
        """
        found = {
            score: tell_apart(
                self.row.scores[score],
                self.other.scores[score],
                confidence=self.confidence,
                num_comparisons=num_parts,
            )
            for score in scores
        }
        return {score: value for score, value in found.items() if value is not None}

    def clips(self, num_others: int = 0) -> dict[str, Interval]:
        """Return the differences by each CLIP that has scored both.

        Args:
            num_others: Parts of the claim beside these.
        """
        every = tuple(SCORED_BY)
        num_clips = len(self.differences(every, 1))
        return self.differences(every, num_clips + num_others)

    def share_of(self, share: float, score: str) -> float:
        """Return a margin: a share of the other row's score, where both have one."""
        values = self.other.scores[score]
        both = np.isfinite(values) & np.isfinite(self.row.scores[score])
        return share * abs(float(values[both].mean()))

    def time_share(self, num_parts: int) -> Interval | None:
        """Return the time of the row as a share of the other's; None without times."""
        if self.row.seconds is None or self.other.seconds is None:
            return None
        confidence = 1 - (1 - self.confidence) / num_parts
        one, two = (
            _log_interval(seconds, confidence)
            for seconds in (self.row.seconds, self.other.seconds)
        )
        ends = one.mean - two.mean, one.low - two.high, one.high - two.low
        return Interval(*(float(np.exp(end)) for end in ends))

    def attributes(self) -> str:
        """Return what the judge says, for the end of a sentence."""
        judged = self.differences(["accuracy"], 1).get("accuracy")
        return "" if judged is None else f"; of the attributes right {_show(judged)}"

    def caveats(self) -> str:
        """Return what must be known of both, for after a sentence."""
        said = dict.fromkeys([*self.row.caveats, *self.other.caveats])
        return "".join(f" {caveat}" for caveat in said)


def judge_claims(
    rows: Sequence[Scored], baseline: str | None, *, confidence: float
) -> list[Claim]:
    """Return the claims that these rows can speak to.

    Args:
        rows: All of the comparison.
        baseline: The row that stands for clip2latent; None for none.
        confidence: That a claim which holds or does not hold is right. The intervals
            of its parts share the error (Bonferroni).
    """
    ours = [row for row in rows if row.name == baseline and row.kind == "clip2latent"]
    claims: list[Claim] = []
    for own, row in product(ours, rows):
        if row.kind in ("lafite", "clip2gan"):
            claims += _beats(Pair(own, row, confidence))
        if row.kind == "direct":
            claims += _is_near_and_faster(Pair(own, row, confidence))
            claims += _climbs_its_own_clip_only(Pair(row, own, confidence))
    refined = [row for row in rows if row.kind == "refinement"]
    for row, searched in product(refined, rows):
        if searched.kind == "direct":
            claims += _reaches(Pair(row, searched, confidence))
    for fewer, full in _respaced(rows):
        claims += _costs_nothing(Pair(fewer, full, confidence))
    return claims


def describe_claims(claims: Sequence[Claim], confidence: float) -> str:
    """Return how sure the claims are, all together, in words.

    Args:
        claims: Of `judge_claims`.
        confidence: As there.
    """
    return (
        f"Claims that were looked at: {len(claims)}, all of which were fixed before "
        f"this run and stand here, whatever came of them. Each is judged alone with "
        f"{confidence:.0%} confidence, which the intervals of its parts share "
        f"(Student's t, paired by prompt): a few of many such claims may come out "
        f"wrong by chance. Intervals cover the choice of prompts and the repeats of "
        f"the timing, not another training."
    )


def _beats(pair: Pair) -> Iterator[Claim]:
    """Clip2latent scores above LAFITE (paper, table 1), and above CLIP2GAN (ours)."""
    found = pair.clips()
    if not found:
        return
    bounds = {score: pair.share_of(ABOVE, score) for score in found}
    yield Claim(
        f"{pair.row.name} scores above {pair.other.name}",
        [Part(found[score], bounds[score]) for score in found],
        f"The difference is {_describe(found)}{pair.attributes()}, where above is more "
        f"than {_margins(ABOVE, bounds)}.{pair.caveats()}",
    )


def _is_near_and_faster(pair: Pair) -> Iterator[Claim]:
    """Clip2latent is near direct optimisation at a fraction of the time.

    A claim for each CLIP, since optimisation climbs one of them.
    """
    share = pair.time_share(num_parts=2)
    if share is None:
        return
    for score, difference in pair.differences(tuple(SCORED_BY), 2).items():
        allowed = pair.share_of(NEAR, score)
        yield Claim(
            f"{pair.row.name} is near {pair.other.name} by {SCORED_BY[score]}, at a "
            f"fraction of its time",
            [
                Part(difference, -allowed),
                Part(share, FRACTION, is_above=False),
            ],
            f"The difference is {_show(difference)}, where near is less than "
            f"{_margins(NEAR, {score: allowed})} below; {_describe_time(pair, share)}, "
            f"where a fraction is at most {FRACTION:g}.{pair.caveats()}",
        )


def _climbs_its_own_clip_only(pair: Pair) -> Iterator[Claim]:
    """Optimisation gains by the CLIP that it climbs, not by another one."""
    found = pair.clips()
    if len(found) < len(SCORED_BY):
        return
    bounds = {score: pair.share_of(ABOVE, score) for score in found}
    yield Claim(
        f"{pair.row.name} is above {pair.other.name} by its own CLIP, but not by "
        f"another",
        [
            Part(found["clip_score"], bounds["clip_score"]),
            Part(found["held_out_score"], bounds["held_out_score"], is_above=False),
        ],
        f"The difference is {_describe(found)}{pair.attributes()}, where above is more "
        f"than {_margins(ABOVE, bounds)}.{pair.caveats()}",
    )


def _reaches(pair: Pair) -> Iterator[Claim]:
    """A refined sample is as good as a search from nothing, in a twentieth of its time.

    By what the search does not climb: the held-out CLIP and the attributes. Ours.
    """
    scores = ("held_out_score", "accuracy")
    share, found = pair.time_share(num_parts=3), pair.differences(scores, 3)
    if share is None or len(found) < len(scores):
        return
    allowed = {score: pair.share_of(FREE, score) for score in scores}
    held_out, judged = (found[score] for score in scores)
    yield Claim(
        f"{pair.row.name} is as good as {pair.other.name} by what that does not climb, "
        f"in a twentieth of its time",
        [
            *(Part(found[score], -allowed[score]) for score in scores),
            Part(share, TWENTIETH, is_above=False),
        ],
        f"The difference is {_show(held_out)} by {SCORED_BY['held_out_score']}; of the "
        f"attributes right {_show(judged)}, where as good is less than "
        f"{_margins(FREE, allowed)} below; {_describe_time(pair, share)}, where a "
        f"twentieth is at most {TWENTIETH:g}.{pair.caveats()}",
    )


def _costs_nothing(pair: Pair) -> Iterator[Claim]:
    """Respacing to a few steps costs nothing."""
    found = pair.clips()
    if not found:
        return
    allowed = {score: pair.share_of(FREE, score) for score in found}
    share = pair.time_share(num_parts=1)
    times = "" if share is None else f" It takes {_describe_seconds(pair)}."
    yield Claim(
        f"{pair.row.settings['num_steps']} steps instead of "
        f"{pair.other.settings['num_steps']} cost nothing ({pair.row.name}, "
        f"{pair.other.name})",
        [Part(found[score], -allowed[score]) for score in found],
        f"The difference is {_describe(found)}; nothing is less than "
        f"{_margins(FREE, allowed)} below.{times}{pair.caveats()}",
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


def _log_interval(seconds: Sequence[float], confidence: float) -> Interval:
    """Return the mean of log seconds with its interval, Student's t over the repeats.

    One repeat has no spread, and may be a cold one: it is known to a factor alone.
    """
    logs = np.log(seconds)
    if len(logs) > 1:
        return t_interval(logs.tolist(), confidence)
    (once,) = logs.tolist()
    return Interval(once, once - np.log(SINGLE), once + np.log(SINGLE))


def _describe(found: Mapping[str, Interval]) -> str:
    parts = [f"{_show(found[score])} by {SCORED_BY[score]}" for score in found]
    return " and ".join(parts)


def _margins(share: float, margins: Mapping[str, float]) -> str:
    numbers = " and ".join(f"{margin:.4f}" for margin in margins.values())
    return f"{numbers} ({share:.0%} of that score)"


def _describe_time(pair: Pair, share: Interval) -> str:
    return (
        f"it takes {_describe_seconds(pair)}, a share of {share.mean:.3g} "
        f"[{share.low:.3g}, {share.high:.3g}]"
    )


def _describe_seconds(pair: Pair) -> str:
    assert pair.row.seconds is not None
    assert pair.other.seconds is not None
    one, two = (
        f"{np.mean(seconds):.3g} s (n = {len(seconds)})"
        for seconds in (pair.row.seconds, pair.other.seconds)
    )
    return f"{one} where that takes {two}"


def _show(interval: Interval) -> str:
    return f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
