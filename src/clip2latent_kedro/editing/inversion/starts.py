"""Where the inversion of a picture begins."""

from collections.abc import Callable

import torch
from torch import Tensor

from clip2latent_kedro.conditioning import embed_queries
from clip2latent_kedro.editing.inversion.config import InversionConfig, Start
from clip2latent_kedro.editing.inversion.distance import PictureDistance
from clip2latent_kedro.editing.inversion.projector import LatentSpread
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.prior.sampling import adapt_sampling


def start_at_mean(
    pictures: Tensor,
    models: EditingModels,
    distance: PictureDistance,
    config: InversionConfig,
    *,
    spread: LatentSpread,
    seed: int,
) -> Tensor:
    """Return the mean of the generator's w, [n, num_ws, w_dim], for each picture."""
    return spread.mean.expand(len(pictures), -1, -1)


@torch.no_grad()
def start_at_prior(
    pictures: Tensor,
    models: EditingModels,
    distance: PictureDistance,
    config: InversionConfig,
    *,
    spread: LatentSpread,
    seed: int,
) -> Tensor:
    """Return of some samples of the prior the one whose picture is nearest.

    They are conditioned on the picture's own embedding, as of an image prompt.

    Args:
        pictures: [n, 3, resolution, resolution] in [-1, 1].
        models: With the prior, and `params:sampling`.
        distance: By which the nearest is found.
        config: Which prior, and how many samples.
        spread: Not looked at.
        seed: Sample j of a picture depends on (seed, j) and the picture alone.

    Returns:
        [n, num_ws, w_dim].

    Raises:
        UnavailableError: If there is no prior, or no way to sample.
    """
    prior = models.models.find_prior(config.prior)
    if models.models.sampling is None:
        msg = "There are no parameters sampling. Add them to conf/."
        raise UnavailableError(msg)
    sampling = adapt_sampling(prior, models.models.sampling)
    model = models.models.text_to_image(prior)
    number = config.num_candidates
    found = []
    for picture in pictures:
        embedded = embed_queries(model.encoder, [picture], models.device)
        condition = model.condition(embedded, sampling, num_samples=number, seed=seed)
        (w,) = model.sample_w(condition, sampling, num_samples=number, seed=seed)
        wanted = distance.features(picture[None])
        batches = torch.split(w, models.models.image_batch_size)
        far = [distance.between(model.synthesise(rows), wanted) for rows in batches]
        found.append(w[torch.cat(far).argmin()])
    return torch.stack(found)


@torch.no_grad()
def start_at_encoder(
    pictures: Tensor,
    models: EditingModels,
    distance: PictureDistance,
    config: InversionConfig,
    *,
    spread: LatentSpread,
    seed: int,
) -> Tensor:
    """Return what the trained encoder makes of the pictures, [n, num_ws, w_dim].

    Raises:
        UnavailableError: If there is none.
        InputError: If it was trained on another generator.
    """
    if models.image_inverter is None:
        msg = (
            "There is no image_inverter. Run the pipeline inverter first, or set "
            "editing.inversion.start to prior or mean."
        )
        raise UnavailableError(msg)
    models.image_inverter.check_generator(models.generator)
    w: Tensor = models.image_inverter(pictures)
    return w


STARTS: dict[Start, Callable[..., Tensor]] = {
    "mean": start_at_mean,
    "prior": start_at_prior,
    "encoder": start_at_encoder,
}
