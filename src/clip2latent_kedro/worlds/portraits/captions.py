"""Captions of portraits: a small English grammar with many ways to say a thing.

A caption states some of the visible attributes. Each is said by a phrase that
fits one slot of the sentence (`phrases.PHRASES`), and a layout puts the slots in order.
Held out from training are combinations of attribute values (`is_held_out`) and
whole layouts, never words, since a text encoder cannot know a word it never saw.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clip2latent_kedro.runtime import derive_seed, make_generator
from clip2latent_kedro.worlds.grammar import (
    Sentence,
    Split,
    draw_attributes,
    join_words,
)
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTE_NAMES,
    ATTRIBUTES,
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.phrases import HAIR_COLOURS, PHRASES

_NUM_STATED = {"train": (2, 3, 4, 5, 6, 7), "held_out": (4, 5, 6, 7)}
_NUM_WEIGHTS = {"train": (1, 1, 2, 4, 5, 4), "held_out": (2, 4, 5, 4)}
# How readily an attribute is mentioned, and the values that mostly go unsaid.
_SALIENCE = {"gender": 4.0, "age": 1.5, "skin": 0.8, "eye_colour": 0.8, "pose": 0.8}
_UNSAID = {"none": 0.12, "front": 0.3, "studio": 0.5, "neutral": 0.5}


@dataclass(frozen=True)
class Caption:
    """A text and what it states.

    Attributes:
        text: English, such as "a photo of an old man with a grey beard".
        labels: A value index for each of `ATTRIBUTES`, -1 where nothing is said.
    """

    text: str
    labels: tuple[int, ...]

    @property
    def stated(self) -> dict[str, str]:
        """What is said, as attribute names and values."""
        return {
            name: values[label]
            for (name, values), label in zip(
                ATTRIBUTES.items(), self.labels, strict=True
            )
            if label >= 0
        }


def write_caption(
    labels: Sequence[int] | Tensor,
    visible: Sequence[bool] | Tensor,
    rng: random.Random,
    *,
    split: Split,
) -> Caption:
    """Return a random caption of one portrait, stating 2 to 7 of its attributes.

    Args:
        labels: Value indices of the portrait, [num_attributes].
        visible: Which of them can be seen, [num_attributes].
        rng: The same state gives the same caption.
        split: Whose layouts to use; held-out captions state 4 to 7 attributes.
    """
    values = {
        name: options[int(label)]
        for (name, options), label in zip(ATTRIBUTES.items(), labels, strict=True)
    }
    seen = [name for name, bit in zip(ATTRIBUTES, visible, strict=True) if bit]
    while True:
        stated = _choose_attributes(values, seen, rng, split)
        text = _Sentence(values, stated, rng).compose(split)
        if text is not None:
            break
    indices = tuple(
        ATTRIBUTES[name].index(values[name]) if name in stated else -1
        for name in ATTRIBUTES
    )
    return Caption(text, indices)


def write_captions(
    labels: Tensor, rng: random.Random, *, split: Split
) -> list[Caption]:
    """Return a caption for each portrait, labels [n, num_attributes]."""
    rows = zip(labels.tolist(), visible_mask(labels).tolist(), strict=True)
    return [write_caption(row, visible, rng, split=split) for row, visible in rows]


def is_held_out(labels: Tensor) -> Tensor:
    """Return which portraits are kept from training, [n] bool: a tenth of them.

    The rule is a sum modulo 10 over hat, background, shirt and expression, so that
    a combination of the four is held out while every value, and nearly every
    combination of three, is trained on.

    Args:
        labels: [n, num_attributes] int64.
    """
    factors = {"hat": 1, "background": 3, "shirt": 7, "expression": 9}
    total = torch.zeros(len(labels), dtype=torch.int64, device=labels.device)
    for name, factor in factors.items():
        total += factor * labels[:, ATTRIBUTE_NAMES.index(name)]
    return total % 10 == 0


def sample_split(num: int, generator: torch.Generator, *, split: Split) -> Tensor:
    """Return z of portraits of one split, [num, Z_DIM] (see `is_held_out`)."""
    chunks: list[Tensor] = []
    while sum(len(chunk) for chunk in chunks) < num:
        z = sample_z(2 * num, generator)
        held_out = is_held_out(labels_of(z))
        chunks.append(z[held_out if split == "held_out" else ~held_out])
    return torch.cat(chunks)[:num]


def held_out_prompts(num: int, seed: int) -> list[Caption]:
    """Return distinct captions of held-out portraits, in held-out layouts.

    Args:
        num: How many; each states 4 to 7 attributes.
        seed: Gives the same prompts each time.
    """
    prompts: dict[str, Caption] = {}
    generator = make_generator(seed, "held_out_prompts")
    rng = random.Random(derive_seed(seed, "held_out_captions"))
    while len(prompts) < num:
        labels = labels_of(sample_split(num, generator, split="held_out"))
        for caption in write_captions(labels, rng, split="held_out"):
            prompts.setdefault(caption.text, caption)
    return list(prompts.values())[:num]


def _choose_attributes(
    values: dict[str, str], seen: list[str], rng: random.Random, split: Split
) -> set[str]:
    """Return the attributes to state: a weighted draw without replacement."""
    num = rng.choices(_NUM_STATED[split], _NUM_WEIGHTS[split])[0]
    weights = {
        name: _SALIENCE.get(name, 1.2) * _UNSAID.get(values[name], 1.0)
        for name in seen
        if not (name == "beard" and values["gender"] == "woman")
    }
    stated = draw_attributes(weights, num, rng)
    # The hair colour of a bald head shows in its beard, which must then be said.
    if (
        values["hair_style"] == "bald"
        and "hair_colour" in stated
        and "beard" not in stated
    ):
        stated = stated - {"hair_colour"} | {"beard"}
    return stated


class _Sentence(Sentence):
    """Phrases chosen for the stated attributes of one portrait."""

    def __init__(
        self, values: dict[str, str], stated: set[str], rng: random.Random
    ) -> None:
        super().__init__(values, stated, rng)
        rest = [name for name in values if name in stated - {"gender", "age"}]
        if "hair_colour" in rest:
            colour = rng.choice(HAIR_COLOURS[values["hair_colour"]])
            if self._colour_something(colour, values, rest):
                rest.remove("hair_colour")
        rng.shuffle(rest)
        for name in rest:
            self.add(PHRASES[name][values[name]])
        # "no hat and glasses" would deny the glasses too.
        self.slots["feature"].sort(key=lambda said: said.startswith("no "))

    def _colour_something(
        self, colour: str, values: dict[str, str], rest: list[str]
    ) -> bool:
        """Say the hair colour together with a stated beard or hair style."""
        styled = "hair_style" in rest and values["hair_style"] != "bald"
        bearded = "beard" in rest and values["beard"] != "none"
        if bearded and (values["hair_style"] == "bald" or self.rng.random() < 0.4):
            thing = self.rng.choice(PHRASES["beard"][values["beard"]]["feature"])
            self.slots["feature"].append(f"a {colour} {thing.split()[-1]}")
            rest.remove("beard")
            return True
        if styled:
            style = self.rng.choice(
                PHRASES["hair_style"][values["hair_style"]]["feature"]
            )
            *words, thing = style.replace("an ", "a ").split()
            self.slots["feature"].append(join_words([*words, colour, thing]))
            rest.remove("hair_style")
            return True
        return False
