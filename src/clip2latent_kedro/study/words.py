"""What the numbers of a study say, in a paragraph.

Each sentence decides something by several comparisons at once: their intervals are
widened for that number (Bonferroni), and the paragraph ends with how many there were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.metrics.crossed import crossed_interval

NAMES = {
    "clip_score": "CLIP score",
    "held_out_score": "held-out CLIP score",
    "accuracy": "share of right attributes",
    "blended": "share of blends",
    "detected": "share of pictures with the subject",
    "clip_diversity": "diversity",
    "w_distance": "distance of w from the training data",
}
RANKED = {  # by which end is best
    "accuracy": "highest",
    "clip_score": "highest",
    "held_out_score": "highest",
    "blended": "lowest",
    "detected": "highest",
}
SHOWN_TIES = 4


@dataclass(frozen=True)
class VariantScores:
    """What a variant has scored with each seed and prompt.

    Attributes:
        line: Its line; "" if there is only one.
        label: Of the variant.
        scores: By name, [num_seeds, num_prompts], NaN where one does not apply; seeds
            and prompts are those of all variants of its condition.
        is_off_axis: Whether it has no place on the axis.
        condition: What the pictures were drawn of; only equals are ranked together.
    """

    line: str
    label: str
    scores: Mapping[str, np.ndarray]
    is_off_axis: bool = False
    condition: str = ""


def describe_study(
    variants: Sequence[VariantScores], confidence: float, num_failed: int
) -> str:
    """Return a paragraph on a study: what is best, and what changes along the axis.

    Args:
        variants: Those that have been scored, in the order of lines and axis.
        confidence: Of the intervals over seeds and prompts; in a sentence that
            compares, of all its comparisons together.
        num_failed: Variants that could not be scored.
    """
    sentences = []
    num_comparisons = 0
    every = list(dict.fromkeys(variant.condition for variant in variants))
    for condition in every:
        where = f"Given {condition}, the" if len(every) > 1 else "The"
        for name, end in RANKED.items():
            scored = [
                v for v in variants if name in v.scores and v.condition == condition
            ]
            if len(scored) > 1:
                best = _describe_best(scored, name, confidence)
                sentences.append(f"{where} {NAMES[name]} is {end} at {best}")
                num_comparisons += len(scored) - 1
    for line in dict.fromkeys(v.line for v in variants if not v.is_off_axis):
        on_line = [v for v in variants if v.line == line and not v.is_off_axis]
        if len(on_line) > 1:
            names = [
                n for n in NAMES if n in on_line[0].scores and n in on_line[-1].scores
            ]
            sentences.append(_describe_change(on_line, names, confidence))
            num_comparisons += len(names)
    if num_comparisons:
        number = _count(num_comparisons, "comparison")
        sentences.append(
            f"This rests on {number}; intervals allow for those of their own sentence."
        )
    if num_failed:
        sentences.append(f"{_count(num_failed, 'variant')} could not be scored.")
    return " ".join(sentences) or "There are too few variants to compare."


def _describe_best(
    variants: Sequence[VariantScores], name: str, confidence: float
) -> str:
    """Say which variant scores best, and which cannot be told from it."""
    sign = 1 if RANKED[name] == "highest" else -1
    best = max(variants, key=lambda v: sign * float(np.nanmean(v.scores[name])))
    others = [variant for variant in variants if variant is not best]
    ties = []
    for other in others:
        behind = _difference(best, other, name, confidence, len(others))
        if (behind.low if sign > 0 else -behind.high) <= 0:
            ties.append(other.label)
    found = f"{best.label}, {crossed_interval(best.scores[name], confidence):.3f}"
    if not ties:
        return f"{found}, {'above' if sign > 0 else 'below'} all others."
    if len(ties) == len(others):
        return f"{found}; no other variant can be told from it."
    more = len(ties) - SHOWN_TIES
    rest = f" and {more} more" if more > 0 else ""
    return f"{found}; not to be told from it: {'; '.join(ties[:SHOWN_TIES])}{rest}."


def _describe_change(
    variants: Sequence[VariantScores], names: Sequence[str], confidence: float
) -> str:
    """Say how scores change from one end of the axis to the other."""
    first, last = variants[0], variants[-1]
    changes, same = [], []
    for name in names:
        found = _difference(last, first, name, confidence, len(names))
        if found.low <= 0 <= found.high:
            same.append(NAMES[name])
        elif found.mean > 0:
            changes.append(f"the {NAMES[name]} gains {found:.3f}")
        else:
            loss = Interval(-found.mean, -found.high, -found.low)
            changes.append(f"the {NAMES[name]} loses {loss:.3f}")
    if same and changes:
        kept = " and ".join(same)
        verb = "stays" if len(same) == 1 else "stay"
        changes.append(f"{kept} {verb} within the intervals")
    line = first.line
    start = f"{line}: from" if line else "From"
    ends = " to ".join(v.label.removeprefix(f"{line}, ") for v in (first, last))
    said = ", ".join(changes) or "everything stays within the intervals"
    return f"{start} {ends}, {said}."


def _difference(
    one: VariantScores,
    other: VariantScores,
    name: str,
    confidence: float,
    num_parts: int,
) -> Interval:
    """Return the difference of two variants, paired, as one of several comparisons."""
    each = 1 - (1 - confidence) / num_parts
    return crossed_interval(one.scores[name] - other.scores[name], each)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
