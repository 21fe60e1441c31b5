"""What a direction does to pictures that it was not learned from, by the judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clip2latent_kedro.editing.directions.config import DirectionsConfig
from clip2latent_kedro.editing.directions.direction import Direction, sweep_direction
from clip2latent_kedro.editing.directions.samples import needs_text
from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.interfaces import Generator, Judge
from clip2latent_kedro.runtime import make_generator


@dataclass(frozen=True)
class Effect:
    """What a direction does at a strength.

    Attributes:
        strength: In the direction's own unit.
        gained: Share of the pictures without the target's value that then have it.
        kept: Of all other attributes of these, the share that stays what it was.
    """

    strength: float
    gained: float
    kept: float


@torch.no_grad()
def random_latents(
    generator: Generator, num: int, *, seed: int, device: str = "cpu"
) -> Tensor:
    """Return random w that no direction was learned from, [num, num_ws, w_dim]."""
    random = make_generator(seed, "direction_trials")
    z = torch.randn(num, generator.z_dim, generator=random)
    return generator.mapping(z.to(device))


@torch.no_grad()
def find_sources(
    w: Tensor,
    target: EditTarget,
    generator: Generator,
    judge: Judge | None,
    batch_size: int = 64,
) -> tuple[Tensor, Tensor | None]:
    """Return those w that a target can be asked of, and what the judge reads in each.

    Args:
        w: [n, num_ws, w_dim].
        target: What an edit is to bring about.
        generator: w -> image.
        judge: Names attributes; None if there is none.
        batch_size: Pictures at a time.

    Returns:
        The w whose pictures lack the target and are such as it asks, [m, num_ws,
        w_dim], and value indices, [m, num_attributes]; all w and None if the judge has
        no word for the target.
    """
    if judge is None or needs_text(target, judge.attributes):
        return w, None
    names = list(judge.attributes)
    read = _read(w, generator, judge, batch_size)
    column, value = _place(target, judge)
    asked = read[:, column] != value
    for attribute, needed in target.only.items():
        index = judge.attributes[attribute].index(needed)
        asked &= read[:, names.index(attribute)] == index
    return w[asked.to(w.device)], read[asked]


@torch.no_grad()
def measure_direction(
    direction: Direction,
    target: EditTarget,
    strengths: Sequence[float],
    generator: Generator,
    judge: Judge,
    sources: Tensor,
    read: Tensor,
    *,
    batch_size: int = 64,
) -> list[Effect]:
    """Return what a direction does to pictures, at several strengths.

    Args:
        direction: On the w of the generator.
        target: Of which the judge has a word.
        strengths: To try.
        generator: w -> image.
        judge: Names attributes of images.
        sources: As `find_sources` returns them, at least one.
        read: Likewise.
        batch_size: Pictures at a time.
    """
    swept = sweep_direction(sources, direction, strengths)
    return measure_effects(
        dict(zip(strengths, swept, strict=True)),
        target,
        generator,
        judge,
        read,
        batch_size=batch_size,
    )


@torch.no_grad()
def measure_effects(
    edited: Mapping[float, Tensor],
    target: EditTarget,
    generator: Generator,
    judge: Judge,
    read: Tensor,
    *,
    batch_size: int = 64,
) -> list[Effect]:
    """Return what edits of the same pictures do, whatever brought them about.

    Args:
        edited: w by strength, each [m, num_ws, w_dim].
        target: Of which the judge has a word.
        generator: w -> image.
        judge: Names attributes of images.
        read: What it reads in the pictures before, as `find_sources` returns it.
        batch_size: Pictures at a time.
    """
    column, value = _place(target, judge)
    aside = {target.attribute, *target.free}
    others = [i for i, name in enumerate(judge.attributes) if name not in aside]
    effects = []
    for strength, w in edited.items():
        after = _read(w, generator, judge, batch_size)
        gained = (after[:, column] == value).double().mean()
        kept = (after == read)[:, others].double().mean()
        effects.append(Effect(strength, float(gained), float(kept)))
    return effects


def tried_strengths(direction: Direction, config: DirectionsConfig) -> list[float]:
    """Return the strengths to try a direction at, in its own unit."""
    goes_all_the_way = direction.destination is not None
    return list(config.shares if goes_all_the_way else config.strengths)


def _place(target: EditTarget, judge: Judge) -> tuple[int, int]:
    attribute, value = str(target.attribute), str(target.value)
    column = list(judge.attributes).index(attribute)
    return column, list(judge.attributes[attribute]).index(value)


def _read(w: Tensor, generator: Generator, judge: Judge, batch_size: int) -> Tensor:
    batches = torch.split(w, batch_size)
    images = (generator.synthesis(rows, noise_mode="const") for rows in batches)
    return torch.cat([judge.classify(image).cpu() for image in images])
