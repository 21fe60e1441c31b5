"""A row's images as a whole against those that the generator draws of random w."""

from dataclasses import dataclass

import numpy as np
import torch

from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.metrics.frechet import frechet_distance
from clip2latent_kedro.metrics.mmd import clip_mmd, kernel_distance
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import make_generator

DISTANCES = {
    "kid": "Unbiased MMD^2 of the features under a cubic kernel, ± standard error",
    "fid": "Fréchet distance of the features' Gaussians",
    "cmmd": "1000 MMD^2 of the unit features under a Gaussian kernel of width 10",
}


@dataclass(frozen=True)
class GeneratorImages:
    """What the generator draws when nothing is asked, as features.

    Attributes:
        image_embedding: By the encoder, [n, clip_dim].
        held_out_embedding: By the encoder that only scores, [n, its clip_dim]; None
            without one.
    """

    image_embedding: np.ndarray
    held_out_embedding: np.ndarray | None

    @property
    def features(self) -> np.ndarray:
        """Those of the encoder that only scores, or else those of the encoder."""
        if self.held_out_embedding is None:
            return self.image_embedding
        return self.held_out_embedding


@torch.no_grad()
def embed_generator_images(
    generator: Generator,
    encoder: Encoder,
    held_out: Encoder | None,
    *,
    num_images: int,
    psi: float,
    batch_size: int,
    seed: int,
) -> GeneratorImages:
    """Return features of images of w drawn as the training pairs were.

    Args:
        generator: On the device of the encoders.
        encoder: Of the comparison.
        held_out: The one that only scores; None if there is none.
        num_images: How many.
        psi: Truncation of the training pairs.
        batch_size: Images at a time; changes nothing but rounding.
        seed: Seed of the run.
    """
    encoders = [encoder] if held_out is None else [encoder, held_out]
    features: list[list[np.ndarray]] = [[] for _ in encoders]
    random_numbers = make_generator(seed, "generator_images")
    z = torch.randn((num_images, generator.z_dim), generator=random_numbers)
    device = generator.w_avg.device
    with progress_bar("generator images", total=num_images, unit="images") as advance:
        for batch in torch.split(z, batch_size):
            w = generator.mapping(batch.to(device), psi=psi)
            image = generator.synthesis(w, noise_mode="const")
            for found, by in zip(features, encoders, strict=True):
                found.append(by.encode_image(image).float().cpu().numpy())
            advance(len(batch))
    every = [np.concatenate(found) for found in features]
    return GeneratorImages(every[0], every[1] if held_out is not None else None)


def measure_distances(
    features: np.ndarray, reference: np.ndarray, *, num_prompts: int, num_samples: int
) -> dict[str, float]:
    """Return the distances of `DISTANCES`, and what they are of.

    `kid` and its standard error `kid_error` are of all `num_images`, however many. The
    other two grow as images get fewer. So that rows compare, they are of `fid_images`,
    the same number in every row, and left out of a row that has not as many.

    Args:
        features: Of a row's images, [prompts, samples, d].
        reference: Of the generator's, [n, d].
        num_prompts: Prompts that a row must have answered for `fid` and `cmmd`.
        num_samples: Images of each, of which the first so many count.
    """
    kid, error = kernel_distance(features, reference)
    found = {
        "num_images": features.shape[0] * features.shape[1],
        "kid": kid,
        "kid_error": error,
    }
    if len(features) < num_prompts or features.shape[1] < num_samples:
        return found
    rows = features[:, :num_samples].reshape(-1, features.shape[-1])
    return {
        **found,
        "fid": frechet_distance(rows, reference),
        "cmmd": clip_mmd(rows, reference),
        "fid_images": len(rows),
    }
