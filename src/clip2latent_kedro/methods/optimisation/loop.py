"""The loop: gradient descent on w, through the generator and the encoder."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import LatentGaussian, group_starts, repeat_latents
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.methods.optimisation.coordinates import (
    Coordinates,
    limit_distance,
    make_coordinates,
    select_rows,
    shared_layers,
)
from clip2latent_kedro.methods.optimisation.losses import text_loss
from clip2latent_kedro.methods.optimisation.views import (
    cut_out,
    draw_windows,
    input_size,
    resize_image,
)
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import make_generator


@dataclass(frozen=True)
class OptimisedLatents:
    """What a search found, and the way there.

    Attributes:
        w: [..., num_ws, w_dim].
        steps: Of the records: those of `record_steps` that were reached.
        curve: Cosine of the whole picture and its text after each of those steps,
            [num_records, ...].
        trajectory: w after each of those steps, [num_records, ..., num_ws, w_dim].
    """

    w: Tensor
    steps: list[int]
    curve: Tensor
    trajectory: Tensor


@dataclass(frozen=True)
class Objective:
    """What is minimised, for texts that are embedded.

    Attributes:
        generator: w -> image.
        encoder: Image -> embedding.
        config: Of the search.
        seed: Decides the cutouts of each step, which all samples share.
    """

    generator: Generator
    encoder: Encoder
    config: OptimisationConfig
    seed: int

    def loss(self, w: Tensor, target: Tensor, step: int) -> Tensor:
        """Return the loss at a step (from 1), [n], without what w itself costs.

        Args:
            w: [n, num_ws, w_dim].
            target: Embeddings of the texts, [n, clip_dim].
            step: Decides the cutouts.

        Raises:
            InputError: If no gradient comes through the models.
        """
        config, resolution = self.config, self.generator.resolution
        if config.checkpoint_synthesis:
            image = checkpoint(self.synthesise, w, use_reentrant=False)
        else:
            image = self.synthesise(w)
        size = input_size(self.encoder, resolution)
        if config.num_cutouts:
            random = make_generator(self.seed, "cutouts", step)
            views = cut_out(image, draw_windows(config, resolution, random), size)
        else:
            views = resize_image(image, config.resize, size)[None]
        embedding = self.encoder.encode_image(views.flatten(0, 1)).float()
        if not embedding.requires_grad:
            msg = (
                "Optimising latents needs gradients of generator.synthesis and "
                "encoder.encode_image, got none. Run both without torch.no_grad inside."
            )
            raise InputError(msg)
        return text_loss(config.loss, embedding.view(*views.shape[:2], -1), target)

    @torch.no_grad()
    def score(self, w: Tensor, target: Tensor) -> Tensor:
        """Return the cosine of whole pictures with their texts, [n]."""
        embedding = self.encoder.encode_image(self.synthesise(w)).float()
        return functional.cosine_similarity(embedding, target, dim=-1)

    def synthesise(self, w: Tensor) -> Tensor:
        """Return images of w."""
        return self.generator.synthesis(w, noise_mode="const")


def optimise_latents(
    generator: Generator,
    encoder: Encoder,
    target: Tensor,
    start: Tensor,
    config: OptimisationConfig,
    *,
    gaussian: LatentGaussian,
    seed: int,
    progress: str | None = None,
) -> OptimisedLatents:
    """Return latents whose pictures are closer to what they should show.

    What comes of a row depends, but for rounding, neither on the rows beside it nor on
    the batch size.

    Args:
        generator: On the device of `start`. Its weights stay as they are.
        encoder: Likewise.
        target: Embedding of what each row should show, [n, clip_dim], of any length.
        start: [n, num_ws, w_dim], or [n, 1, w_dim] for all layers.
        config: How to search; its `start` is not looked at.
        gaussian: Of w, one row for each layer (see `coordinates`).
        seed: Decides the cutouts.
        progress: What the progress bar says; None for no bar.

    Raises:
        InputError: If no gradient reaches w, or the views do not suit the models.
    """
    start = start.expand(-1, generator.num_ws, -1)
    target = target.float()
    layers = shared_layers(start) if config.space == "w" else [1] * generator.num_ws
    gaussian = select_rows(gaussian, group_starts(layers), like=start)
    objective = Objective(generator, encoder, config, seed)
    steps = [step for step in config.record_steps if step <= config.num_steps]
    found = torch.empty_like(start)
    curve = start.new_empty(len(steps), len(start))
    trajectory = start.new_empty(len(steps), *start.shape)

    batches = torch.split(torch.arange(len(start)), config.batch_size)
    with _steps_bar(progress, len(batches) * config.num_steps) as advance:
        for rows in batches:
            search = _search(objective, start[rows], target[rows], gaussian, layers)
            for step, w in enumerate(search):
                if step in steps:
                    record = steps.index(step)
                    trajectory[record, rows] = w
                    curve[record, rows] = objective.score(w, target[rows])
                if step:
                    advance()
                if step == config.num_steps:
                    found[rows] = w
    return OptimisedLatents(found, steps, curve, trajectory)


def _search(
    objective: Objective,
    start: Tensor,
    target: Tensor,
    gaussian: LatentGaussian,
    layers: list[int],
) -> Iterator[Tensor]:
    """Yield w, [n, num_ws, w_dim], after steps 0, 1, ..., num_steps.

    Args:
        objective: With the settings.
        start: [n, num_ws, w_dim].
        target: [n, clip_dim].
        gaussian: One row for each latent that moves.
        layers: Layers of each latent that moves.
    """
    yield start
    config = objective.config
    w_start = start[:, group_starts(layers)]  # [n, num_latents, w_dim]
    coordinates = make_coordinates(config.coordinates, gaussian)
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
            loss = objective.loss(repeat_latents(w, layers), target, step)
            loss = loss + config.l2_lambda * (w - w_start).square().sum(dim=(1, 2))
            # Of the sum, not the mean: a row's gradient is its own.
            (q.grad,) = torch.autograd.grad(loss.sum(), q)
        optimizer.step()
        with torch.no_grad():
            q.copy_(_bounded(q, coordinates, w_start, gaussian, config))
            average.lerp_(q, 1 - config.ema_decay)
            found = repeat_latents(coordinates.to_w(average), layers)
        yield found


def ramp(config: OptimisationConfig, step: int) -> float:
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
    coordinates: Coordinates,
    w_start: Tensor,
    gaussian: LatentGaussian,
    config: OptimisationConfig,
) -> Tensor:
    """Return q within the trust radius and the Gaussian, if those are bounds.

    A start outside the Gaussian may stay as far out as it is.
    """
    if config.trust_radius is None and config.cloud_quantile is None:
        return q
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


@contextmanager
def _steps_bar(description: str | None, total: int) -> Iterator[Callable[..., None]]:
    if description is None:
        yield lambda count=1: None
        return
    with progress_bar(description, total=total, unit="steps") as advance:
        yield advance
