"""What all variants are drawn with and scored by, and what comes of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.ablation.settings import Settings
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.latents import LatentCloud, repeat_latents
from clip2latent_kedro.methods.clip2latent import Clip2Latent, ImageConditioned
from clip2latent_kedro.metrics.clip_score import clip_scores
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.study import Drawn, Queries, draw_row
from clip2latent_kedro.study.drawing import shrink_images
from clip2latent_kedro.study.scoring import score_prompts
from clip2latent_kedro.text_to_image import TextToImage

SCORES = ("clip_score", "held_out_score", "accuracy", "clip_diversity", "w_distance")


@dataclass(frozen=True)
class Outcome:
    """What a variant has come to.

    Attributes:
        scores: Of `SCORES`, the mean over prompts of each seed; a score that does not
            apply is not there. Empty if the variant failed.
        pictures: The first sample of the first prompts by the first seed, uint8
            [strip_prompts, h, w, 3]; no pictures if it failed.
        seconds: Of drawing and scoring.
        training_seconds: Of training its priors, or its share of an ensemble's time.
        problem: Why it failed; None if it did not.
        made_by: Of `provenance.describe_making`.
    """

    scores: Mapping[str, list[float]]
    pictures: np.ndarray
    seconds: float = 0.0
    training_seconds: float = 0.0
    problem: str | None = None
    made_by: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """Models and queries of all variants.

    Attributes:
        generator: w -> image, on the device.
        encoder: Embeds texts, and images to be scored, on the device.
        embedder: The encoder as priors know images.
        held_out: The encoder that only scores; None if there is none.
        judge: None if there is none.
        prior: The trained one, for variants that are not trained for.
        pairs: To train on: those that every training leaves for validation are not
            among them.
        cloud: Of the training data, the same for all variants.
        texts: The prompts.
        images: Pictures of pairs that no training saw (see `image_queries`).
        given: The first of these pictures, uint8 [strip_prompts, h, w, 3].
        latent_repeats: Layers of the generator that each latent stands for.
        latent_batch_size: Latents denoised at a time.
        image_batch_size: Images synthesised at a time.
        stored_image_size: Largest side of images in memory.
        device: Where to compute.
    """

    generator: Generator
    encoder: Encoder
    embedder: Encoder
    held_out: Encoder | None
    judge: Judge | None
    prior: DiffusionPrior
    pairs: TrainingPairs
    cloud: LatentCloud
    texts: Queries
    images: Queries
    given: np.ndarray
    latent_repeats: Sequence[int]
    latent_batch_size: int
    image_batch_size: int
    stored_image_size: int
    device: str

    @property
    def text_mean(self) -> Tensor | None:
        """Mean of embeddings of texts, that priors keep; None if unknown."""
        statistics = self.prior.embedding_statistics
        return None if statistics is None else statistics.text_mean

    def try_settings(
        self,
        prior: DiffusionPrior,
        settings: Settings,
        choices: Sequence[int],
        *,
        num_samples: int,
        strip_prompts: int,
        seed: int,
    ) -> list[tuple[dict[str, float], np.ndarray]]:
        """Return scores and pictures of settings, for each of some `best_of`.

        One draw serves all of them: the best of n are chosen from the first of the
        samples, so that they are the same whatever is chosen beside them.

        Args:
            prior: What is sampled from.
            settings: All but `best_of`.
            choices: Values of `best_of`.
            num_samples: Images of each query that are kept.
            strip_prompts: Pictures to return.
            seed: Sample j of query i depends on (seed, i, j) alone.
        """
        queries = self.texts if settings.condition == "text" else self.images
        model = TextToImage(
            self.generator,
            self.embedder,
            prior,
            self.latent_repeats,
            latent_batch_size=self.latent_batch_size,
            image_batch_size=self.image_batch_size,
            device=self.device,
            retrieval_bank=self.pairs.clip_embedding,
            scorer=self.encoder,
        )
        kind = Clip2Latent if settings.condition == "text" else ImageConditioned
        drawn = draw_row(
            kind(model=model, settings=settings.sampling),
            queries,
            encoder=self.encoder,
            judge=self.judge,
            num_samples=num_samples * max(choices),
            image_batch_size=self.image_batch_size,
            stored_image_size=self.stored_image_size,
            seed=seed,
            held_out=self.held_out,
        )
        found = []
        for best_of in choices:
            best = choose_best(drawn, queries, best_of, num_samples)
            by_prompt = score_prompts(best, queries, self.cloud, self.latent_repeats)
            applying = {n: by_prompt[n][~np.isnan(by_prompt[n])] for n in SCORES}
            scores = {n: float(v.mean()) for n, v in applying.items() if len(v)}
            found.append((scores, best.images[:strip_prompts, 0]))
        return found


def choose_best(
    drawn: Drawn, queries: Queries, best_of: int, num_samples: int
) -> Drawn:
    """Return, for each kept sample, the one of `best_of` that CLIP likes best.

    Kept sample j is chosen from the samples j, j + num_samples, j + 2 num_samples, ...

    Args:
        drawn: `best_of * num_samples` samples of each query, or more.
        queries: What they were drawn of.
        best_of: How many samples each is chosen from.
        num_samples: How many are kept.
    """
    used = best_of * num_samples
    cosine = clip_scores(
        drawn.image_embedding[:, :used], queries.embedding.float().cpu().numpy()
    )
    rounds = cosine.reshape(len(cosine), best_of, num_samples).argmax(axis=1)
    chosen = rounds * num_samples + np.arange(num_samples)  # [num_queries, num_samples]

    def pick(array: np.ndarray) -> np.ndarray:
        picked: np.ndarray = array[np.arange(len(array))[:, None], chosen]
        return picked

    held_out = drawn.held_out_embedding
    query = np.arange(len(chosen))[:, None, None]
    return replace(
        drawn,
        images=pick(drawn.images),
        pixel_distance=drawn.pixel_distance[
            query, chosen[:, :, None], chosen[:, None, :]
        ],
        image_embedding=pick(drawn.image_embedding),
        seen=pick(drawn.seen),
        w=None if drawn.w is None else pick(drawn.w),
        held_out_embedding=None if held_out is None else pick(held_out),
    )


@torch.no_grad()
def image_queries(
    w: Tensor,
    clip_embedding: Tensor,
    generator: Generator,
    held_out: Encoder | None,
    judge: Judge | None,
    latent_repeats: Sequence[int],
    *,
    strip_prompts: int,
    stored_image_size: int,
) -> tuple[Queries, np.ndarray]:
    """Return pictures of pairs as queries, and the first of them, uint8 [k, h, w, 3].

    What a text states is here what the judge sees in the picture itself.

    Args:
        w: [n, num_latents, w_dim], on the device.
        clip_embedding: Of their images, [n, clip_dim], on the device.
        generator: w -> image.
        held_out: The encoder that only scores; None if there is none.
        judge: None if there is none.
        latent_repeats: Layers of each latent.
        strip_prompts: Pictures to return.
        stored_image_size: Their largest side.
    """
    image = generator.synthesis(repeat_latents(w, latent_repeats), noise_mode="const")
    stated = np.empty((len(w), 0), dtype=np.int64)
    if judge is not None:
        stated = judge.classify(image).cpu().numpy()
    queries = Queries(
        texts=[f"picture {number + 1}" for number in range(len(w))],
        embedding=clip_embedding,
        stated=stated,
        held_out_embedding=None if held_out is None else held_out.encode_image(image),
    )
    return queries, image_to_uint8(
        shrink_images(image[:strip_prompts], stored_image_size)
    )
