"""What a generator shows, and what prompts ask for: values and pairs of values.

All shares are of arrays with a column for each value of each attribute, true where it
is shown or stated, so that every value and every pair is counted by one product.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.metrics.wilson import wilson_interval
from clip2latent_kedro.study.coverage.config import CoverageConfig

Attributes = Mapping[str, Sequence[str]]
Fault = Literal["", "the generator", "the prior", "cannot be told"]


@dataclass(frozen=True)
class Demand:
    """A value or a pair of values: how often it is shown, asked for, and answered.

    Attributes:
        values: By attribute, one or two.
        num_shown: Images of the generator that show it.
        share: The same as a share, with Wilson's interval.
        expected: Of a pair, the share that it would have if its values were
            independent; of a value its own.
        num_asked: Prompts that state it.
        right: Share of a row's images of these prompts that show it. Its interval is
            Wilson's for as many trials as prompts, since images of one prompt are not
            independent: it is on the wide side. None if nothing is asked or answered.
        fault: Whose it is that the row misses it; "" if it does not.
    """

    values: Mapping[str, str]
    num_shown: int
    share: Interval
    expected: float
    num_asked: int
    right: Interval | None
    fault: Fault

    @property
    def name(self) -> str:
        """The values, such as `gender man, hat beanie`."""
        return ", ".join(f"{name} {value}" for name, value in self.values.items())


def mark_values(indices: np.ndarray, attributes: Attributes) -> np.ndarray:
    """Return which values are there, [..., num_values] bool.

    Args:
        indices: Of the value of each attribute, -1 for none, [..., num_attributes].
        attributes: Names and their values; their columns follow each other.
    """
    columns = [
        indices[..., column, None] == np.arange(len(values))
        for column, values in enumerate(attributes.values())
    ]
    if not columns:
        return np.empty((*indices.shape[:-1], 0), dtype=bool)
    marked: np.ndarray = np.concatenate(columns, axis=-1)
    return marked


def list_demands(
    shown: np.ndarray,
    stated: np.ndarray,
    answered: tuple[np.ndarray, np.ndarray] | None,
    attributes: Attributes,
    config: CoverageConfig,
    *,
    confidence: float,
) -> list[Demand]:
    """Return every value, then every pair of values of two attributes.

    Args:
        shown: Value indices of images of the generator, -1 for an attribute that
            cannot be seen, [num_images, num_attributes] int.
        stated: Value indices that prompts state, -1 for an attribute that is left
            open, [num_prompts, num_attributes] int.
        answered: Of a row, the numbers of its prompts, [n] int, and what its images
            show, as `shown`, [n, num_samples, num_attributes]; None for no row.
        attributes: Names and their values, in the order of the columns.
        config: When a share is rare, and when a demand is missed.
        confidence: Of each interval.
    """
    if not attributes:
        return []
    shares = _together(mark_values(shown, attributes)) / len(shown)
    asks = mark_values(stated, attributes)
    num_asked = _together(asks)
    right = None
    if answered is not None:
        prompts, seen = answered
        asks = asks[prompts]
        num_answered = _together(asks)
        asked = asks[:, None] & mark_values(seen, attributes)  # [n, num_samples, V]
        right = _together(asked.reshape(-1, asked.shape[-1])) / seen.shape[1]
    found = []
    for first, second in _pairs(attributes):
        row, column = first[0], second[0]
        share = wilson_interval(float(shares[row, column]), len(shown), confidence)
        of_both = float(shares[row, row] * shares[column, column])
        answer = None
        if right is not None and num_answered[row, column]:
            number = int(num_answered[row, column])
            answer = wilson_interval(
                float(right[row, column]) / number, number, confidence
            )
        found.append(
            Demand(
                values=dict([first[1], second[1]]),
                num_shown=round(share.mean * len(shown)),
                share=share,
                expected=share.mean if row == column else of_both,
                num_asked=int(num_asked[row, column]),
                right=answer,
                fault=_find_fault(share, answer, config),
            )
        )
    return found


def count_values(
    shown: np.ndarray, stated: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how well single images of the generator fit each prompt.

    Args:
        shown: As of `list_demands`, [num_images, num_attributes] int.
        stated: As of `list_demands`, [num_prompts, num_attributes] int.

    Returns:
        Each [num_prompts] int: how many values a prompt states; how many of them the
        image shows that shows most; and how many images show all of them.
    """
    num_stated = (stated >= 0).sum(axis=1)
    most, num_all = np.zeros_like(num_stated), np.zeros_like(num_stated)
    for number, wanted in enumerate(stated):
        fits = (shown == wanted)[:, wanted >= 0].sum(axis=1)
        most[number] = fits.max(initial=0)
        num_all[number] = np.count_nonzero(fits == num_stated[number])
    return num_stated, most, num_all


def _together(marked: np.ndarray) -> np.ndarray:
    """Return in how many rows two columns are both true, [num_values, num_values]."""
    rows = marked.astype(np.float64)  # whole numbers up to 2^53 are exact
    counted: np.ndarray = rows.T @ rows
    return counted


def _pairs(
    attributes: Attributes,
) -> Iterator[tuple[tuple[int, tuple[str, str]], tuple[int, tuple[str, str]]]]:
    """Yield columns with their values, two by two: a value with itself stands first."""
    every = [(name, value) for name, values in attributes.items() for value in values]
    numbered = list(enumerate(every))
    yield from zip(numbered, numbered, strict=True)
    for first, second in combinations(numbered, 2):
        if first[1][0] != second[1][0]:
            yield first, second


def _find_fault(
    share: Interval, right: Interval | None, config: CoverageConfig
) -> Fault:
    """Say whose fault it is that a demand is missed, as far as intervals tell."""
    if right is None or right.high >= config.missed:
        return ""
    if share.high < config.rare:
        return "the generator"
    return "the prior" if share.low >= config.rare else "cannot be told"
