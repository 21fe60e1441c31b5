"""What is said of a face: named attributes, read with more or less certainty.

Nobody knows what a sample of the GAN stands for. Networks of others and measures of
pixels read it (`readings.FaceReader`), and an attribute counts only where the reader
is certain of its value.
"""

import torch
from torch import Tensor

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "gender": ("woman", "man"),
    "age": ("young", "old"),
    "expression": ("smiling", "serious", "surprised"),
    "pose": ("left", "front", "right"),
    "light": ("dim", "bright"),
    "tone": ("cold", "warm"),
    "background": ("dark", "light", "blue"),
}
ATTRIBUTE_NAMES = tuple(ATTRIBUTES)
# Least probability of a value that captions may state; fer is less sure of itself.
_CERTAIN = {"expression": 0.6}
_CERTAIN_OF_OTHERS = 0.8
UNCERTAIN = -1

# Combinations of these are kept from training: a sum of (factor x value) modulo
# `_NUM_PARTS` decides, so that every value and most pairs are trained on.
_FACTORS = {"gender": 2, "expression": 1, "pose": 3, "light": 4, "background": 5}
_NUM_PARTS = 9


def labels_of(probabilities: list[Tensor]) -> Tensor:
    """Return the likeliest values, [n, num_attributes] int64.

    Args:
        probabilities: For each of `ATTRIBUTES` [n, num_values].
    """
    return torch.stack([rows.argmax(1) for rows in probabilities], dim=1)


def certain_labels(probabilities: list[Tensor]) -> Tensor:
    """Return the same, -1 where the likeliest value is not likely enough."""
    largest = torch.stack([rows.max(1).values for rows in probabilities], dim=1)
    least = largest.new_tensor(
        [_CERTAIN.get(name, _CERTAIN_OF_OTHERS) for name in ATTRIBUTES]
    )
    return labels_of(probabilities).masked_fill(largest < least, UNCERTAIN)


def is_held_out(labels: Tensor) -> Tensor:
    """Return which faces are kept from training, [n] bool: about a ninth of them.

    Args:
        labels: [n, num_attributes] int64, uncertain ones included (see `labels_of`).
    """
    total = torch.zeros(len(labels), dtype=torch.int64, device=labels.device)
    for name, factor in _FACTORS.items():
        total += factor * labels[:, ATTRIBUTE_NAMES.index(name)]
    return total % _NUM_PARTS == 0


def split_columns(table: Tensor) -> list[Tensor]:
    """Return for each of `ATTRIBUTES` its columns, [n, num_values].

    Args:
        table: Probabilities side by side, [n, num_values of all attributes].
    """
    return list(torch.split(table, [len(v) for v in ATTRIBUTES.values()], dim=1))
