"""The whole method: what is asked for -> CLIP embedding -> w -> image.

e  = CLIP(text), bridged to where the prior knows embeddings (see conditioning)
x0 = sampler(prior given e, x_T),  x_T ~ N(0, I)
w  = mean + std * x0, repeated over the layers
w' = centre + psi * (w - centre)
image = generator(w'), the best by CLIP first if wanted
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.conditioning import (
    EmbeddedQueries,
    Query,
    RetrievalBank,
    condition_on_queries,
    embed_queries,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.metrics.clip_score import clip_scores
from clip2latent_kedro.prior.diffusion import DiffusionPrior, check_identity
from clip2latent_kedro.prior.sampling import sample_prior
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.truncation import truncate_samples


@dataclass(frozen=True)
class GeneratedImages:
    """Samples of some queries.

    Attributes:
        images: uint8, [num_queries, num_samples, h, w, 3].
        w: [num_queries, num_samples, num_ws, w_dim].
        scores: Cosine with the query, [num_queries, num_samples]; None if not asked
            for.
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
        retrieval_bank: Embeddings of training images, [N, clip_dim]; for sampling
            with `retrieval_share` only.
        scorer: Image -> embedding to score and rank by, in the space of the encoder;
            the encoder if None. That of a prior may read images in another way.
    """

    generator: Generator
    encoder: Encoder
    prior: DiffusionPrior
    latent_repeats: Sequence[int]
    latent_batch_size: int
    image_batch_size: int
    device: str = "cpu"
    retrieval_bank: RetrievalBank | None = None
    scorer: Encoder | None = None

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
        if self.scorer is not None:
            self.scorer.to(self.device)
        self.prior.to(self.device)

    def __call__(
        self,
        queries: Sequence[Query],
        sampling: SamplingConfig,
        *,
        num_samples: int,
        seed: int,
        negative: Sequence[Query] | None = None,
        edit: Tensor | None = None,
        score: bool = True,
        rank: bool = True,
        keep: Callable[[Tensor], np.ndarray] = image_to_uint8,
    ) -> GeneratedImages:
        """Return images of each query.

        Args:
            queries: Texts, images [3, h, w], or weighted lists of them.
            sampling: How latents are sampled.
            num_samples: Images of each query.
            seed: Sample j of query i depends on (seed, i, j) alone.
            negative: What guidance leads away from; one for all or one for each.
            edit: Direction to add to the truncated w, of a shape that broadcasts with
                [n * num_samples, num_ws, w_dim], prompt by prompt.
            score: Whether to compare each image with its query.
            rank: Whether to put the images closest to their query first, for which
                they are compared in any case.
            keep: Form in which images are collected, of [batch, 3, h, w].

        Raises:
            InputError: If the settings do not suit the prior.
        """
        embedded = embed_queries(self.encoder, queries, self.device)
        unwanted = None
        if negative is not None:
            unwanted = self.condition(
                embed_queries(self.encoder, negative, self.device),
                sampling,
                num_samples=num_samples,
                seed=seed,
            )
        w = self.sample_w(
            self.condition(embedded, sampling, num_samples=num_samples, seed=seed),
            sampling,
            num_samples=num_samples,
            seed=seed,
            negative=unwanted,
        )
        if edit is not None:
            w = (w.flatten(0, 1) + edit.to(w)).view_as(w)
        direction = embedded.direction if score or rank else None
        return self.generate_images(w, direction, rank=rank, keep=keep)

    def condition(
        self,
        embedded: EmbeddedQueries | Tensor,
        sampling: SamplingConfig,
        *,
        num_samples: int,
        seed: int,
    ) -> Tensor:
        """Return what the prior is given (see `conditioning.condition_on_queries`).

        Args:
            embedded: Queries, or plain embeddings of texts, [n, clip_dim].
            sampling: How latents are sampled.
            num_samples: Samples of each.
            seed: The one that `sample_w` is given; decides which images are mixed in.

        Returns:
            [n, width], or [n, num_samples, width] if samples differ in it.
        """
        return condition_on_queries(
            self.prior,
            embedded,
            sampling,
            num_samples=num_samples,
            seed=seed,
            retrieval_bank=self.retrieval_bank,
        )

    def sample_w(
        self,
        condition: Tensor,
        sampling: SamplingConfig,
        *,
        num_samples: int,
        seed: int,
        negative: Tensor | None = None,
    ) -> Tensor:
        """Return w, [n, num_samples, num_ws, w_dim], drawn from the prior.

        Args:
            condition: What `condition` returns, [n, width] or [n, num_samples, width].
            sampling: How latents are sampled.
            num_samples: Samples of each condition.
            seed: Sample j of condition i depends on (seed, i, j) alone.
            negative: What guidance leads away from, likewise; one for all or n.

        Raises:
            InputError: If the settings do not suit the prior.
        """
        w = sample_prior(
            self.prior,
            condition,
            sampling,
            num_samples=num_samples,
            seed=seed,
            batch_size=self.latent_batch_size,
            negative=negative,
        )  # [n, num_samples, num_latents, w_dim]
        layers = truncate_samples(
            w.flatten(0, 1),
            self.latent_repeats,
            sampling,
            self.prior,
            self.generator.w_avg,
        )
        return layers.view(*w.shape[:2], *layers.shape[1:])

    @torch.no_grad()
    def generate_images(
        self,
        w: Tensor,
        direction: Tensor | None = None,
        *,
        rank: bool = False,
        keep: Callable[[Tensor], np.ndarray] = image_to_uint8,
    ) -> GeneratedImages:
        """Return the images of w, scored if there is something to score them by.

        Args:
            w: [n, num_samples, num_ws, w_dim].
            direction: What each row should show, [n, clip_dim]; None for no scores.
            rank: Whether to put the images of highest score first.
            keep: Form in which images are collected, of [batch, 3, h, w].
        """
        scorer = self.scorer or self.encoder
        images, embeddings = [], []
        for w_batch in torch.split(w.flatten(0, 1), self.image_batch_size):
            image = self.synthesise(w_batch)
            images.append(keep(image))
            if direction is not None:
                embeddings.append(scorer.encode_image(image).float().cpu())
        kept = np.concatenate(images)
        kept = kept.reshape(*w.shape[:2], *kept.shape[1:])
        if direction is None:
            return GeneratedImages(kept, w, None)

        embedding = torch.cat(embeddings).view(*w.shape[:2], -1)
        scores = clip_scores(embedding.numpy(), direction.float().cpu().numpy())
        if not rank:
            return GeneratedImages(kept, w, scores)
        order = np.argsort(-scores, axis=1, kind="stable")
        rows = np.arange(len(w))[:, None]  # broadcasts with order, [n, num_samples]
        return GeneratedImages(kept[rows, order], w[rows, order], scores[rows, order])

    @torch.no_grad()
    def synthesise(self, w: Tensor) -> Tensor:
        """Return images, [n, 3, h, w] in [-1, 1], of w [n, num_ws, w_dim]."""
        return self.generator.synthesis(w, noise_mode="const")
