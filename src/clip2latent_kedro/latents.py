"""The two spaces of a latent: raw w of the generator, normalised x of the prior.

Only this module converts between them. w is [n, num_latents, w_dim], where each
of the `num_latents` groups stands for `latent_repeats[g]` layers of the
generator: one group is W, three are W3 (coarse, middle, fine), `num_ws` are W+.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor


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


def truncate(
    w: Tensor, centre: Tensor, psi: float, cutoff: int | None = None
) -> Tensor:
    """Return centre + psi * (w - centre), on the first `cutoff` groups if given.

    Args:
        w: [n, num_latents, w_dim].
        centre: Data mean or `w_avg`, broadcastable to w.
        psi: 1 leaves w as it is, 0 gives the centre.
        cutoff: Number of leading groups to truncate; all of them if None.
    """
    if psi == 1:
        return w
    truncated = torch.lerp(centre.to(w).expand_as(w), w, psi)
    if cutoff is None:
        return truncated
    return torch.cat([truncated[:, :cutoff], w[:, cutoff:]], dim=1)


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
