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
from clip2latent_kedro.study.comparison import paired_difference

Verdict = Literal["holds", "does not hold", "cannot be told"]
ABOVE = 0.01  # of a score: up to this above it is not above it
NEAR = 0.05  # of a score: less than this below it is near it
FREE = 0.02  # of a score: losing less than this is no cost
FRACTION = 0.5  # of the time: up to this is a fraction of it
TWENTIETH = 1 / 20  # of the time of a search from nothing, for a refined sample
SINGLE = 3.0  # time that was taken once is known to this factor, up and down
BY_CLIP = {
    "clip_score": "the CLIP that ranks",
    "held_out_score": "the held-out CLIP",
}
SCORED_BY = {**BY_CLIP, "blended": "the share of blends"}


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
        rows: The names of the two.
    """

    title: str
    parts: Sequence[Part]
    sentence: str
    rows: tuple[str, str]

    @property
    def verdict(self) -> Verdict:
        """Whether it is so here."""
        verdicts = {part.verdict for part in self.parts}
        if "does not hold" in verdicts:
            return "does not hold"
        return "holds" if verdicts == {"holds"} else "cannot be told"


@dataclass(frozen=True)
class Rule:
    """What a claim about a row and another demands.

    Attributes:
        title: What is claimed of `{row}` and `{other}`.
        scores: By which the row must lie above the other.
        word: For that, in the sentence.
        margin: How far above at least, or below at most where it is negative: a share
            of the other's score.
        not_above: Those of the scores by which the row must not lie above instead.
        needs_all: Whether nothing is claimed unless both rows have every score.
        time: A word for the share of the other's time that the row may take at most,
            and that share; None if time decides nothing.
    """

    title: str
    scores: Sequence[str]
    word: str
    margin: float
    not_above: Sequence[str] = ()
    needs_all: bool = True
    time: tuple[str, float] | None = None


# The paper's table 1 has the first of LAFITE; that of CLIP2GAN is ours.
SCORES_ABOVE = Rule(
    "{row.name} scores above {other.name}",
    tuple(BY_CLIP),
    "above",
    ABOVE,
    needs_all=False,
)
# One for each CLIP, since optimisation climbs one of them.
NEAR_AND_FASTER = [
    Rule(
        f"{{row.name}} is near {{other.name}} by {by}, at a fraction of its time",
        [score],
        "near",
        -NEAR,
        time=("a fraction", FRACTION),
    )
    for score, by in BY_CLIP.items()
]
CLIMBS_ITS_OWN_CLIP_ONLY = Rule(
    "{row.name} is above {other.name} by its own CLIP, but not by another",
    tuple(BY_CLIP),
    "above",
    ABOVE,
    not_above=["held_out_score"],
)
# Ours, by what the search does not climb.
REACHES_A_SEARCH = Rule(
    "{row.name} is as good as {other.name} by what that does not climb, in a "
    "twentieth of its time",
    ["held_out_score", "accuracy"],
    "as good",
    -FREE,
    time=("a twentieth", TWENTIETH),
)
CLIMBS_BY_BLENDS = Rule(
    "{row.name} is above {other.name} by the CLIP that it climbs, with more blends",
    ["clip_score", "blended"],
    "above",
    ABOVE,
)
RESPACING_IS_FREE = Rule(
    "{row.settings[num_steps]} steps instead of {other.settings[num_steps]} cost "
    "nothing ({row.name}, {other.name})",
    tuple(BY_CLIP),
    "nothing",
    -FREE,
    needs_all=False,
)


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
    claims = (
        _judge(rule, row, other, confidence)
        for rule, row, other in _claimed(rows, baseline)
    )
    return [claim for claim in claims if claim is not None]


def describe_claims(claims: Sequence[Claim], confidence: float) -> str:
    """Return how sure the claims are, all together, in words.

    Args:
        claims: What `judge_claims` returned.
        confidence: That a claim which holds or does not hold is right.
    """
    return (
        f"Claims that were looked at: {len(claims)}, all of which were fixed before "
        f"this run and stand here, whatever came of them. Each is judged alone with "
        f"{confidence:.0%} confidence, which the intervals of its parts share "
        f"(Student's t, paired by prompt): a few of many such claims may come out "
        f"wrong by chance. Intervals cover the choice of prompts and the repeats of "
        f"the timing, not another training."
    )


def _claimed(
    rows: Sequence[Scored], baseline: str | None
) -> Iterator[tuple[Rule, Scored, Scored]]:
    """Yield each rule with the row that it speaks of, and the other row."""
    ours = [row for row in rows if row.name == baseline and row.kind == "clip2latent"]
    for own, row in product(ours, rows):
        if row.kind in ("lafite", "clip2gan"):
            yield SCORES_ABOVE, own, row
        if row.kind == "direct":
            yield from ((rule, own, row) for rule in NEAR_AND_FASTER)
            yield CLIMBS_ITS_OWN_CLIP_ONLY, row, own
        if row.kind in ("direct", "refinement"):
            yield CLIMBS_BY_BLENDS, row, own
    for row, other in product(rows, rows):
        if row.kind == "refinement" and other.kind == "direct":
            yield REACHES_A_SEARCH, row, other
    # The published sampler in few steps, and that in most steps.
    ancestral = [
        row
        for row in rows
        if row.kind == "clip2latent" and row.settings["sampler"] == "ddpm"
    ]
    for fewer in ancestral:
        alike = [row for row in ancestral if _but_steps(row) == _but_steps(fewer)]
        full = max(alike, key=lambda row: int(row.settings["num_steps"]))
        if full.settings["num_steps"] > fewer.settings["num_steps"]:
            yield RESPACING_IS_FREE, fewer, full


def _but_steps(row: Scored) -> dict[str, Any]:
    own = ("num_steps", "variance")
    return {name: value for name, value in row.settings.items() if name not in own}


def _judge(rule: Rule, row: Scored, other: Scored, confidence: float) -> Claim | None:
    """Return what comes of a rule; None without the figures that it needs."""

    def compare(score: str, num_parts: int = 1) -> Interval | None:
        if score not in row.scores or score not in other.scores:
            return None
        return paired_difference(
            row.scores[score],
            other.scores[score],
            confidence=confidence,
            num_comparisons=num_parts,
        )

    scores = [score for score in rule.scores if compare(score) is not None]
    are_timed = row.seconds is not None and other.seconds is not None
    if not scores or (rule.needs_all and len(scores) < len(rule.scores)):
        return None
    if rule.time is not None and not are_timed:
        return None
    num_parts = len(scores) + (rule.time is not None)
    parts: list[Part] = []
    differences: dict[str, Interval] = {}
    for score in scores:
        difference = compare(score, num_parts)
        assert difference is not None
        differences[score] = difference
        values = other.scores[score][
            np.isfinite(other.scores[score]) & np.isfinite(row.scores[score])
        ]
        bound = rule.margin * abs(float(values.mean()))
        parts.append(Part(difference, bound, score not in rule.not_above))
    margins = " and ".join(f"{abs(part.bound):.4f}" for part in parts)
    judged = differences.pop("accuracy", None) or compare("accuracy")
    said = " and ".join(f"{differences[s]:+.3f} by {SCORED_BY[s]}" for s in differences)
    sentence = (
        f"The difference is {said}"
        f"{'' if judged is None else f'; of the attributes right {judged:+.3f}'}, "
        f"where {rule.word} is {'more' if rule.margin > 0 else 'less'} than {margins} "
        f"({abs(rule.margin):.0%} of that score){'' if rule.margin > 0 else ' below'}"
    )
    if row.seconds is not None and other.seconds is not None:
        took, took_other = map(_describe_seconds, (row.seconds, other.seconds))
        sentence += f"; it takes {took} where that takes {took_other}"
        if rule.time is not None:
            word, most = rule.time
            ratio = _time_ratio(
                row.seconds, other.seconds, 1 - (1 - confidence) / num_parts
            )
            parts.append(Part(ratio, most, is_above=False))
            sentence += f", a share of {ratio:.3g}, where {word} is at most {most:g}"
    caveats = dict.fromkeys([*row.caveats, *other.caveats])
    return Claim(
        rule.title.format(row=row, other=other),
        parts,
        " ".join([f"{sentence}.", *caveats]),
        (row.name, other.name),
    )


def _time_ratio(
    seconds: Sequence[float], others: Sequence[float], confidence: float
) -> Interval:
    """Return one time as a share of another, between the ends of both intervals."""
    one, two = (_log_interval(times, confidence) for times in (seconds, others))
    ends = one.mean - two.mean, one.low - two.high, one.high - two.low
    return Interval(*(float(np.exp(end)) for end in ends))


def _log_interval(seconds: Sequence[float], confidence: float) -> Interval:
    """Return the mean of log seconds with its interval, Student's t over the repeats.

    One repeat has no spread, and may be a cold one: it is known to a factor alone.
    """
    logs = np.log(seconds)
    if len(logs) > 1:
        return t_interval(logs.tolist(), confidence)
    (once,) = logs.tolist()
    return Interval(once, once - np.log(SINGLE), once + np.log(SINGLE))


def _describe_seconds(seconds: Sequence[float]) -> str:
    return f"{np.mean(seconds):.3g} s (n = {len(seconds)})"
