"""The whole method: prompt -> CLIP embedding -> w -> image.

    e  = CLIP_text(prompt)
    e' = norm * normalise(e / |e| + mean_shift * (image_mean - text_mean))
    x0 = sampler(prior given e', x_T),  x_T ~ N(0, I)
    w  = centre + psi * (mean + std * x0 - centre), repeated over the layers
    image = generator(w), the best by CLIP first if wanted

The prior has only seen embeddings of images. Those of texts lie in a cone of their
own (Liang et al. 2022); the second line moves them over by the difference of the
two means, as C3 does (Zhang et al. 2024), which takes no pair of image and text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import repeat_latents, truncate
from clip2latent_kedro.metrics.clip_score import clip_scores
from clip2latent_kedro.prior.diffusion import DiffusionPrior, check_identity
from clip2latent_kedro.runtime import derive_seed
from clip2latent_kedro.samplers import SamplingConfig, sample

NOISE_BLOCK = 16  # steps whose noise is drawn at once, for speed alone


@dataclass(frozen=True)
class GeneratedImages:
    """Samples of some prompts.

    Attributes:
        images: uint8, [num_prompts, num_samples, h, w, 3].
        w: [num_prompts, num_samples, num_ws, w_dim].
        scores: Cosine with the prompt, falling, [num_prompts, num_samples]; None
            if the samples were not ranked.
    """

    images: np.ndarray
    w: Tensor
    scores: np.ndarray | None


@dataclass(frozen=True)
class TextToImage:
    """The three models of the method, together on one device.

    Attributes:
        generator: w -> image.
        encoder: Text -> embedding.
        prior: Embedding -> w, trained on this generator and this encoder.
        latent_repeats: Layers of the generator that each latent of the prior stands
            for.
        latent_batch_size: Latents denoised at a time, or one prompt's if more.
        image_batch_size: Images synthesised at a time.
        device: Where to compute; the models are moved there.
    """

    generator: Generator
    encoder: Encoder
    prior: DiffusionPrior
    latent_repeats: Sequence[int]
    latent_batch_size: int
    image_batch_size: int
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Check that the models belong together, and move them to the device."""
        check_identity(self.prior, self.generator.identity, self.encoder.identity)
        of_prior = self.prior.latent_shape
        of_generator = (len(self.latent_repeats), self.generator.w_dim)
        layers = sum(self.latent_repeats)
        if of_prior != of_generator or layers != self.generator.num_ws:
            msg = (
                f"data.latent_repeats must have {of_prior[0]} numbers, one for each "
                f"latent of the prior, that add up to the {self.generator.num_ws} "
                f"layers of {self.generator.identity.name}, got "
                f"{list(self.latent_repeats)}. Use the params:data of the training."
            )
            raise InputError(msg)
        self.generator.to(self.device)
        self.encoder.to(self.device)
        self.prior.to(self.device)

    def __call__(
        self,
        prompts: Sequence[str],
        sampling: SamplingConfig,
        *,
        num_samples: int,
        seed: int,
        text_mean: Tensor | None = None,
        rank: bool = True,
    ) -> GeneratedImages:
        """Return images of each prompt.

        Args:
            prompts: Texts.
            sampling: `params:sampling`.
            num_samples: Images of each prompt.
            seed: Sample j of prompt i depends on (seed, i, j) alone.
            text_mean: Of `mean_direction`, over the embeddings of many prompts;
                needed where `sampling.mean_shift` is not 0.
            rank: Whether to put the images closest to their prompt first.

        Raises:
            InputError: If the settings do not suit the prior.
        """
        text_embedding = self.embed(prompts)
        condition = self.condition(text_embedding, sampling.mean_shift, text_mean)
        w = self.sample_w(condition, sampling, num_samples=num_samples, seed=seed)

        images, embeddings = [], []
        for w_batch in torch.split(w.flatten(0, 1), self.image_batch_size):
            image = self.synthesise(w_batch)
            images.append(image_to_uint8(image))
            if rank:
                embeddings.append(self.encoder.encode_image(image).float().cpu())
        image_u8 = np.concatenate(images)
        image_u8 = image_u8.reshape(len(prompts), num_samples, *image_u8.shape[1:])
        if not rank:
            return GeneratedImages(image_u8, w, None)

        embedding = torch.cat(embeddings).view(len(prompts), num_samples, -1)
        scores = clip_scores(embedding.numpy(), text_embedding.float().cpu().numpy())
        order = np.argsort(-scores, axis=1, kind="stable")
        rows = np.arange(len(prompts))[:, None]
        return GeneratedImages(
            image_u8[rows, order], w[rows, order], scores[rows, order]
        )

    @torch.no_grad()
    def embed(self, prompts: Sequence[str]) -> Tensor:
        """Return text embeddings as the encoder gives them, [n, clip_dim]."""
        return self.encoder.encode_text(prompts)

    def condition(
        self, text_embedding: Tensor, mean_shift: float, text_mean: Tensor | None
    ) -> Tensor:
        """Return text embeddings moved to where the prior knows image embeddings.

        Args:
            text_embedding: [n, clip_dim], of any length.
            mean_shift: Share of (image mean - text mean) to add, 0 to 1.
            text_mean: See `mean_direction`; read only for a shift.

        Returns:
            [n, clip_dim], of the mean length of the training embeddings. A prior
            that does not know their statistics gets `text_embedding` as it is.

        Raises:
            InputError: If a shift is wanted and a mean is not known.
        """
        statistics = self.prior.embedding_statistics
        if mean_shift and (statistics is None or text_mean is None):
            lacking = "image embeddings" if statistics is None else "text embeddings"
            msg = (
                f"sampling.mean_shift must be 0 where the mean of the {lacking} is not "
                f"known, got {mean_shift}. Set sampling.mean_shift to 0."
            )
            raise InputError(msg)
        if statistics is None:
            return text_embedding
        direction = functional.normalize(text_embedding, dim=-1)
        if text_mean is not None:
            gap = statistics.mean.to(direction) - text_mean.to(direction)
            direction = direction + mean_shift * gap
        return statistics.norm * functional.normalize(direction, dim=-1)

    @torch.no_grad()
    def sample_w(
        self,
        condition: Tensor,
        sampling: SamplingConfig,
        *,
        num_samples: int,
        seed: int,
    ) -> Tensor:
        """Return w, [n, num_samples, num_ws, w_dim], drawn from the prior.

        Args:
            condition: What `condition` returns, [n, clip_dim].
            sampling: `params:sampling`.
            num_samples: Of each condition.
            seed: Sample j of condition i depends on (seed, i, j) alone.
        """
        centre = self.prior.w_mean
        if sampling.truncation_centre == "w_avg":
            centre = self.generator.w_avg
        batches = []
        prompts_at_once = max(1, self.latent_batch_size // num_samples)
        for prompts in torch.split(torch.arange(len(condition)), prompts_at_once):
            streams = list(product(prompts.tolist(), range(num_samples)))
            noise = draw_noises(seed, streams, self.prior.latent_shape)
            x_T = next(noise).to(condition)
            denoise = self.prior.denoiser(condition[prompts], sampling.guidance_scale)
            x0 = sample(denoise, x_T, self.prior.alpha_bar, sampling, noise)
            w = self.prior.statistics.denormalise(x0)  # [batch, num_latents, w_dim]
            batches.append(truncate(w, centre, sampling.psi))
        w = repeat_latents(torch.cat(batches), self.latent_repeats)
        return w.view(len(condition), num_samples, *w.shape[1:])

    @torch.no_grad()
    def synthesise(self, w: Tensor) -> Tensor:
        """Return images, [n, 3, h, w] in [-1, 1], of w [n, num_ws, w_dim]."""
        return self.generator.synthesis(w, noise_mode="const")


def mean_direction(embedding: Tensor) -> Tensor:
    """Return the mean of unit-length embeddings, [clip_dim], of [n, clip_dim]."""
    return functional.normalize(embedding, dim=-1).mean(dim=0)


def draw_noises(
    seed: int, streams: Sequence[tuple[int, int]], shape: tuple[int, int]
) -> Iterator[Tensor]:
    """Yield unit Gaussian noise, [num_streams, *shape], without end: x_T first.

    Args:
        seed: Of the run.
        streams: (prompt, sample) numbers, each a stream of its own.
        shape: Of one latent, (num_latents, latent_dim).
    """
    generators = [
        np.random.Generator(np.random.Philox(key=derive_seed(seed, "sample", i, j)))
        for i, j in streams
    ]
    while True:
        blocks = [
            generator.standard_normal((NOISE_BLOCK, *shape), np.float32)
            for generator in generators
        ]
        yield from torch.from_numpy(np.stack(blocks, axis=1))
