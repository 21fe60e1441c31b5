"""Training of a prior: pairs in, checkpoints out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.engines.groups import AloneGroup, Group
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics, fit_gaussian
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.pairs.batches import PairBatches
from clip2latent_kedro.prior.checkpoint import Checkpoint, build_prior
from clip2latent_kedro.prior.config import PriorSettings
from clip2latent_kedro.prior.diffusion import (
    DiffusionPrior,
    EmbeddingStatistics,
    perturb_embedding,
)
from clip2latent_kedro.runtime import (
    check_compiler,
    choose_precision,
    derive_seed,
    make_generator,
    seeded_weights,
)
from clip2latent_kedro.training import (
    LOSS_SCORE,
    Objective,
    Run,
    Task,
    averaged_copy,
    describe_making,
    fit_together,
)
from clip2latent_kedro.training.optimizer import build_optimizer
from clip2latent_kedro.training.rates import decayed_lr, ema_decay
from clip2latent_kedro.training.team import Team

GAUSSIAN_SAMPLES = 10_000  # pairs that the Gaussian is measured on


@dataclass(frozen=True)
class Validation:
    """What a prior can do after some steps.

    Attributes:
        scores: By name; of each, more is better.
        picture: Samples to look at, uint8 [h, w, 3]; None if there are none.
    """

    scores: Mapping[str, float]
    picture: np.ndarray | None = None


Validate = Callable[[DiffusionPrior, int], Validation]
"""(averaged prior, step) -> Validation; its random numbers are its own.

