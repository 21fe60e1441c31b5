"""A row's images as a whole against those that the generator draws of random w."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from clip2latent_kedro.metrics.frechet import frechet_distance
from clip2latent_kedro.metrics.mmd import clip_mmd, kernel_distance
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import make_generator

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models

DISTANCES = {
    "kid": "Unbiased MMD^2 of the features under a cubic kernel, ± standard error",
    "fid": "Fréchet distance of the features' Gaussians",
    "cmmd": "1000 MMD^2 of the unit features under a Gaussian kernel of width 10",
}


@torch.no_grad()
def embed_generator_images(
    models: "Models", num_images: int, *, psi: float, seed: int
) -> dict[str, np.ndarray]:
    """Return features of images of w drawn as the training pairs were.

    Args:
        models: Generator and encoders; their batches change nothing but rounding.
        num_images: How many.
        psi: Truncation of the training pairs.
        seed: Seed of the run.

    Returns:
        `image_embedding` by the encoder, [n, clip_dim]; `held_out_embedding`
        likewise, if there is an encoder that only scores.
    """
    encoders = {"image_embedding": models.encoder}
    if models.held_out is not None:
        encoders["held_out_embedding"] = models.held_out
    features: dict[str, list[np.ndarray]] = {name: [] for name in encoders}
    generator = models.generator
    random_numbers = make_generator(seed, "generator_images")
    z = torch.randn((num_images, generator.z_dim), generator=random_numbers)
    with progress_bar("generator images", total=num_images, unit="images") as advance:
        for batch in torch.split(z, models.image_batch_size):
            w = generator.mapping(batch.to(models.device), psi=psi)
            image = generator.synthesis(w, noise_mode="const")
            for name, encoder in encoders.items():
                features[name].append(encoder.encode_image(image).float().cpu().numpy())
            advance(len(batch))
    return {name: np.concatenate(found) for name, found in features.items()}


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
