"""Answers of rows as they are stored: arrays, and what they were made by."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clip2latent_kedro.provenance import list_differences
from clip2latent_kedro.study.drawing import Curve, Drawn

Arrays = Mapping[str, np.ndarray]
Stored = tuple[Arrays, Mapping[str, Any]]
"""Arrays, which may be read when they are asked for, and what they depend on."""

_PARTS = (
    "images",
    "image_embedding",
    "pixel_distance",
    "seen",
    "w",
    "held_out_embedding",
)
_CURVE = "curve_"  # before the names of its parts


@dataclass(frozen=True)
class Answers:
    """The answers of a row, to some of the prompts.

    Attributes:
        drawn: What it has drawn.
        prompts: Numbers of the prompts that it was asked, [n] int.
    """

    drawn: Drawn
    prompts: np.ndarray


def to_arrays(answers: Answers) -> dict[str, np.ndarray]:
    """Return answers as named arrays; what a row does not have is left out."""
    drawn, curve = answers.drawn, answers.drawn.curve
    arrays = {name: getattr(drawn, name) for name in _PARTS}
    arrays["prompts"] = answers.prompts
    if curve is not None:
        arrays |= {f"{_CURVE}{name}": part for name, part in vars(curve).items()}
    return {name: array for name, array in arrays.items() if array is not None}


def from_arrays(arrays: Arrays) -> Answers:
    """Return the answers of `to_arrays`."""
    parts = {name: arrays.get(name) for name in _PARTS}
    drawn = Drawn(**parts, curve=curve_from_arrays(arrays))  # type: ignore[arg-type]
    return Answers(drawn, arrays["prompts"])


def curve_from_arrays(arrays: Arrays) -> Curve | None:
    """Return the curve of the answers of `to_arrays` alone; None if they have none."""
    parts = {
        name.removeprefix(_CURVE): arrays[name]
        for name in arrays
        if name.startswith(_CURVE)
    }
    return Curve(**parts) if parts else None


def as_record(circumstances: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that a result depends on as it comes back from a file."""
    plain: dict[str, Any] = json.loads(json.dumps(circumstances))
    return plain


def name_changes(
    stored: Mapping[str, Any] | None, asked: Mapping[str, Any]
) -> list[str] | None:
    """Return what makes a stored result useless: nothing if it can be kept.

    Args:
        stored: The record that goes with it; None if there is no result.
        asked: Of `as_record`.

    Returns:
        One phrase for each difference; None if there is no result.
    """
    return None if stored is None else list_differences(stored, asked)
