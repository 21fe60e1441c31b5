"""The two spaces of a latent: raw w of the generator, normalised x of the prior.

Only this module converts between them. w is [n, num_latents, w_dim], where each
of the `num_latents` groups stands for `latent_repeats[g]` layers of the
generator: one group is W, three are W3 (coarse, middle, fine), `num_ws` are W+.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator, NoiseMode, StyledGenerator

STD_FLOOR = 0.1  # smallest standard deviation along an axis, against the largest


@dataclass(frozen=True)
class Latents:
    """What decides images: w, and what is added to the styles that w gives.

    Attributes:
        w: [n, num_ws, w_dim].
        style_offset: In the space S, [n, num_channels]; None for none.
    """

    w: Tensor
    style_offset: Tensor | None = None


@dataclass(frozen=True)
class Source:
    """Pictures to be edited.

    Attributes:
        latents: Of n pictures.
        condition: What the prior was given for each, [n, width] (see
            `DiffusionPrior.join_condition`); None of a w that it did not draw.
        x_T: The noise that each was drawn from, [n, num_latents, w_dim]; likewise.
    """

    latents: Latents
    condition: Tensor | None = None
    x_T: Tensor | None = None


@dataclass(frozen=True)
class LatentStatistics:
    """Mean and standard deviation of each channel of w.

    Attributes:
        mean: [num_latents, w_dim].
        std: [num_latents, w_dim], unbiased, positive.
    """

    mean: Tensor
    std: Tensor

    def normalise(self, w: Tensor) -> Tensor:
        """Return x0 = (w - mean) / std."""
        return (w - self.mean.to(w)) / self.std.to(w)

    def denormalise(self, x0: Tensor) -> Tensor:
        """Return w = mean + std * x0."""
        return self.mean.to(x0) + self.std.to(x0) * x0


def measure_statistics(w: Tensor) -> LatentStatistics:
    """Return the per-channel mean and unbiased std of w, [n, num_latents, w_dim]."""
    std, mean = torch.std_mean(w.double(), dim=0)
    return LatentStatistics(mean.float(), std.clamp_min(1e-8).float())


@dataclass(frozen=True)
class LatentGaussian:
    """The Gaussian fitted to the latents of the training data, with their distances.

    Attributes:
        mean: [num_latents, w_dim].
        axes: Principal axes as columns, [num_latents, w_dim, w_dim].
        std: Standard deviation along each axis, positive, [num_latents, w_dim].
        radii: Quantiles 0, 0.01, ..., 1 of `distance` over the data, [101].
    """

    mean: Tensor
    axes: Tensor
    std: Tensor
    radii: Tensor

    def distance(self, w: Tensor) -> Tensor:
        """Return Mahalanobis distances, [n], of w [n, num_latents, w_dim].

        Divided by sqrt(num_latents * w_dim), so that the mean square of its own
        samples is 1.
        """
        return self.whiten(w - self.mean.to(w)).square().mean(dim=(1, 2)).sqrt()

    def whiten(self, offset: Tensor) -> Tensor:
        """Return differences of latents in standard deviations along the axes.

        Args:
            offset: [n, num_latents, w_dim], as is what is returned.
        """
        turned = torch.einsum("nld,lde->nle", offset, self.axes.to(offset))
        return turned / self.std.to(offset)

    def radius(self, quantile: float) -> float:
        """Return the distance that a share of the data does not exceed.

        Args:
            quantile: The share, 0 to 1.
        """
        grid = torch.linspace(0, 1, len(self.radii), dtype=torch.float64)
        return float(np.interp(quantile, grid.numpy(), self.radii.double().numpy()))


def fit_gaussian(w: Tensor) -> LatentGaussian:
    """Return the Gaussian of the moments of w, [n, num_latents, w_dim].

    Directions in which w hardly moves count as if it moved by a tenth of the most: a
    prior's samples miss them by more than their width, to no visible effect.
    """
    mean = w.double().mean(dim=0)
    centred = w.double() - mean
    covariance = torch.einsum("nld,nle->lde", centred, centred) / max(1, len(w) - 1)
    variance, axes = torch.linalg.eigh(covariance)
    std = variance.clamp_min(0).sqrt()
    std = torch.maximum(std, STD_FLOOR * std.amax(dim=-1, keepdim=True)).clamp_min(1e-8)
    whitened = torch.einsum("nld,lde->nle", centred, axes) / std
    distances = whitened.square().mean(dim=(1, 2)).sqrt()
    grid = torch.linspace(0, 1, 101, dtype=torch.float64)
    radii = torch.quantile(distances, grid)
    return LatentGaussian(mean.float(), axes.float(), std.float(), radii.float())


def truncate(
    w: Tensor, centre: Tensor, psi: float | Tensor, cutoff: int | None = None
) -> Tensor:
    """Return centre + psi * (w - centre), on the first `cutoff` layers if given.

    Args:
        w: Of every layer, [n, num_ws, w_dim].
        centre: Data mean or `w_avg`, broadcastable to w.
        psi: 1 leaves w as it is, 0 gives the centre; one for all or [n].
        cutoff: Number of leading layers to truncate; all of them if None.
    """
    weight = torch.as_tensor(psi).to(w).expand(len(w))[:, None, None]
    truncated = torch.lerp(centre.to(w).expand_as(w), w, weight)  # psi 1 is exact
    end = w.shape[1] if cutoff is None else cutoff
    return torch.cat([truncated[:, :end], w[:, end:]], dim=1)


def group_starts(latent_repeats: Sequence[int]) -> list[int]:
    """Return the first layer of each group: 0, then running sums of the sizes.

    The original reads the groups of W3 at their sizes instead, which gives middle,
    middle and fine (clip2latent, generate_dataset.py).
    """
    return [0, *accumulate(latent_repeats[:-1])]


def repeat_latents(w: Tensor, latent_repeats: Sequence[int]) -> Tensor:
    """Return w for every layer, [n, num_ws, w_dim], of [n, num_latents, w_dim].

    Raises:
        ValueError: If w does not have one row per group.
    """
    if w.ndim != 3 or w.shape[1] != len(latent_repeats):
        msg = (
            f"w must have shape [n, {len(latent_repeats)}, w_dim], got {list(w.shape)}."
        )
        raise ValueError(msg)
    repeats = torch.tensor(list(latent_repeats), device=w.device)
    return w.repeat_interleave(repeats, dim=1)


def synthesise_latents(
    generator: Generator, latents: Latents, *, noise_mode: NoiseMode = "const"
) -> Tensor:
    """Return images, [n, 3, resolution, resolution] in [-1, 1].

    Args:
        generator: On the device of the latents.
        latents: Of n images.
        noise_mode: Of the synthesis.

    Raises:
        InputError: If styles are moved and the generator has none.
    """
    if latents.style_offset is None:
        return generator.synthesis(latents.w, noise_mode=noise_mode)
    if not isinstance(generator, StyledGenerator):
        msg = (
            f"An edit in the space S needs a StyleGAN2 or StyleGAN3, got "
            f"{generator.identity}. Edit in w instead."
        )
        raise InputError(msg)
    styles = generator.styles(latents.w) + latents.style_offset
    return generator.synthesis_from_styles(styles, noise_mode=noise_mode)
