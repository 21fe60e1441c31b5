"""Does the image show what the prompt states? Counted from a judge's answers."""

from dataclasses import dataclass

import numpy as np

NOT_STATED = -1


@dataclass(frozen=True)
class AttributeAccuracy:
    """Shares in [0, 1], NaN where nothing is stated.

    Attributes:
        by_prompt: Right among stated attributes and samples, [num_prompts].
        all_right: Samples with every stated attribute right, [num_prompts].
        by_attribute: Right among the prompts that state it, [num_attributes].
    """

    by_prompt: np.ndarray
    all_right: np.ndarray
    by_attribute: np.ndarray


def attribute_accuracy(predicted: np.ndarray, stated: np.ndarray) -> AttributeAccuracy:
    """Return how often the judge sees the stated attributes.

    Args:
        predicted: Value indices from the judge, [num_prompts, n_samples,
            num_attributes] int.
        stated: Value indices that the prompts state, [num_prompts, num_attributes]
            int; -1 for an attribute that a prompt leaves open.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    num_prompts, num_attributes = stated.shape
    if predicted.ndim != 3 or predicted.shape[::2] != stated.shape:
        msg = (
            f"predicted must have shape [{num_prompts}, n_samples, {num_attributes}], "
            f"got {list(predicted.shape)}."
        )
        raise ValueError(msg)
    is_stated = stated != NOT_STATED  # [num_prompts, num_attributes]
    is_right = predicted == stated[:, None]
    right = is_right.mean(axis=1) * is_stated  # share of samples
    every = (is_right | ~is_stated[:, None]).all(axis=2).mean(axis=1)
    return AttributeAccuracy(
        by_prompt=_fraction(right.sum(axis=1), is_stated.sum(axis=1)),
        all_right=np.where(is_stated.any(axis=1), every, np.nan),
        by_attribute=_fraction(right.sum(axis=0), is_stated.sum(axis=0)),
    )


def _fraction(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    fraction = np.full(part.shape, np.nan)
    np.divide(part, whole, out=fraction, where=whole > 0)
    return fraction
