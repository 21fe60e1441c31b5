"""What the numbers of a study say, in a paragraph.

Each sentence decides something by several comparisons at once: their intervals are
widened for that number (Bonferroni), and the paragraph ends with how many there were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.metrics.student_t import t_interval

NAMES = {
    "clip_score": "CLIP score",
    "held_out_score": "held-out CLIP score",
    "accuracy": "share of right attributes",
    "clip_diversity": "diversity",
    "w_distance": "distance of w from the training data",
}
RANKED = ("accuracy", "clip_score", "held_out_score")  # of which more is better
SHOWN_TIES = 4


@dataclass(frozen=True)
class Tried:
    """A variant and what it has scored.

    Attributes:
        line: Its line; "" if there is only one.
        label: Of the variant.
        scores: By name, a number for each seed; the seeds are those of all variants.
        is_apart: Whether it has no place on the axis.
        asked: What the pictures were drawn of; only equals are ranked together.
    """

    line: str
    label: str
    scores: Mapping[str, Sequence[float]]
    is_apart: bool = False
    asked: str = ""


def describe_study(tried: Sequence[Tried], confidence: float, num_failed: int) -> str:
    """Return a paragraph on a study: what is best, and what changes along the axis.

    Args:
        tried: Variants that have been scored, in the order of lines and axis.
        confidence: Of the intervals over seeds; in a sentence that compares, of all
            its comparisons together.
        num_failed: Variants that could not be scored.
    """
    sentences = []
    num_comparisons = 0
    every = list(dict.fromkeys(variant.asked for variant in tried))
    for asked in every:
        where = f"Given {asked}, the" if len(every) > 1 else "The"
        for name in RANKED:
            scored = [v for v in tried if name in v.scores and v.asked == asked]
            if len(scored) > 1:
                sentences.append(_describe_best(scored, name, confidence, where))
                num_comparisons += len(scored) - 1
    for line in dict.fromkeys(v.line for v in tried if not v.is_apart):
        members = [v for v in tried if v.line == line and not v.is_apart]
        if len(members) > 1:
            sentences.append(_describe_change(members, line, confidence))
            num_comparisons += len(_compared(members))
    if num_comparisons:
        number = _count(num_comparisons, "comparison")
        sentences.append(
            f"This rests on {number}; intervals allow for those of their own sentence."
        )
    if num_failed:
        sentences.append(f"{_count(num_failed, 'variant')} could not be scored.")
    return " ".join(sentences) or "There are too few variants to compare."


def _describe_best(
    tried: Sequence[Tried], name: str, confidence: float, where: str
) -> str:
    """Say which variant scores highest, and which cannot be told from it by seed."""
    best = max(tried, key=lambda variant: float(np.mean(variant.scores[name])))
    ties = [
        variant
        for variant in tried
        if variant is not best
        and _difference(variant, best, name, confidence, len(tried) - 1).high >= 0
    ]
    found = t_interval(best.scores[name], confidence)
    sentence = f"{where} {NAMES[name]} is highest at {best.label}, {_interval(found)}"
    if not ties:
        return f"{sentence}, above all others."
    if len(ties) == len(tried) - 1:
        return f"{sentence}; no other variant can be told from it."
    shown = "; ".join(variant.label for variant in ties[:SHOWN_TIES])
    more = len(ties) - SHOWN_TIES
    rest = f" and {more} more" if more > 0 else ""
    return f"{sentence}; not to be told from it: {shown}{rest}."


def _describe_change(tried: Sequence[Tried], line: str, confidence: float) -> str:
    """Say how scores change from one end of the axis to the other."""
    first, last = tried[0], tried[-1]
    changes, same = [], []
    compared = _compared(tried)
    for name in compared:
        title = NAMES[name]
        difference = _difference(last, first, name, confidence, len(compared))
        if difference.low <= 0 <= difference.high:
            same.append(title)
        else:
            verb = "gains" if difference.mean > 0 else "loses"
            changes.append(f"the {title} {verb} {_interval(difference, absolute=True)}")
    start = f"{line}: from" if line else "From"
    ends = [v.label.removeprefix(f"{line}, ") for v in (first, last)]
    if same:
        kept = "everything" if not changes else " and ".join(same)
        verb = "stays" if not changes or len(same) == 1 else "stay"
        changes.append(f"{kept} {verb} within the intervals")
    return f"{start} {ends[0]} to {ends[1]}, {', '.join(changes)}."


def _compared(tried: Sequence[Tried]) -> list[str]:
    """Return the scores that both ends of an axis have."""
    return [n for n in NAMES if n in tried[0].scores and n in tried[-1].scores]


def _difference(
    one: Tried, other: Tried, name: str, confidence: float, num_comparisons: int
) -> Interval:
    """Return the difference of two variants, paired by seed, as one of several."""
    difference = np.subtract(one.scores[name], other.scores[name]).tolist()
    return t_interval(difference, 1 - (1 - confidence) / num_comparisons)


def _interval(interval: Interval, *, absolute: bool = False) -> str:
    ends = [interval.mean, interval.low, interval.high]
    if absolute and interval.mean < 0:
        ends = [-interval.mean, -interval.high, -interval.low]
    mean, low, high = (f"{end:.3f}" for end in ends)
    return f"{mean} [{low}, {high}]"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
