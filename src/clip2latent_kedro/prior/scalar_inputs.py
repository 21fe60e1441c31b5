"""Scalars as inputs of a prior's network: noise level, guidance scale.

They come as further columns of the condition, so that whatever draws from a prior
hands them on with the embedding. What they say is a vector of the network's own width,
added to what it makes of the embedding. An `mlp` normalises its embedding:
there, a long vector would leave less of it.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

NUM_FREQUENCIES = 16
HIDDEN = 128


class ScalarInputs(nn.Module):
    """A prior network that is also told scalars; what they add is 0 at first.

    Attributes:
        network: Called as `build_network` says, with `told`.
        clip_dim: Width of the embedding; the columns after it are scalars.
    """

    def __init__(
        self, network: nn.Module, *, clip_dim: int, dim: int, num_scalars: int
    ) -> None:
        """Wrap a network of width `dim`."""
        super().__init__()
        self.network = network
        self.clip_dim = clip_dim
        self.embed = nn.Linear(num_scalars * (1 + 2 * NUM_FREQUENCIES), HIDDEN)
        self.project = nn.Linear(HIDDEN, dim)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(
        self, x_t: Tensor, t: Tensor, condition: Tensor, keep: Tensor | None
    ) -> Tensor:
        """Return the network's prediction, [n, num_latents, latent_dim].

        Args:
            x_t: Noised latents, [n, num_latents, latent_dim].
            t: Timesteps, [m] int64.
            condition: [m, clip_dim + num_scalars].
            keep: False hides embedding and scalars, [m] bool; None keeps all.
        """
        embedding = condition[:, : self.clip_dim]
        features = scalar_features(condition[:, self.clip_dim :])
        told = self.project(functional.silu(self.embed(features)))
        prediction: Tensor = self.network(x_t, t, embedding, keep, told)
        return prediction


def scalar_features(scalars: Tensor) -> Tensor:
    """Return each scalar with its cosines and sines, [m, k * (1 + 2 * 16)].

    Frequencies run geometrically from 0.5 to 16 radians: scalars are of order 1.
    """
    steps = torch.linspace(
        0, 1, NUM_FREQUENCIES, dtype=scalars.dtype, device=scalars.device
    )
    frequencies = 0.5 * torch.exp(steps * math.log(32.0))
    angles = scalars[..., None] * frequencies  # [m, k, NUM_FREQUENCIES]
    features = torch.cat([scalars[..., None], angles.cos(), angles.sin()], dim=-1)
    return features.flatten(1)
