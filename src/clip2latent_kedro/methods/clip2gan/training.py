"""CLIP2GAN's training: pairs and two frozen models in, states out."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import (
    LatentGaussian,
    LatentStatistics,
    fit_gaussian,
    repeat_latents,
)
from clip2latent_kedro.methods.checks import check_models
from clip2latent_kedro.methods.clip2gan.config import Clip2GanTrainingConfig
from clip2latent_kedro.methods.clip2gan.losses import (
    clip_distance,
    latent_distance,
    pixel_distance,
)
from clip2latent_kedro.methods.clip2gan.mapper import LatentMapper
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.pairs.batches import PairBatches
from clip2latent_kedro.prior.diffusion import perturb_embedding
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import derive_seed, make_generator, seeded_weights
from clip2latent_kedro.training import (
    Objective,
    Run,
    Task,
    TrainingState,
    averaged_copy,
    fit,
)
from clip2latent_kedro.training.rates import ramped_ema_decay, rising_and_falling_lr

_GAUSSIAN_PAIRS = 10_000  # that the Gaussian is measured on


def train_clip2gan(
    generator: Generator,
    encoder: Encoder,
    pairs: TrainingPairs,
    statistics: LatentStatistics,
    config: Clip2GanTrainingConfig,
    *,
    seed: int,
    device: str,
    start: TrainingState | InputError | None = None,
) -> Iterator[TrainingState]:
    """Yield the state every `save_it` steps, and at the end (see `fit`).

    The images to reconstruct are those of the pairs, drawn again from their w. The
    history tells of the averaged weights the distances of `losses`, on pairs held out
    and without noise: `latent`, `pixel` and `clip`.

    Args:
        generator: Frozen; gradients flow through it to w.
        encoder: Frozen; likewise to the images.
        pairs: Made by both.
        statistics: Of the pairs' w.
        config: `params:baselines.clip2gan`.
        seed: Seed of the run.
        device: Where to compute.
        start: Where to go on from.

    Raises:
        InputError: If `start` is unfinished and of other settings, if the pairs are of
            other models or too few, or if the loss is not finite.
    """
    check_models(generator, encoder, pairs)
    num_pairs = max(0, len(pairs) - config.val_pairs)

    def prepare() -> Task:
        shown = slice(0, min(_GAUSSIAN_PAIRS, max(1, num_pairs)))
        reconstruction = Reconstruction(
            generator.to(device),
            encoder.to(device),
            statistics,
            fit_gaussian(torch.from_numpy(pairs.take(shown)[0])),
            pairs.recipe["latent_repeats"],
            config,
        )
        batches = PairBatches(
            pairs,
            statistics,
            num_pairs=num_pairs,
            batch_size=config.bs,
            buffer_pairs=len(pairs),
            seed=seed,
            device=device,
        )
        w, embedding = map(torch.from_numpy, pairs.take(slice(num_pairs, len(pairs))))
        held_out = statistics.normalise(w).to(device), embedding.to(device)
        network = build_mapping(encoder.embed_dim, statistics, config, seed=seed)
        network.to(device)
        average = averaged_copy(network)
        optimizer = torch.optim.AdamW(
            network.named_parameters(),
            lr=config.lr,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.99),
        )

        def batch(step: int) -> dict[str, Tensor | int]:
            x0, clip_embedding = batches(step)
            # The first step has the noise of number 0, and its batch.
            random = make_generator(seed, "clip2gan", step - 1, device=device)
            noise = torch.randn(clip_embedding.shape, generator=random, device=device)
            noisy = perturb_embedding(clip_embedding, config.embed_noise_scale, noise)
            num_images = config.image_bs if step > config.images_from else 0
            return {
                "noisy": noisy,
                "x0": x0,
                "clip_embedding": clip_embedding,
                "num_images": num_images,
            }

        return Task(
            network=network,
            average=average,
            objectives=[Objective(optimizer, partial(reconstruction.loss, network))],
            batch=batch,
            learning_rate=partial(
                rising_and_falling_lr, max_it=config.max_it, rise=0.02, fall=0.6
            ),
            ema_decay=partial(ramped_ema_decay, beta=config.ema_beta),
            lr_setting=f"baselines.clip2gan.lr = {config.lr}",
            measure=lambda step, _: reconstruction.measure(average, *held_out),
        )

    run = Run(
        entry="clip2gan_state",
        group="clip2gan",
        settings={"clip2gan": asdict(config), "seed": seed, "pairs": pairs.settings},
        making={
            **describe_provenance(device, __name__, generator, encoder),
            "pairs": pairs.made_by,
        },
        max_it=config.max_it,
        save_it=config.save_it,
    )
    yield from fit(prepare, run, start)


class Reconstruction:
    """What becomes of an image that is embedded, mapped and drawn again."""

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        statistics: LatentStatistics,
        gaussian: LatentGaussian,
        latent_repeats: list[int],
        config: Clip2GanTrainingConfig,
    ) -> None:
        """Keep what is frozen, on one device.

        Args:
            generator: w -> image.
            encoder: Image -> embedding.
            statistics: Between normalised latents and w.
            gaussian: Of w.
            latent_repeats: Layers that each latent stands for.
            config: `params:baselines.clip2gan`.
        """
        self._generator = generator
        self._encoder = encoder
        self._statistics = statistics
        self._gaussian = gaussian
        self._latent_repeats = latent_repeats
        self._config = config

    def loss(
        self,
        network: LatentMapper,
        *,
        noisy: Tensor,
        x0: Tensor,
        clip_embedding: Tensor,
        num_images: int,
    ) -> Tensor:
        """Return the weighted sum of the distances of what is mapped, a scalar.

        Args:
            network: Embedding -> x0.
            noisy: What it sees, [n, clip_dim].
            x0: What it should give, [n, num_latents, w_dim], normalised.
            clip_embedding: Of the images of x0, [n, clip_dim].
            num_images: The first of them are drawn and compared; 0 for none.
        """
        config = self._config
        x = network(noisy)
        loss = config.latent_weight * self._latent(x, x0)
        if num_images and (config.pixel_weight or config.clip_weight):
            rows = slice(num_images)
            pixel, clip = self._pictures(x[rows], x0[rows], clip_embedding[rows])
            loss = loss + config.pixel_weight * pixel + config.clip_weight * clip
        return loss

    @torch.no_grad()
    def measure(
        self, network: LatentMapper, x0: Tensor, clip_embedding: Tensor
    ) -> dict[str, float]:
        """Return the distances of latents, pixels and embeddings (see `losses`).

        Args:
            network: It sees embeddings without noise.
            x0: What it should give, [n, num_latents, w_dim], normalised.
            clip_embedding: Of their images, [n, clip_dim].
        """
        x = network(clip_embedding)
        total = torch.zeros(2, device=x.device)
        for first in range(0, len(x), self._config.image_bs):
            rows = slice(first, first + self._config.image_bs)
            means = self._pictures(x[rows], x0[rows], clip_embedding[rows])
            total += torch.stack(means) * len(x[rows])
        pixel, clip = (total / len(x)).tolist()
        return {"latent": float(self._latent(x, x0)), "pixel": pixel, "clip": clip}

    def _latent(self, x: Tensor, x0: Tensor) -> Tensor:
        denormalise = self._statistics.denormalise
        return latent_distance(denormalise(x), denormalise(x0), self._gaussian)

    def _pictures(
        self, x: Tensor, x0: Tensor, clip_embedding: Tensor
    ) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            target = self._synthesise(x0)
        image = self._synthesise(x)
        pixel = pixel_distance(image, target, self._config.low_pass)
        return pixel, clip_distance(self._encoder.encode_image(image), clip_embedding)

    def _synthesise(self, x: Tensor) -> Tensor:
        w = repeat_latents(self._statistics.denormalise(x), self._latent_repeats)
        return self._generator.synthesis(w, noise_mode="const")


def build_mapping(
    clip_dim: int,
    statistics: LatentStatistics,
    config: Clip2GanTrainingConfig,
    *,
    seed: int,
) -> LatentMapper:
    """Return a network with random weights, on the CPU."""
    num_latents, w_dim = statistics.mean.shape
    with seeded_weights(derive_seed(seed, "weights")):
        return LatentMapper(
            clip_dim=clip_dim,
            num_latents=num_latents,
            w_dim=w_dim,
            dim=config.dim,
            depth=config.depth,
        )
