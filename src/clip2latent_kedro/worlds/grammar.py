"""English sentences from phrases: the grammar that captions of the worlds share.

A world says each value of an attribute by a phrase that fits one slot of the sentence,
and a layout puts the slots in order. Held out from training are whole layouts, never
words, since a text encoder cannot know a word it never saw.
"""

import math
import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

Split = Literal["train", "held_out"]

# mood and look are adjectives, before and after the one of age; a feature follows
# "with" or "has", an item "wearing" or "in", an action "is".
Slot = Literal["mood", "look", "feature", "item", "action", "place"]
Phrases = dict[Slot, tuple[str, ...]]

PREFIXES = ("a photo of", "a photograph of", "a picture of", "a portrait of", "")
PRONOUNS = {"woman": "she", "man": "he", None: "this person"}
_GLUE = ("a an and with in wearing wears is has who", ",", ".")

# By gender and age, where stated; the last word is the noun itself.
NOUNS: dict[tuple[str | None, str | None], tuple[str, ...]] = {
    (None, None): ("person", "someone"),
    (None, "young"): ("young person", "teenager"),
    (None, "old"): ("old person", "elderly person"),
    ("woman", None): ("woman", "lady"),
    ("woman", "young"): ("young woman", "young lady", "girl"),
    ("woman", "old"): ("old woman", "old lady", "elderly lady", "grandmother"),
    ("man", None): ("man", "guy"),
    ("man", "young"): ("young man", "young guy", "boy"),
    ("man", "old"): ("old man", "elderly man", "elderly gentleman", "grandfather"),
}

LayoutName = Literal["clauses", "sentences", "tags", "who", "lead"]
_Order = tuple[Slot, ...]
# In training, features come before what is worn; held out is the reverse order,
# and a sentence that leads with its place.
_LAYOUTS: dict[Split, tuple[tuple[LayoutName, int], ...]] = {
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


def pose_phrases() -> dict[str, Phrases]:
    """Return how to say where somebody looks: left, right or front."""
    sides = {
        side: (
            f"looking {side}",
            f"looking to the {side}",
            f"facing {side}",
            f"turned to the {side}",
        )
        for side in ("left", "right")
    }
    front = (
        "facing forward",
        "facing the camera",
        "looking straight ahead",
        "looking at the camera",
    )
    return {
        value: {"action": said} for value, said in {**sides, "front": front}.items()
    }


def list_fragments(
    phrases: Mapping[str, Mapping[str, Phrases]],
) -> Iterator[str]:
    """Yield pieces of text that hold every word which a sentence can use.

    Args:
        phrases: By attribute and value.
    """
    yield from PREFIXES
    yield from _GLUE
    yield from PRONOUNS.values()
    for nouns in NOUNS.values():
        yield from nouns
    for values in phrases.values():
        for said in values.values():
            for texts in said.values():
                yield from texts


def draw_attributes(
    weights: Mapping[str, float], num: int, rng: random.Random
) -> set[str]:
    """Return the attributes to state: a weighted draw without replacement.

    Args:
        weights: How readily each is mentioned.
        num: How many, if there are as many.
        rng: The same state gives the same ones.
    """
    # Efraimidis and Spirakis 2006: the largest log(u) / weight are such a draw.
    keys = {name: math.log(1 - rng.random()) / weights[name] for name in weights}
    return set(sorted(keys, key=keys.__getitem__, reverse=True)[:num])


class Sentence:
    """Phrases chosen for the stated attributes of one person, and their order."""

    def __init__(
        self,
        values: Mapping[str, str],
        stated: Collection[str],
        rng: random.Random,
    ) -> None:
        """Choose the noun, by gender and age where they are stated."""
        self.rng = rng
        self.gender = values["gender"] if "gender" in stated else None
        age = values["age"] if "age" in stated else None
        self.age, _, self.noun = rng.choice(NOUNS[self.gender, age]).rpartition(" ")
        self.slots: dict[Slot, list[str]] = {
            slot: [] for slot in ("mood", "look", "feature", "item", "action", "place")
        }

    def add(self, phrases: Phrases) -> None:
        """Put one of the phrases that say a value into the slot it fits."""
        adjectives = len(self.slots["mood"]) + len(self.slots["look"])
        full = adjectives >= 2 or self.noun == "someone"
        choices = [s for s in phrases if not (full and s in ("mood", "look"))]
        if not choices:  # only an adjective says it
            choices = list(phrases)
        slot = self.rng.choice(choices)
        if slot in ("mood", "look") and self.noun == "someone":
            self.noun = "person"
        self.slots[slot].append(self.rng.choice(phrases[slot]))

    def compose(self, split: Split, *, layout: LayoutName | None = None) -> str | None:
        """Return the text, or None if a held-out layout cannot tell itself apart.

        Args:
            split: Whose layouts and orders to use.
            layout: One of them; None draws it.
        """
        if layout is None:
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
        text = join_words(words)
        return f"a {text}" if article and self.noun != "someone" else text

    def _clause(self, slot: Slot) -> str:
        said = enumerate_words(self.slots[slot])
        if said and slot == "feature":
            return f"with {said}"
        if said and slot == "item":
            return f"{self.rng.choice(('wearing', 'wearing', 'in'))} {said}"
        return said

    def _predicate(self, slot: Slot) -> str:
        said = enumerate_words(self.slots[slot])
        verbs = {"feature": ("has",), "item": ("is wearing", "wears")}
        return said and f"{self.rng.choice(verbs.get(slot, ('is',)))} {said}"

    def _clauses(self, prefix: str, order: _Order) -> str:
        comma = ", " if self.rng.random() < 0.15 else " "
        clauses = [self._clause(slot) for slot in order]
        return join_words([prefix, join_words([self._subject(), *clauses], comma)])

    def _sentences(self, prefix: str, order: _Order) -> str:
        predicates = [self._predicate(slot) for slot in order if slot != "place"]
        said = [predicate for predicate in predicates if predicate]
        if self.gender is None:  # "this person" is too long to be repeated
            said = [enumerate_words(said)] if said else []
        pronoun = PRONOUNS[self.gender].capitalize()
        first = join_words([prefix, self._subject(), *self.slots["place"]])
        sentences = [f"{pronoun} {predicate}" for predicate in said]
        return join_words([first, *sentences], ". ") + ("." if sentences else "")

    def _tags(self, prefix: str, order: _Order) -> str:
        tags = [tag for slot in order for tag in self.slots[slot]]
        self.rng.shuffle(tags)
        return join_words([self._subject(article=False), *tags], ", ")

    def _who(self, prefix: str, order: _Order) -> str:
        said = [self._predicate(slot) for slot in order if slot != "place"]
        relative = enumerate_words([predicate for predicate in said if predicate])
        subject = join_words([prefix, self._subject(), *self.slots["place"]])
        return join_words([subject, relative and f"who {relative}"])

    def _lead(self, prefix: str, order: _Order) -> str:
        place = enumerate_words(self.slots["place"])
        clauses = [self._clause(slot) for slot in order if slot != "place"]
        return f"{place}, {join_words([prefix, self._subject(), *clauses])}"


def join_words(parts: Sequence[str], separator: str = " ") -> str:
    """Return the parts that are not empty, joined."""
    return separator.join(part for part in parts if part)


def enumerate_words(parts: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)
