"""Edits with their strengths, ready to be applied one after another."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.editing.edit import EditMethod
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.latents import Latents, Source


class Change(Protocol):
    """What is done to latents without a way of editing: no text, nothing learned."""

    def apply(self, source: Source, strength: float) -> Latents:
        """Return the changed latents of n pictures; strength 0 changes nothing."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return all that the change depends on, as plain JSON."""
        ...


@dataclass(frozen=True)
class EditStep:
    """One edit at one strength.

    Attributes:
        edit: A way of editing, prepared; or a vector, or what is mixed in.
        strength: 0 changes nothing.
        is_text: Whether the edit was asked for by a text, which pictures are then
            scored by.
    """

    edit: EditMethod | Change
    strength: float
    is_text: bool = False

    @property
    def words(self) -> str:
        """The edit and its strength in a few words."""
        if isinstance(self.edit, EditMethod):
            name = self.edit.target.name or self.edit.target.target
        else:
            name = str(self.edit.describe()["method"])
        return f"{name} {self.strength:g}"

    def describe(self) -> dict[str, Any]:
        """Return all that the edit depends on, as plain JSON."""
        if not isinstance(self.edit, EditMethod):
            return {**self.edit.describe(), "strength": self.strength}
        return {
            "method": type(self.edit).__qualname__,
            "settings": asdict(self.edit.settings),
            "target": asdict(self.edit.target),
            "made_with": dict(self.edit.made_with),
            "strength": self.strength,
        }


@dataclass(frozen=True)
class PreparedEdit:
    """Edits one after another: what `TextToImage` takes as an edit.

    Each is applied to the latents that the one before has left. All of them know the
    condition and the noise of the sample.

    Attributes:
        steps: The first is applied first.
    """

    steps: Sequence[EditStep]

    def __call__(self, source: Source) -> Latents:
        """Return the edited latents of pictures."""
        for step in self.steps:
            if step.strength != 0:
                source = replace(source, latents=step.edit.apply(source, step.strength))
        return source.latents

    @property
    def words(self) -> str:
        """The edits and their strengths in a few words."""
        return ", ".join(step.words for step in self.steps)

    def describe(self) -> list[dict[str, Any]]:
        """Return all that the edits depend on, as plain JSON."""
        return [step.describe() for step in self.steps]

    @torch.no_grad()
    def toward(self, encoder: Encoder) -> Tensor | None:
        """Return where the texts lead in the encoder's space, [clip_dim].

        It is the sum of unit(target) - unit(neutral), and of a negative strength the
        opposite. An image is scored by its prompt and this together. Texts that the
        encoder does not know do not count: what is edited by them it has refused.

        Returns:
            None if no text was asked for, or none is known.
        """
        total: Tensor | None = None
        for step in self.steps:
            if not step.is_text or not isinstance(step.edit, EditMethod):
                continue
            asked = step.edit.target
            try:
                texts = encoder.encode_text([asked.target, asked.neutral])
            except InputError:
                continue
            target, neutral = functional.normalize(texts.float(), dim=-1)
            sign = (step.strength > 0) - (step.strength < 0)
            moved = sign * (target - neutral)
            total = moved if total is None else total + moved
        return total
