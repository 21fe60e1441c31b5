"""The loop: gradient descent on w, through the generator and the encoder."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.latents import LatentGaussian, group_starts, repeat_latents
from clip2latent_kedro.methods.method import Trajectory
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.methods.optimisation.coordinates import (
    Coordinates,
    RawCoordinates,
    limit_distance,
    make_coordinates,
    select_rows,
    shared_layers,
)
from clip2latent_kedro.methods.optimisation.objective import (
    Keep,
    SearchObjective,
    Synthesis,
)
from clip2latent_kedro.progress import progress_bar


def optimise_latents(
    generator: Synthesis,
    encoder: Encoder,
    target: Tensor,
    start: Tensor,
    config: OptimisationConfig,
    *,
    gaussian: LatentGaussian | None,
    seed: int,
    keep: Keep | None = None,
    progress: str | None = None,
) -> tuple[Tensor, Trajectory]:
    """Return latents whose pictures are closer to what they should show, and the way.

    What comes of a row depends, but for rounding, neither on the rows beside it nor on
    the batch size.

    Args:
        generator: On the device of `start`. Its weights stay as they are.
        encoder: On that device too; its weights stay as they are.
        target: Embedding of what each row should show, [n, clip_dim], of any length.
        start: [n, num_ws, w_dim], or [n, 1, w_dim] for all layers.
        config: How to search; its `start` is not looked at.
        gaussian: Of w, one row for each layer (see `coordinates`); None for a search
            in raw coordinates that nothing bounds.
        seed: Decides the cutouts.
        keep: What of the pictures at the start is to stay; None for nothing.
        progress: What the progress bar says; None for no bar.

    Returns:
        w, [n, num_ws, w_dim]; and w after each of `record_steps` that was reached,
        [num_records, n, num_ws, w_dim].

    Raises:
        InputError: If no gradient reaches w, or the views do not suit the models.
    """
    start = start.expand(-1, generator.num_ws, -1)
    target = target.float()
    layers = shared_layers(start) if config.space == "w" else [1] * generator.num_ws
    if gaussian is not None:
        gaussian = select_rows(gaussian, group_starts(layers), like=start)
    objective = SearchObjective(generator, encoder, config, seed, keep)
    steps = [step for step in config.record_steps if step <= config.num_steps]
    found = torch.empty_like(start)
    trajectory = start.new_empty(len(steps), *start.shape)

    batches = torch.split(torch.arange(len(start)), config.batch_size)
    total = len(batches) * config.num_steps
    bar: AbstractContextManager[Callable[..., None]] = nullcontext(lambda: None)
    if progress is not None:
        bar = progress_bar(progress, total=total, unit="steps")
    with bar as advance:
        for rows in batches:
            search = _search(objective, start[rows], target[rows], gaussian, layers)
            for step, w in enumerate(search):
                if step in steps:
                    trajectory[steps.index(step), rows] = w
                if step:
                    advance()
                if step == config.num_steps:
                    found[rows] = w
    return found, Trajectory(steps, trajectory)


def _search(
    objective: SearchObjective,
    start: Tensor,
    target: Tensor,
    gaussian: LatentGaussian | None,
    layers: list[int],
) -> Iterator[Tensor]:
    """Yield w, [n, num_ws, w_dim], after steps 0, 1, ..., num_steps.

    Args:
        objective: With the settings.
        start: [n, num_ws, w_dim].
        target: [n, clip_dim].
        gaussian: One row for each latent that moves; None where none is needed.
        layers: Layers of each latent that moves.
    """
    yield start
    config = objective.config
    w_start = start[:, group_starts(layers)]  # [n, num_latents, w_dim]
    coordinates = make_coordinates(config.coordinates, gaussian)
    features = objective.features(start)
    q = coordinates.from_w(w_start).requires_grad_()
    average = q.detach().clone()
    optimizer = torch.optim.AdamW(
        [q],
        lr=config.lr,
        betas=(config.betas[0], config.betas[1]),
        weight_decay=config.weight_decay,
    )
    for step in range(1, config.num_steps + 1):
        optimizer.param_groups[0]["lr"] = config.lr * ramp(config, step)
        with torch.enable_grad():
            w = coordinates.to_w(q)
            loss = objective.loss(repeat_latents(w, layers), target, step, features)
            loss = loss + config.l2_lambda * (w - w_start).square().sum(dim=(1, 2))
            # Of the sum, not the mean: a row's gradient is its own.
            (q.grad,) = torch.autograd.grad(loss.sum(), q)
        optimizer.step()
        with torch.no_grad():
            q.copy_(_bounded(q, coordinates, w_start, gaussian, config))
            average.lerp_(q, 1 - config.ema_decay)
            found = repeat_latents(coordinates.to_w(average), layers)
        yield found


class RampConfig(Protocol):
    """Settings of a search that say when it goes how fast."""

    @property
    def num_steps(self) -> int:
        """Steps of the optimiser."""

    @property
    def warmup(self) -> float:
        """Share of the steps in which the learning rate rises."""

    @property
    def rampdown(self) -> float:
        """Share of the steps in which it falls."""


def ramp(config: RampConfig, step: int) -> float:
    """Return the factor on the learning rate of a step (from 1).

    With t = (step - 1) / num_steps, that of StyleGAN's projector, as StyleCLIP has it:
    min(1, t / warmup) (1 - cos(pi min(1, (1 - t) / rampdown))) / 2.
    """
    t = (step - 1) / config.num_steps
    rise = min(1.0, t / config.warmup) if config.warmup else 1.0
    left = min(1.0, (1 - t) / config.rampdown) if config.rampdown else 1.0
    return rise * (1 - math.cos(math.pi * left)) / 2


def _bounded(
    q: Tensor,
    coordinates: Coordinates | RawCoordinates,
    w_start: Tensor,
    gaussian: LatentGaussian | None,
    config: OptimisationConfig,
) -> Tensor:
    """Return q within the trust radius and the Gaussian, if those are bounds.

    A start outside the Gaussian may stay as far out as it is.
    """
    if config.trust_radius is None and config.cloud_quantile is None:
        return q
    if gaussian is None:
        msg = "A bound on w needs the Gaussian of w, got none. Give it, or no bound."
        raise InputError(msg)
    w = coordinates.to_w(q)
    if config.trust_radius is not None:
        radius = w.new_full((len(w),), config.trust_radius)
        w = limit_distance(w, w_start, gaussian, radius)
    if config.cloud_quantile is not None:
        radius = gaussian.distance(w_start).clamp_min(
            gaussian.radius(config.cloud_quantile)
        )
        w = limit_distance(w, gaussian.mean, gaussian, radius)
    return coordinates.from_w(w)
