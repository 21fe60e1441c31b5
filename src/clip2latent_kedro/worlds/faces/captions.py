"""Captions of faces: what the reader is certain of, in the grammar of the worlds.

Held out from training are combinations of attribute values (`attributes.is_held_out`)
and one layout, in which the sentence leads with the place.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from clip2latent_kedro.worlds.faces.attributes import ATTRIBUTES
from clip2latent_kedro.worlds.faces.phrases import PHRASES
from clip2latent_kedro.worlds.grammar import Sentence, Split, draw_attributes

_NUM_STATED = {"train": (1, 2, 3, 4, 5, 6), "held_out": (3, 4, 5)}
_NUM_WEIGHTS = {"train": (1, 2, 4, 4, 3, 2), "held_out": (2, 3, 2)}
# How readily an attribute is mentioned, and the values that mostly go unsaid.
_SALIENCE = {"gender": 4.0, "age": 0.6, "expression": 1.5, "tone": 0.7}
_UNSAID = {"front": 0.3, "serious": 0.5}
_PLACES = ("light", "background")  # what a sentence can lead with


@dataclass(frozen=True)
class Caption:
    """A text and what it states.

    Attributes:
        text: English, such as "a photo of a smiling woman in bright light".
        labels: A value index for each of `ATTRIBUTES`, -1 where nothing is said.
    """

    text: str
    labels: tuple[int, ...]

    @property
    def stated(self) -> dict[str, str]:
        """What is said, as attribute names and values."""
        return values_of(self.labels)


def values_of(labels: Sequence[int]) -> dict[str, str]:
    """Return the known values by attribute.

    Args:
        labels: Value indices, [num_attributes], -1 where unknown.
    """
    return {
        name: options[label]
        for (name, options), label in zip(ATTRIBUTES.items(), labels, strict=True)
        if label >= 0
    }


def can_lead(labels: Sequence[int]) -> bool:
    """Return whether a held-out caption can be written of a face.

    Args:
        labels: Value indices, [num_attributes], -1 where the reader is not certain.
    """
    known = values_of(labels)
    least = min(_NUM_STATED["held_out"])
    return len(known) >= least and not known.keys().isdisjoint(_PLACES)


def write_caption(
    labels: Sequence[int], rng: random.Random, *, split: Split
) -> Caption:
    """Return a random caption of one face.

    Args:
        labels: Value indices, [num_attributes], -1 where the reader is not certain;
            for a held-out caption such that `can_lead`.
        rng: The same state gives the same caption.
        split: Whose layouts to use; held-out captions state 3 to 5 attributes.
    """
    values = values_of(labels)
    num = rng.choices(_NUM_STATED[split], _NUM_WEIGHTS[split])[0]
    weights = {
        name: _SALIENCE.get(name, 1.0) * _UNSAID.get(value, 1.0)
        for name, value in values.items()
    }
    leads = split == "held_out"
    stated = draw_attributes(weights, num, rng)
    while leads and stated.isdisjoint(_PLACES):
        stated = draw_attributes(weights, num, rng)
    sentence = Sentence(values, stated, rng)
    rest = [name for name in values if name in stated - {"gender", "age"}]
    rng.shuffle(rest)
    for name in rest:
        sentence.add(PHRASES[name][values[name]])
    text = sentence.compose(split, layout="lead" if leads else None)
    assert text is not None  # it has a place to lead with
    indices = tuple(
        label if name in stated else -1
        for name, label in zip(ATTRIBUTES, labels, strict=True)
    )
    return Caption(text, indices)


def write_captions(
    labels: Tensor, rng: random.Random, *, split: Split
) -> list[Caption]:
    """Return a caption for each face, labels [n, num_attributes] (see above)."""
    return [write_caption(row, rng, split=split) for row in labels.tolist()]
