"""CLIP2GAN's training: pairs and two frozen models in, states out."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import LatentStatistics, fit_gaussian
from clip2latent_kedro.methods.checks import check_models
from clip2latent_kedro.methods.clip2gan.config import Clip2GanTrainingConfig
from clip2latent_kedro.methods.clip2gan.mapper import MappingNetwork
from clip2latent_kedro.methods.clip2gan.reconstruction import Reconstruction
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.portraits.fitting import FitState, Schedule, fit
from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.diffusion import perturb_embedding
from clip2latent_kedro.runtime import derive_seed, make_generator, seeded_weights

COLUMNS = ("step", "loss", "latent", "pixel", "clip")
_GAUSSIAN_PAIRS = 10_000  # that the Gaussian is measured on
_WARMUP, _DECAY = 0.02, 0.6  # shares of the run in which the learning rate moves


def train_clip2gan(
    generator: Generator,
    encoder: Encoder,
    pairs: TrainingPairs,
    statistics: LatentStatistics,
    config: Clip2GanTrainingConfig,
    *,
    seed: int,
    device: str,
    state: FitState | None = None,
) -> Iterator[FitState]:
    """Yield the state every `save_it` steps, and at the end.

    The images to reconstruct are those of the pairs, drawn again from their w. On a
    CPU, training that goes on from any state yields the same bits as one that was
    never interrupted.

    Args:
        generator: Frozen; gradients flow through it to w.
        encoder: Frozen; likewise to the images.
        pairs: Made by both.
        statistics: Of the pairs' w.
        config: `params:baselines.clip2gan`.
        seed: Seed of the run.
        device: Where to compute.
        state: Where to go on from.

    Raises:
        InputError: If the pairs are of other models or too few, or if the loss is not
            finite.
    """
    check_models(generator, encoder, pairs)
    num_pairs = max(0, len(pairs) - config.val_pairs)
    shown = slice(0, min(_GAUSSIAN_PAIRS, max(1, num_pairs)))
    reconstruction = Reconstruction(
        generator.to(device),
        encoder.to(device),
        statistics,
        fit_gaussian(torch.from_numpy(pairs.take(shown)[0])),
        pairs.recipe["latent_repeats"],
        config,
    )
    network = build_mapping(encoder.embed_dim, statistics, config, seed=seed)
    network.to(device)
    batches = PairBatches(
        pairs,
        statistics,
        num_pairs=num_pairs,
        batch_size=config.bs,
        buffer_pairs=len(pairs),
        seed=seed,
        device=device,
    ).starting_at(0 if state is None else state.step)
    w, embedding = map(torch.from_numpy, pairs.take(slice(num_pairs, len(pairs))))
    held_out = statistics.normalise(w).to(device), embedding.to(device)

    def loss_at(step: int) -> Tensor:
        x0, clip_embedding = next(batches)
        random = make_generator(seed, "clip2gan", step, device=device)
        noise = torch.randn(clip_embedding.shape, generator=random, device=device)
        noisy = perturb_embedding(clip_embedding, config.embed_noise_scale, noise)
        num_images = config.image_bs if step >= config.images_from else 0
        return reconstruction.loss(network(noisy), x0, clip_embedding, num_images)

    history = [] if state is None else state.tensors["history"].tolist()
    average = copy.deepcopy(network).requires_grad_(False).eval()
    states = fit(
        network,
        [
            {
                "params": list(network.parameters()),
                "lr": config.lr,
                "weight_decay": config.weight_decay,
            }
        ],
        loss_at,
        Schedule(config.max_it, _WARMUP, _DECAY, config.ema_beta),
        save_every=config.save_it,
        lr="baselines.clip2gan.lr",
        state=state,
        description="clip2gan",
    )
    for reached in states:
        average.load_state_dict(reached.weights())
        measured = reconstruction.measure(average, *held_out)
        since = int(history[-1][0]) if history else 0
        loss = reached.tensors["losses"][since:].mean().item()
        history.append([float(reached.step), loss, *measured])
        rows = torch.tensor(history, dtype=torch.float64)
        yield replace(reached, tensors={**reached.tensors, "history": rows})


def build_mapping(
    clip_dim: int,
    statistics: LatentStatistics,
    config: Clip2GanTrainingConfig,
    *,
    seed: int,
) -> MappingNetwork:
    """Return a network with random weights, on the CPU."""
    num_latents, w_dim = statistics.mean.shape
    with seeded_weights(derive_seed(seed, "weights")):
        return MappingNetwork(
            clip_dim=clip_dim,
            num_latents=num_latents,
            w_dim=w_dim,
            dim=config.dim,
            depth=config.depth,
        )


def tabulate_history(state: FitState) -> list[dict[str, float]]:
    """Return a row for each stored state.

    `step`; `loss`, the mean of the training loss since the row before; and of the
    averaged weights, on pairs held out and without noise, the distances of `losses`.
    """
    rows = state.tensors["history"].tolist()
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]
