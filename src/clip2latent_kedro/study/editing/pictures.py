"""The pictures that are edited: random w, and what each shows before the edit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.study.judging import judge_images

BLOCK = 64  # w drawn at once
MOST_DRAWN = 50  # times as many w as are wanted


@dataclass(frozen=True)
class Seen:
    """What models see in n pictures; None for what a domain lacks the model of.

    Attributes:
        values: The judge's value indices, [n, num_attributes] int.
        visible: Which attributes can be seen, [n, num_attributes] bool; all, of a judge
            that does not say.
        certainty: Largest probability of each attribute, [n, num_attributes]; NaN for
            one that cannot be seen.
        held_out: Embedding by the encoder that only scores, [n, its clip_dim].
        identity: Features of who is in it, [n, d].
    """

    values: Tensor | None = None
    visible: Tensor | None = None
    certainty: Tensor | None = None
    held_out: Tensor | None = None
    identity: Tensor | None = None

    def take(self, rows: Tensor) -> "Seen":
        """Return what is seen in some of the pictures, by their numbers."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return Seen(**{k: None if v is None else v[rows] for k, v in parts.items()})

    @classmethod
    def join(cls, parts: Sequence["Seen"]) -> "Seen":
        """Return what is seen in the pictures of several batches."""
        found = {}
        for name in (f.name for f in fields(cls)):
            tensors = [getattr(part, name) for part in parts]
            found[name] = None if tensors[0] is None else torch.cat(tensors)
        return cls(**found)


@torch.no_grad()
def look_at(image: Tensor, models: EditingModels) -> Seen:
    """Return what the models see in pictures, [n, 3, h, w] in [-1, 1]."""
    judge, held_out = models.models.judge, models.models.held_out
    identity = models.identity_encoder
    said = None if judge is None else judge_images(judge, image)
    return Seen(
        None if said is None else said.values,
        None if said is None else said.visible,
        None if said is None else said.certainty,
        None if held_out is None else held_out.encode_image(image).float(),
        None if identity is None else identity.encode_image(image).float(),
    )


class Originals:
    """Random w of one seed, drawn as they are needed, with what each shows.

    The w that a target edits are the first that can be edited so; which these are
    does not depend on the other targets.
    """

    def __init__(self, models: EditingModels, *, psi: float, seed: int) -> None:
        """Begin with none."""
        self._models = models
        self._psi, self._seed = psi, seed
        self.w = torch.empty(0)
        self.seen = Seen()

    def choose(self, target: EditTarget, num: int) -> Tensor:
        """Return the numbers of the first w that a target can edit, [num] int.

        Those that the judge sees without the target's value, and with what `only`
        asks for; all where the judge knows no such attribute.

        Raises:
            InputError: If there are too few, or the target names what the judge does
                not know.
        """
        judge = self._models.models.judge
        if judge is not None:
            asked: dict[str, str | None] = {**target.only}
            if target.attribute is not None:
                asked[target.attribute] = target.value
            for name, value in asked.items():
                _check_value(target, judge.attributes, name, value)
        while True:
            eligible = self._find_eligible(target)
            if len(eligible) >= num:
                return eligible[:num]
            if len(self.w) >= max(BLOCK, MOST_DRAWN * num):
                msg = (
                    f"The target {target.name} needs {num} pictures that it can edit, "
                    f"got {len(eligible)} of {len(self.w)}. Change its value or `only`."
                )
                raise InputError(msg)
            self._draw_block()

    def _find_eligible(self, target: EditTarget) -> Tensor:
        judge, values = self._models.models.judge, self.seen.values
        is_eligible = torch.ones(len(self.w), dtype=torch.bool)
        if judge is not None and values is not None:
            names = list(judge.attributes)
            if target.attribute is not None:
                column = values[:, names.index(target.attribute)].cpu()
                wanted = judge.attributes[target.attribute].index(str(target.value))
                is_eligible &= column != wanted
            for name, value in target.only.items():
                column = values[:, names.index(name)].cpu()
                is_eligible &= column == judge.attributes[name].index(value)
        return is_eligible.nonzero()[:, 0]

    @torch.no_grad()
    def _draw_block(self) -> None:
        models = self._models
        random = make_generator(self._seed, "edited_latents", len(self.w) // BLOCK)
        z = torch.randn(BLOCK, models.generator.z_dim, generator=random)
        w = models.generator.mapping(z.to(models.device), psi=self._psi)
        seen = [
            look_at(synthesise_latents(models.generator, Latents(rows)), models)
            for rows in torch.split(w, models.models.image_batch_size)
        ]
        if len(self.w):
            self.w, seen = torch.cat([self.w, w]), [self.seen, *seen]
        else:
            self.w = w
        self.seen = Seen.join(seen)


def _check_value(
    target: EditTarget,
    attributes: Mapping[str, Sequence[str]],
    name: str,
    value: str | None,
) -> None:
    if value not in attributes.get(name, ()):
        expected = attributes.get(name, attributes)
        msg = (
            f"editing.targets.{target.name} must name an attribute and a value that "
            f"the judge knows, one of {', '.join(expected)}, got "
            f"{value if name in attributes else name!r}."
        )
        raise InputError(msg)