For the workers of a group it travels by pickle; one that computes by itself has a
method `to`, which returns it on another device.
"""


def train_prior(
    pairs: TrainingPairs,
    statistics: LatentStatistics,
    embedding_statistics: EmbeddingStatistics,
    settings: PriorSettings,
    *,
    device: str,
    start: Checkpoint | InputError | None = None,
    validate: Validate | None = None,
    group: Group | None = None,
) -> Iterator[Checkpoint]:
    """Yield a checkpoint every `save_it` steps, and one at the end (see `fit`).

    Args:
        pairs: w and clip_embedding; the last `train.val_pairs` are kept to measure
            with.
        statistics: Of w.
        embedding_statistics: Of clip_embedding. The mean of texts in it is kept for
            those who condition the prior on texts; training has no use for it.
        settings: All that decides the prior, but for the pairs.
        device: Where to compute, if there is no group.
        start: Where to go on; a finished run is yielded as it is, gone on with if
            `max_it` has grown, and replaced under other settings. None starts anew.
        validate: Called with the averaged prior every `val_it` steps, by the first of
            a group.
        group: Who trains; None for this process alone.

    Raises:
        InputError: If `start` is unfinished and of other settings, if there are too
            few pairs, or if the loss is not finite.
    """
    group = AloneGroup(device) if group is None else group
    train = settings.train
    described = settings.describe(pairs)
    num_pairs = max(0, len(pairs) - train.val_pairs)
    w, _ = pairs.take(slice(0, min(GAUSSIAN_SAMPLES, max(1, num_pairs))))
    untrained = Checkpoint(
        step=0,
        settings=described,
        statistics=statistics,
        embedding_statistics=embedding_statistics,
        gaussian=fit_gaussian(torch.from_numpy(w)),
        generator_identity=_parse_identity(pairs.recipe["generator"]),
        encoder_identity=_parse_identity(pairs.recipe["encoder"]),
    )
    run = Run(
        entry="prior_checkpoint",
        group="train",
        settings=described,
        making={**describe_making(group, __name__), "pairs": pairs.made_by},
        max_it=train.max_it,
        save_it=train.save_it,
        val_it=train.val_it,
    )
    if group.size > 1:  # what travels is light, and of no device
        pairs, validate = pairs.from_store(), _moved(validate, "cpu")
    prepare = partial(_prepare, untrained, pairs, settings)
    lead = partial(prepare, validate=validate)
    states = fit_together(group, lead, prepare, run, start)
    yield from map(untrained.with_state, states)


def _prepare(
    untrained: Checkpoint,
    pairs: TrainingPairs,
    settings: PriorSettings,
    device: str,
    team: Team,
    validate: Validate | None = None,
) -> Task:
    """Return what one process trains, before the first step."""
    train = settings.train
    team.check_batch(settings.data.bs, "data.bs")
    with seeded_weights(derive_seed(settings.seed, "weights")):
        prior = build_prior(untrained).to(device)
    num_pairs = max(0, len(pairs) - train.val_pairs)
    batches = PairBatches(
        pairs,
        prior.statistics,
        num_pairs=num_pairs,
        batch_size=settings.data.bs,
        buffer_pairs=train.buffer_pairs,
        seed=settings.seed,
        device=device,
        team=team,
    )
    # What is held out is read by who measures.
    last = slice(num_pairs, len(pairs) if team.is_first else num_pairs)
    w, embedding = map(torch.from_numpy, pairs.take(last))
    held_out = prior.statistics.normalise(w), embedding
    if team.size > 1:
        validate = _moved(validate, device)
    task = prior_task(prior, settings, batches, held_out, validate)
    if train.compile:
        check_compiler("train.compile", device)
        prior.network.compile()  # in place: the names of the weights stay
    return task


def _moved(validate: Validate | None, device: str) -> Validate | None:
    """Return what validates on a device, if it is one that can be moved."""
    move = getattr(validate, "to", None)
    moved: Validate | None = validate if move is None else move(device)
    return moved


def prior_task(
    prior: DiffusionPrior,
    settings: PriorSettings,
    batches: Callable[[int], tuple[Tensor, Tensor]],
    held_out: tuple[Tensor, Tensor],
    validate: Validate | None = None,
) -> Task:
    """Return what `fit` trains.

    Args:
        prior: With its first weights, on its device.
        settings: Of its training.
        batches: Step -> x0 [n, num_latents, latent_dim] and clip_embedding
            [n, clip_dim], on the device.
        held_out: x0 and clip_embedding of pairs that no step sees, on any device; may
            be of no pairs.
        validate: Called with the averaged prior every `val_it` steps; None for nothing.
    """
    train, seed = settings.train, settings.seed
    device = str(prior.alpha_bar.device)
    noise_range = settings.data.embed_noise_least, settings.data.embed_noise_scale
    average = averaged_copy(prior)
    pictures: dict[int, np.ndarray] = {}

    def batch(step: int) -> dict[str, Tensor]:
        x0, clip_embedding = batches(step)
        random = make_generator(seed, "step", step, device=device)
        dropped = torch.rand(len(x0), generator=random, device=device)
        keep = dropped >= settings.diffusion.cond_drop_prob
        drawn = noise_batch(prior, x0, clip_embedding, noise_range, random)
        return {"x0": x0, "keep": keep, **drawn}

    def measure(step: int, is_validated: bool) -> dict[str, float]:
        loss = validation_loss(
            average,
            held_out,
            batch_size=settings.data.bs,
            noise_range=noise_range,
            random=make_generator(seed, "validation", device=device),
        )
        scores = {LOSS_SCORE: loss}
        if is_validated and validate is not None:
            validation = validate(average, step)
            scores |= validation.scores
            if validation.picture is not None:
                pictures[step] = validation.picture
        return scores

    optimizer = build_optimizer(
        prior.network, lr=train.lr, weight_decay=train.weight_decay
    )
    return Task(
        network=prior.network,
        average=average.network,
        objectives=[Objective(optimizer, prior.loss)],
        batch=batch,
        learning_rate=partial(
            decayed_lr,
            decay=train.lr_decay,
            max_it=train.max_it,
            warmup_it=train.warmup_it,
        ),
        ema_decay=partial(ema_decay, beta=train.ema_beta, power=train.ema_power),
        ema_every=train.ema_update_every,
        lr_setting=f"train.lr = {train.lr}",
        measure=measure,
        best_by=train.best_by,
        clip_grad=train.clip_grad,
        accumulate=train.accumulate,
        precision=choose_precision(train.precision, device),
        pictures=pictures,
    )


def noise_batch(
    prior: DiffusionPrior,
    x0: Tensor,
    clip_embedding: Tensor,
    noise_range: tuple[float, float],
    random: torch.Generator,
) -> dict[str, Tensor]:
    """Return what `DiffusionPrior.loss` takes: timesteps, noise, noisy conditions.

    Args:
        prior: Whose schedule and condition count.
        x0: Clean latents, [n, num_latents, latent_dim].
        clip_embedding: [n, clip_dim], on the same device.
        noise_range: Length of the noise on a unit embedding, least and most, evenly
            between them where the network is told how much there is; else the most.
        random: Source of everything random, on the same device.
    """
    num, device = len(x0), x0.device

    def normal_like(tensor: Tensor) -> Tensor:
        return torch.randn(tensor.shape, generator=random, device=device)

    t = torch.randint(len(prior.alpha_bar), (num,), generator=random, device=device)
    least, most = noise_range
    level = torch.full((num, 1), most, device=device)
    if "noise_level" in prior.condition_inputs:
        share = torch.rand(num, 1, generator=random, device=device)
        level = least + (most - least) * share
    noisy = perturb_embedding(clip_embedding, level, normal_like(clip_embedding))
    condition = prior.join_condition(noisy, noise_level=level)
    return {"condition": condition, "t": t, "noise": normal_like(x0)}


@torch.no_grad()
def validation_loss(
    prior: DiffusionPrior,
    held_out: tuple[Tensor, Tensor],
    *,
    batch_size: int,
    noise_range: tuple[float, float],
    random: torch.Generator,
) -> float:
    """Return a prior's mean loss, conditions never hidden; NaN if there are no pairs.

    Args:
        prior: On its device.
        held_out: x0 [n, num_latents, latent_dim] and clip_embedding [n, clip_dim].
        batch_size: Pairs at a time.
        noise_range: As for `noise_batch`.
        random: Source of everything random, on the device of the prior.
    """
    num = len(held_out[0])
    total = 0.0
    for first in range(0, num, batch_size):
        rows = slice(first, first + batch_size)
        x0, embedding = (part[rows].to(prior.alpha_bar.device) for part in held_out)
        drawn = noise_batch(prior, x0, embedding, noise_range, random)
        total += float(prior.loss(x0, **drawn, keep=None)) * len(x0)
    return total / num if num else float("nan")


def _parse_identity(text: str) -> Identity:
    """Return the identity that a recipe writes as name@digest."""
    name, _, digest = text.rpartition("@")
    return Identity(name, digest)
