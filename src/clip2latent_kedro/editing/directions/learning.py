"""One direction for each target and each way of learning it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from torch import Tensor

from clip2latent_kedro.editing.directions.boundaries import learn_boundary
from clip2latent_kedro.editing.directions.class_means import (
    measure_class_means,
    shift_of,
    transport_of,
)
from clip2latent_kedro.editing.directions.config import (
    DirectionKind,
    DirectionsConfig,
)
from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.editing.directions.principal import (
    find_component,
    fit_components,
)
from clip2latent_kedro.editing.directions.samples import (
    Contrast,
    LabelledLatents,
    contrast_of,
    needs_text,
)
from clip2latent_kedro.editing.edit import EditTarget

KINDS: tuple[DirectionKind, ...] = get_args(DirectionKind)


def learn_direction(
    kind: DirectionKind,
    latents: LabelledLatents,
    target: EditTarget,
    config: DirectionsConfig,
    *,
    text_direction: Tensor | None = None,
    seed: int = 0,
    made_with: Mapping[str, Any] | None = None,
) -> Direction:
    """Return what one way of learning makes of a target, named after both.

    A strength of 1 is a standard deviation of w along the direction, or of a transport
    all the way.

    Args:
        kind: How it is learned.
        latents: What it is learned from.
        target: What the edit is to bring about.
        config: `params:editing.directions`.
        text_direction: See `contrast_of`.
        seed: Decides which latents are held out.
        made_with: What else decides it, such as digests of the models.

    Raises:
        UnavailableError: If too few latents show what is asked for, or all do.
        InputError: If the judge does not know the target's value.
    """
    began = time.perf_counter()
    contrast = contrast_of(latents, target, text_direction, share=config.share)
    direction = _LEARNERS[kind](latents, contrast, config, seed)
    seconds = time.perf_counter() - began
    own = {"kind": kind, "target": target.target, "neutral": target.neutral}
    if not needs_text(target, latents.attributes):
        own |= {"attribute": str(target.attribute), "value": str(target.value)}
    return replace(
        direction,
        name=f"{target.name}_{kind}",
        made_with={**own, **direction.made_with, **(made_with or {})},
        preparation={"target": seconds},
    )


def learn_directions(
    latents: LabelledLatents,
    targets: Sequence[EditTarget],
    config: DirectionsConfig,
    *,
    text_directions: Mapping[str, Tensor],
    seed: int = 0,
    made_with: Mapping[str, Any] | None = None,
) -> Iterator[Direction]:
    """Yield a direction of each kind for each target, as they come.

    That of `config.kind` comes under the target's own name too.

    Args:
        latents: What they are learned from.
        targets: What edits are to bring about.
        config: `params:editing.directions`.
        text_directions: By the name of the target, of those told by their texts.
        seed: Decides which latents are held out.
        made_with: What else decides them.
    """
    for target in targets:
        for kind in KINDS:
            direction = learn_direction(
                kind,
                latents,
                target,
                config,
                text_direction=text_directions.get(target.name),
                seed=seed,
                made_with=made_with,
            )
            if kind == config.kind:
                yield replace(direction, name=target.name)
            yield direction


def unit_offset(normal: Tensor, w: Tensor) -> Tensor:
    """Return a standard deviation of w along a unit normal, times it, [1, w_dim].

    Args:
        normal: [w_dim].
        w: Latents of all kinds, [n, w_dim].
    """
    return (normal.double() * (w.double() @ normal.double()).std()).float()[None]


def _learn_boundary(
    latents: LabelledLatents, contrast: Contrast, config: DirectionsConfig, seed: int
) -> Direction:
    normal, accuracy = learn_boundary(contrast, config, seed)
    made_with = {"accuracy": round(accuracy, 4)}  # on latents that were held out
    return Direction("", unit_offset(normal, latents.w), made_with)


def _learn_class_means(
    latents: LabelledLatents, contrast: Contrast, config: DirectionsConfig, seed: int
) -> Direction:
    means = measure_class_means(contrast, conditional=config.conditional)
    shift = shift_of(means, shrinkage=config.shrinkage)
    return Direction("", unit_offset(shift, latents.w))


def _learn_transport(
    latents: LabelledLatents, contrast: Contrast, config: DirectionsConfig, seed: int
) -> Direction:
    means = measure_class_means(contrast, conditional=config.conditional)
    step, destination = transport_of(means, shrinkage=config.shrinkage)
    return Direction("", step.float()[None], destination=destination)


def _learn_principal(
    latents: LabelledLatents, contrast: Contrast, config: DirectionsConfig, seed: int
) -> Direction:
    components = fit_components(latents.w, config.num_components)
    number, sign = find_component(components, contrast.w, contrast.has)
    found = components.direction(number)
    made_with = {"component": number, "sign": sign}
    return replace(found, offset=sign * found.offset, made_with=made_with)


_Learner = Callable[[LabelledLatents, Contrast, DirectionsConfig, int], Direction]
_LEARNERS: dict[DirectionKind, _Learner] = {
    "boundary": _learn_boundary,
    "class_means": _learn_class_means,
    "principal": _learn_principal,
    "transport": _learn_transport,
}
