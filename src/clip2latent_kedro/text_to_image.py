"""The whole method: what is asked for -> CLIP embedding -> w -> image.

e  = CLIP(text), bridged to where the prior knows embeddings (see conditioning)
x0 = sampler(prior given e, x_T),  x_T ~ N(0, I)
w  = mean + std * x0, repeated over the layers
w' = centre + psi * (w - centre), edited if wanted
image = generator(w'), the best by CLIP first if wanted
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.batches import map_batches
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
from clip2latent_kedro.latents import Latents, Source, synthesise_latents
from clip2latent_kedro.metrics.clip_score import clip_scores
from clip2latent_kedro.prior.diffusion import DiffusionPrior, check_identity
from clip2latent_kedro.prior.sampling import noise_streams, sample_prior
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.truncation import truncate_samples

Edit = Callable[[Source], Latents]
"""What is done to samples, of all queries at once, before their synthesis."""


@dataclass(frozen=True)
class DrawnLatents:
    """Latents of some queries, before any image is made of them.

    Attributes:
        w: Truncated, [num_queries, num_samples, num_ws, w_dim].
        direction: Of each query in the encoder's space, of unit length, [num_queries,
            clip_dim].
        source: The same w with all that they were drawn from, as edits take them: all
            samples of the first query, then those of the second.
    """

    w: Tensor
    direction: Tensor
    source: Source


@dataclass(frozen=True)
class GeneratedImages:
    """Samples of some queries.

    Attributes:
        images: uint8, [num_queries, num_samples, h, w, 3].
        w: [num_queries, num_samples, num_ws, w_dim].
        scores: Cosine with the query, [num_queries, num_samples]; None if not asked
            for.
        style_offset: What an edit adds to the styles that w gives, [num_queries,
            num_samples, num_channels]; None for nothing.
    """

    images: np.ndarray
    w: Tensor
    scores: np.ndarray | None
    style_offset: Tensor | None = None


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
        edit: Edit | None = None,
        toward: Tensor | None = None,
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
            edit: What is done to the samples after their truncation, all of the first
                query before those of the second.
            toward: What an edit adds to the direction of a query, [clip_dim], that its
                images are scored by; None scores them by the query alone.
            score: Whether to compare each image with its query.
            rank: Whether to put the images closest to their query first, for which
                they are compared in any case.
            keep: Form in which images are collected, of [batch, 3, h, w].

        Raises:
            InputError: If the settings do not suit the prior.
        """
        drawn = self.draw(
            queries, sampling, num_samples=num_samples, seed=seed, negative=negative
        )
        w, style_offset = drawn.w, None
        if edit is not None:
            latents = edit(drawn.source)
            w = latents.w.view_as(w)
            if latents.style_offset is not None:
                style_offset = latents.style_offset.view(*w.shape[:2], -1)
        direction = drawn.direction if score or rank else None
        if direction is not None and toward is not None:
            direction = functional.normalize(direction + toward.to(direction), dim=-1)
        return self.generate_images(
            w, direction, style_offset=style_offset, rank=rank, keep=keep
        )

    def draw(
        self,
        queries: Sequence[Query],
        sampling: SamplingConfig,
        *,
        num_samples: int,
        seed: int,
        negative: Sequence[Query] | None = None,
    ) -> DrawnLatents:
        """Return latents of each query, of which no image is made.

        Args:
            queries: Texts, images [3, h, w], or weighted lists of them.
            sampling: How latents are sampled.
            num_samples: Latents of each query.
            seed: Sample j of query i depends on (seed, i, j) alone.
            negative: What guidance leads away from; one for all or one for each.

        Raises:
            InputError: If the settings do not suit the prior.
        """
        draws = {"num_samples": num_samples, "seed": seed}
        embedded = embed_queries(self.encoder, queries, self.device)
        unwanted = None
        if negative is not None:
            of_negative = embed_queries(self.encoder, negative, self.device)
            unwanted = self.condition(of_negative, sampling, **draws)
        condition = self.condition(embedded, sampling, **draws)
        w = self.sample_w(condition, sampling, negative=unwanted, **draws)
        source = self.describe_source(w, condition, seed=seed)
        return DrawnLatents(w, embedded.direction, source)

    def describe_source(self, w: Tensor, condition: Tensor, *, seed: int) -> Source:
        """Return samples as edits take them, with all that they were drawn from.

        Args:
            w: What `sample_w` returned, [n, num_samples, num_ws, w_dim].
            condition: What it was given, [n, width] or [n, num_samples, width].
            seed: Likewise.
        """
        num_samples = w.shape[1]
        streams = list(product(range(len(w)), range(num_samples)))
        each = condition if condition.ndim == 3 else condition[:, None]
        return Source(
            Latents(w.flatten(0, 1)),
            condition=each.expand(-1, num_samples, -1).flatten(0, 1),
            x_T=next(noise_streams(seed, streams, self.prior.latent_shape)).to(w),
        )

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
        style_offset: Tensor | None = None,
        rank: bool = False,
        keep: Callable[[Tensor], np.ndarray] = image_to_uint8,
    ) -> GeneratedImages:
        """Return the images of w, scored if there is something to score them by.

        Args:
            w: [n, num_samples, num_ws, w_dim].
            direction: What each row should show, [n, clip_dim]; None for no scores.
            style_offset: What is added to the styles that w gives, [n, num_samples,
                num_channels]; None for nothing.
            rank: Whether to put the images of highest score first.
            keep: Form in which images are collected, of [batch, 3, h, w].
        """
        scorer = self.scorer or self.encoder
        images, embeddings = [], []
        flat = w.flatten(0, 1)
        moved = None if style_offset is None else style_offset.flatten(0, 1)

        def draw(rows: Tensor) -> tuple[np.ndarray, Tensor | None]:
            image = self.synthesise(flat[rows], None if moved is None else moved[rows])
            if direction is None:
                return keep(image), None
            return keep(image), scorer.encode_image(image).float().cpu()

        rows, size = torch.arange(len(flat)), self.image_batch_size
        for image, embedding in map_batches(
            draw, rows, size, setting="image_batch_size"
        ):
            images.append(image)
            if embedding is not None:
                embeddings.append(embedding)
        kept = np.concatenate(images)
        kept = kept.reshape(*w.shape[:2], *kept.shape[1:])
        if direction is None:
            return GeneratedImages(kept, w, None, style_offset)

        embedding = torch.cat(embeddings).view(*w.shape[:2], -1)
        scores = clip_scores(embedding.numpy(), direction.float().cpu().numpy())
        if not rank:
            return GeneratedImages(kept, w, scores, style_offset)
        order = np.argsort(-scores, axis=1, kind="stable")
        each = np.arange(len(w))[:, None]  # broadcasts with order, [n, num_samples]
        if style_offset is not None:
            style_offset = style_offset[each, order]
        return GeneratedImages(
            kept[each, order], w[each, order], scores[each, order], style_offset
        )

    @torch.no_grad()
    def synthesise(self, w: Tensor, style_offset: Tensor | None = None) -> Tensor:
        """Return images, [n, 3, h, w] in [-1, 1].

        Args:
            w: [n, num_ws, w_dim].
            style_offset: What is added to its styles, [n, num_channels].

        Raises:
            InputError: If styles are moved and the generator has none, or w leads so
                far that there is no image.
        """
        latents = Latents(w, style_offset)
        image = synthesise_latents(self.generator, latents, noise_mode="const")
        if not bool(image.isfinite().all()):
            msg = (
                "The generator must draw finite numbers, got others: w is too far from "
                "those that it knows. Use smaller strengths, guidance or psi."
            )
            raise InputError(msg)
        return image
