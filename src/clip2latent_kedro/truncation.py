"""Truncation: w pulled back towards a centre, by a fixed share or as far as needed.

    w' = centre + psi * (w - centre)

`auto` finds psi for each w on its own. Guidance can push a w out of where the
generator was trained; how far out is told by its Mahalanobis distance under the
Gaussian fitted to the training data, and psi is the largest that brings it back.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import LatentGaussian, repeat_latents, truncate
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.samplers import SamplingConfig


def truncate_samples(
    w: Tensor,
    latent_repeats: Sequence[int],
    sampling: SamplingConfig,
    prior: DiffusionPrior,
    w_avg: Tensor,
) -> Tensor:
    """Return truncated w of every layer, [n, num_ws, w_dim].

    Args:
        w: As the prior gives it, [n, num_latents, w_dim].
        latent_repeats: Layers that each latent stands for, of sum num_ws.
        sampling: How latents are sampled. Where `truncation_cutoff` spares some layers,
            `auto` still goes by the whole w.
        prior: Knows the mean of the training data and the Gaussian fitted to them.
        w_avg: The generator's own mean, [w_dim].

    Raises:
        InputError: If `auto` is wanted and the prior does not know the Gaussian.
    """
    centre = prior.w_mean
    if sampling.truncation_centre == "w_avg":
        centre = w_avg.expand(w.shape[1:])
    psi: float | Tensor = sampling.psi
    if sampling.truncation == "auto":
        if prior.gaussian is None:
            msg = (
                "sampling.truncation must be fixed for a prior that does not know how "
                "its training data are spread, got auto. Set it to fixed."
            )
            raise InputError(msg)
        psi = psi_within_gaussian(
            w, centre, prior.gaussian, sampling.truncation_quantile
        )
    return truncate(
        repeat_latents(w, latent_repeats),
        repeat_latents(centre[None], latent_repeats),
        psi,
        sampling.truncation_cutoff,
    )


def psi_within_gaussian(
    w: Tensor, centre: Tensor, gaussian: LatentGaussian, quantile: float
) -> Tensor:
    """Return the largest psi, [n] in [0, 1], that brings each w within a quantile.

    With a and b the whitened centre - mean and w - centre, the squared distance

        |a + psi b|^2 = |a|^2 + 2 psi a.b + psi^2 |b|^2

    meets the squared radius of the quantile at the larger root. About the mean, a = 0
    and the root is radius / distance. A w inside keeps psi = 1. Where the line from a
    centre outside misses the ellipsoid, psi is that of the closest point.

    Args:
        w: [n, num_latents, w_dim].
        centre: Broadcastable to w.
        gaussian: Fitted to the training data.
        quantile: Share of the training data that lies within, 0 to 1.
    """
    exact = w.double()
    centre = centre.to(exact).expand_as(exact)
    a = gaussian.whiten(centre - gaussian.mean.to(exact)).flatten(1)
    b = gaussian.whiten(exact - centre).flatten(1)
    aa, ab, bb = (a * a).mean(1), (a * b).mean(1), (b * b).mean(1)  # [n]
    beyond = aa - gaussian.radius(quantile) ** 2
    root = (ab.square() - bb * beyond).clamp_min(0).sqrt()
    psi = ((root - ab) / bb.clamp_min(1e-30)).clamp(0, 1)
    is_inside = aa + 2 * ab + bb + (beyond - aa) <= 0
    return torch.where(is_inside, 1.0, psi).to(w)
