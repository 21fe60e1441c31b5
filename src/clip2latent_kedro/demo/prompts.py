"""Prompts as a visitor types them: `a man | glasses: -0.5`.

Parts are divided by `|`. A part may end in its weight: a colon, then a number that has
a sign or a space before it, so that `at 10:30` stays a text.
"""

import math
import re

from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.errors import InputError

MOST_WEIGHT = 10.0

_WEIGHT = re.compile(
    r"^(?P<text>.*?)\s*:(?P<weight>\s+[+-]?|\s*[+-])(?P<number>\d+\.?\d*|\.\d+)\s*$",
    re.DOTALL,
)


def parse_prompt(text: str, limits: Limits, what: str) -> list[tuple[str, float]]:
    """Return the texts of a prompt with their weights; none of an empty one.

    Args:
        text: Such as `a man | glasses: -0.5`; a part without a weight has 1.
        limits: How many parts there may be, and how long.
        what: The prompt is called in messages.

    Raises:
        InputError: If it is too long, has too many parts, an empty one, a weight that
            is too large, or if no weight differs from 0.
    """
    check_text(text, limits, what)
    if not text.strip():
        return []
    parts = text.split("|")
    if len(parts) > limits.parts:
        msg = f"{what} must have at most {limits.parts} parts, got {len(parts)}."
        raise InputError(msg)
    found = [_parse_part(part, what) for part in parts]
    if all(weight == 0 for _, weight in found):
        msg = f"{what} must have a part whose weight is not 0, got none."
        raise InputError(msg)
    return found


def check_text(text: str, limits: Limits, what: str) -> None:
    """Check that a text is short enough and plain.

    Raises:
        InputError: If it is not.
    """
    if len(text) > limits.text:
        msg = f"{what} must be at most {limits.text} characters, got {len(text)}."
        raise InputError(msg)
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        msg = f"{what} must be plain text, got half of a character. Type it again."
        raise InputError(msg)


def _parse_part(part: str, what: str) -> tuple[str, float]:
    match = _WEIGHT.match(part)
    text, weight = part.strip(), 1.0
    if match:
        sign = -1.0 if "-" in match["weight"] else 1.0
        text, weight = match["text"].strip(), sign * float(match["number"])
    if not text:
        msg = f"{what} must have a text in each part, got {part.strip()!r:.80}."
        raise InputError(msg)
    if not math.isfinite(weight) or abs(weight) > MOST_WEIGHT:
        msg = (
            f"{what} must have weights from -{MOST_WEIGHT:g} to {MOST_WEIGHT:g}, got "
            f"{weight:g} of {text!r:.80}."
        )
        raise InputError(msg)
    return text, weight
