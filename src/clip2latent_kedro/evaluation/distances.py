"""A row's images as a whole against those that the generator draws of random w."""

from dataclasses import dataclass

import numpy as np
import torch

from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.metrics.frechet import frechet_distance
from clip2latent_kedro.metrics.mmd import clip_mmd, kernel_distance
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import derive_seed, make_generator

KID_SUBSETS, KID_SUBSET_SIZE = 10, 1000
DISTANCES = {
    "fid": "Fréchet distance of the features' Gaussians",
    "kid": "Unbiased MMD^2 of the features under a cubic kernel",
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
    features: np.ndarray, reference: np.ndarray, *, seed: int
) -> dict[str, float]:
    """Return the distances of `DISTANCES`.

    Args:
        features: Of a row's images, [..., d].
        reference: Of the generator's, [n, d].
        seed: Of the subsets.
    """
    rows = features.reshape(-1, features.shape[-1])
    return {
        "fid": frechet_distance(rows, reference),
        "kid": kernel_distance(
            rows,
            reference,
            num_subsets=KID_SUBSETS,
            subset_size=KID_SUBSET_SIZE,
            generator=np.random.default_rng(derive_seed(seed, "kid")),
        ),
        "cmmd": clip_mmd(rows, reference),
    }
