"""What becomes of an image that is embedded, mapped and drawn again."""

import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import LatentGaussian, LatentStatistics, repeat_latents
from clip2latent_kedro.methods.clip2gan.config import Clip2GanTrainingConfig
from clip2latent_kedro.methods.clip2gan.losses import (
    clip_distance,
    latent_distance,
    pixel_distance,
)
from clip2latent_kedro.methods.clip2gan.mapper import MappingNetwork


class Reconstruction:
    """How far what was mapped lies from what it should be."""

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
        self, x: Tensor, x0: Tensor, clip_embedding: Tensor, num_images: int
    ) -> Tensor:
        """Return the weighted sum of the distances, a scalar.

        Args:
            x: What was mapped, [n, num_latents, w_dim], normalised.
            x0: What it should be.
            clip_embedding: Of the images of x0, [n, clip_dim].
            num_images: The first of them are drawn and compared; 0 for none.
        """
        config = self._config
        loss = config.latent_weight * self._latent(x, x0)
        if num_images and (config.pixel_weight or config.clip_weight):
            rows = slice(num_images)
            pixel, clip = self._pictures(x[rows], x0[rows], clip_embedding[rows])
            loss = loss + config.pixel_weight * pixel + config.clip_weight * clip
        return loss

    @torch.no_grad()
    def measure(
        self, network: MappingNetwork, x0: Tensor, clip_embedding: Tensor
    ) -> list[float]:
        """Return the distances of latents, pixels and embeddings (see `losses`).

        Args:
            network: Whose answers to embeddings without noise are measured.
            x0: What they should be, [n, num_latents, w_dim], normalised.
            clip_embedding: Of their images, [n, clip_dim].
        """
        x = network(clip_embedding)
        total = torch.zeros(2, device=x.device)
        for first in range(0, len(x), self._config.image_bs):
            rows = slice(first, first + self._config.image_bs)
            means = self._pictures(x[rows], x0[rows], clip_embedding[rows])
            total += torch.stack(means) * len(x[rows])
        return [float(self._latent(x, x0)), *(total / len(x)).tolist()]

    def _latent(self, x: Tensor, x0: Tensor) -> Tensor:
        denormalise = self._statistics.denormalise
        return latent_distance(denormalise(x), denormalise(x0), self._gaussian)

    def _pictures(
        self, x: Tensor, x0: Tensor, clip_embedding: Tensor
    ) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            target = self._draw(x0)
        image = self._draw(x)
        pixel = pixel_distance(image, target, self._config.low_pass)
        return pixel, clip_distance(self._encoder.encode_image(image), clip_embedding)

    def _draw(self, x: Tensor) -> Tensor:
        w = repeat_latents(self._statistics.denormalise(x), self._latent_repeats)
        return self._generator.synthesis(w, noise_mode="const")
