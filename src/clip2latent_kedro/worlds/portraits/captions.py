"""Captions of portraits: a small English grammar with many ways to say a thing.

A caption states some of the visible attributes. Each is said by a phrase that
fits one slot of the sentence (`phrases.PHRASES`), and a layout puts the slots in order.
Held out from training are combinations of attribute values (`is_held_out`) and
whole layouts, never words, since a text encoder cannot know a word it never saw.
"""

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from clip2latent_kedro.runtime import derive_seed, make_generator
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTE_NAMES,
    ATTRIBUTES,
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.phrases import (
    HAIR_COLOURS,
    NOUNS,
    PHRASES,
    PREFIXES,
    PRONOUNS,
    Phrases,
    Slot,
)

Split = Literal["train", "held_out"]

_LayoutName = Literal["clauses", "sentences", "tags", "who", "lead"]
_Order = tuple[Slot, ...]
# In training, features come before what is worn; held out is the reverse order,
# and a sentence that leads with its place.
_LAYOUTS: dict[Split, tuple[tuple[_LayoutName, int], ...]] = {
    "train": (("clauses", 5), ("sentences", 1), ("tags", 2), ("who", 1)),
    "held_out": (("clauses", 3), ("sentences", 1), ("lead", 2)),
}
_ORDERS: dict[Split, tuple[_Order, ...]] = {
    "train": (
        ("feature", "item", "action", "place"),
        ("feature", "item", "place", "action"),
        ("feature", "action", "item", "place"),
        ("action", "feature", "item", "place"),
        ("place", "feature", "item", "action"),
    ),
    "held_out": (
        ("item", "feature", "action", "place"),
        ("item", "action", "feature", "place"),
        ("action", "item", "feature", "place"),
        ("place", "item", "feature", "action"),
    ),
}

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
    # Efraimidis and Spirakis 2006: the largest log(u) / weight are such a draw.
    keys = {
        name: math.log(1 - rng.random())
        / (_SALIENCE.get(name, 1.2) * _UNSAID.get(values[name], 1.0))
        for name in seen
        if not (name == "beard" and values["gender"] == "woman")
    }
    stated = set(sorted(keys, key=keys.__getitem__, reverse=True)[:num])
    # The hair colour of a bald head shows in its beard, which must then be said.
    if (
        values["hair_style"] == "bald"
        and "hair_colour" in stated
        and "beard" not in stated
    ):
        stated = stated - {"hair_colour"} | {"beard"}
    return stated


class _Sentence:
    """Phrases chosen for the stated attributes of one portrait."""

    def __init__(
        self, values: dict[str, str], stated: set[str], rng: random.Random
    ) -> None:
        self.rng = rng
        self.gender = values["gender"] if "gender" in stated else None
        age = values["age"] if "age" in stated else None
        self.age, _, self.noun = rng.choice(NOUNS[self.gender, age]).rpartition(" ")
        self.slots: dict[Slot, list[str]] = {
            slot: [] for slot in ("mood", "look", "feature", "item", "action", "place")
        }
        rest = [name for name in values if name in stated - {"gender", "age"}]
        if "hair_colour" in rest:
            colour = rng.choice(HAIR_COLOURS[values["hair_colour"]])
            if self._colour_something(colour, values, rest):
                rest.remove("hair_colour")
        rng.shuffle(rest)
        for name in rest:
            self._add(PHRASES[name][values[name]])
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
            self.slots["feature"].append(_join([*words, colour, thing]))
            rest.remove("hair_style")
            return True
        return False

    def _add(self, phrases: Phrases) -> None:
        adjectives = len(self.slots["mood"]) + len(self.slots["look"])
        full = adjectives >= 2 or self.noun == "someone"
        choices = [s for s in phrases if not (full and s in ("mood", "look"))]
        if not choices:  # only an adjective says it
            choices = list(phrases)
        slot = self.rng.choice(choices)
        if slot in ("mood", "look") and self.noun == "someone":
            self.noun = "person"
        self.slots[slot].append(self.rng.choice(phrases[slot]))

    def compose(self, split: Split) -> str | None:
        """Return the text, or None if a held-out layout cannot tell itself apart."""
        names, weights = zip(*_LAYOUTS[split], strict=True)
        layout = self.rng.choices(names, weights)[0]
        order = self.rng.choice(_ORDERS[split])
        if split == "held_out":
            needed: tuple[Slot, ...] = (
                ("place",) if layout == "lead" else ("feature", "item")
            )
            if not all(self.slots[slot] for slot in needed):
                return None
        prefix = self.rng.choice(PREFIXES)
        text = getattr(self, f"_{layout}")(prefix, order)
        return re.sub(r"\ba (?=[aeiou])", "an ", text)

    def _subject(self, *, article: bool = True) -> str:
        words = [*self.slots["mood"], self.age, *self.slots["look"], self.noun]
        text = _join(words)
        return f"a {text}" if article and self.noun != "someone" else text

    def _clause(self, slot: Slot) -> str:
        said = _enumerate(self.slots[slot])
        if said and slot == "feature":
            return f"with {said}"
        if said and slot == "item":
            return f"{self.rng.choice(('wearing', 'wearing', 'in'))} {said}"
        return said

    def _predicate(self, slot: Slot) -> str:
        said = _enumerate(self.slots[slot])
        verbs = {"feature": ("has",), "item": ("is wearing", "wears")}
        return said and f"{self.rng.choice(verbs.get(slot, ('is',)))} {said}"

    def _clauses(self, prefix: str, order: _Order) -> str:
        comma = ", " if self.rng.random() < 0.15 else " "
        clauses = [self._clause(slot) for slot in order]
        return _join([prefix, _join([self._subject(), *clauses], comma)])

    def _sentences(self, prefix: str, order: _Order) -> str:
        predicates = [self._predicate(slot) for slot in order if slot != "place"]
        said = [predicate for predicate in predicates if predicate]
        if self.gender is None:  # "this person" is too long to be repeated
            said = [_enumerate(said)] if said else []
        pronoun = PRONOUNS[self.gender].capitalize()
        first = _join([prefix, self._subject(), *self.slots["place"]])
        sentences = [f"{pronoun} {predicate}" for predicate in said]
        return _join([first, *sentences], ". ") + ("." if sentences else "")

    def _tags(self, prefix: str, order: _Order) -> str:
        tags = [tag for slot in order for tag in self.slots[slot]]
        self.rng.shuffle(tags)
        return _join([self._subject(article=False), *tags], ", ")

    def _who(self, prefix: str, order: _Order) -> str:
        said = [self._predicate(slot) for slot in order if slot != "place"]
        relative = _enumerate([predicate for predicate in said if predicate])
        subject = _join([prefix, self._subject(), *self.slots["place"]])
        return _join([subject, relative and f"who {relative}"])

    def _lead(self, prefix: str, order: _Order) -> str:
        place = self.slots["place"][0]
        clauses = [self._clause(slot) for slot in order if slot != "place"]
        return f"{place}, {_join([prefix, self._subject(), *clauses])}"


def _join(parts: Sequence[str], separator: str = " ") -> str:
    return separator.join(part for part in parts if part)


def _enumerate(parts: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)
