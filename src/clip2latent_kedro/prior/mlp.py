"""A residual MLP as prior network: no tokens, no attention, fast without a GPU.

In the manner of RCG's representation diffusion model (Li et al. 2023, 2312.03701),
with the adaptive normalisation of DiT (Peebles and Xie 2023, section 3.2).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TIME_FEATURES = 128


def time_features(t: Tensor, num_timesteps: int) -> Tensor:
    """Return cosines and sines of t / num_timesteps, [n, TIME_FEATURES].

    Frequencies run geometrically from 1 to 1000 radians over the whole schedule.
    """
    num_frequencies = TIME_FEATURES // 2
    steps = torch.linspace(0, 1, num_frequencies, device=t.device)
    frequencies = torch.exp(steps * math.log(1000.0))
    angles = (t.float() / num_timesteps)[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ModulatedBlock(nn.Module):
    """x + Linear(SiLU(Linear(SiLU((1 + scale) LN(x) + shift)))); first it is just x."""

    def __init__(self, dim: int) -> None:
        """Make the block with a last layer and a modulation of zero."""
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.modulation = _zeroed(nn.Linear(dim, 2 * dim))
        self.linear_in = nn.Linear(dim, dim)
        self.linear_out = _zeroed(nn.Linear(dim, dim))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Return the updated x, [m, k, dim], given time and condition, [m, 1, dim]."""
        scale, shift = self.modulation(embedding).chunk(2, dim=-1)
        h = functional.silu(torch.addcmul(shift, self.norm(x), 1 + scale))
        h = self.linear_out(functional.silu(self.linear_in(h)))
        updated: Tensor = x + h
        return updated


class MLPNetwork(nn.Module):
    """Residual blocks over all latents at once, modulated by time and condition."""

    def __init__(
        self,
        *,
        dim: int,
        depth: int,
        num_timesteps: int,
        num_latents: int,
        latent_dim: int,
        clip_dim: int,
    ) -> None:
        """Make the network: `depth` blocks of width `dim`; its first output is 0."""
        super().__init__()
        self.num_timesteps = num_timesteps
        size = num_latents * latent_dim
        self.embed_latent = nn.Linear(size, dim)
        self.embed_time = nn.Sequential(
            nn.Linear(TIME_FEATURES, dim), nn.SiLU(), nn.Linear(dim, dim)
        )
        self.embed_condition = nn.Linear(clip_dim, dim)
        self.null_condition = nn.Parameter(torch.zeros(dim))
        self.blocks = nn.ModuleList(ModulatedBlock(dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.project_out = _zeroed(nn.Linear(dim, size))
        self.skip = _zeroed(nn.Linear(dim, size))

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        clip_embedding: Tensor,
        keep: Tensor | None,
        told: Tensor | None = None,
    ) -> Tensor:
        """Return the prediction, [n, num_latents, latent_dim].

        Args:
            x_t: Noised latents, [n, num_latents, latent_dim].
            t: Timesteps, [m] int64.
            clip_embedding: Condition, [m, clip_dim]; only its direction counts,
                since encoders differ in norm. Each holds for n / m latents in a row,
                and then costs only once what depends on it alone: half of all.
            keep: False puts the learned null condition in its place, [m] bool.
            told: Added to what is made of the embedding, [m, dim]; None for nothing.
        """
        direction = functional.normalize(clip_embedding, dim=-1)
        condition = self.embed_condition(direction * clip_embedding.shape[-1] ** 0.5)
        if told is not None:
            condition = condition + told
        if keep is not None:
            condition = torch.where(keep[:, None], condition, self.null_condition)
        time = self.embed_time(time_features(t, self.num_timesteps).to(x_t))
        embedding = functional.silu(time + condition)[:, None]  # [m, 1, dim]

        x_flat = x_t.reshape(len(embedding), -1, x_t[0].numel())  # [m, n / m, size]
        h = self.embed_latent(x_flat)
        for block in self.blocks:
            h = block(h, embedding)
        # The gated skip spares the blocks from carrying x_t itself, which is most
        # of the answer where the noise is low (as c_skip of Karras et al. 2022).
        out: Tensor = self.project_out(self.norm(h)) + self.skip(embedding) * x_flat
        return out.view_as(x_t)


def _zeroed(linear: nn.Linear) -> nn.Linear:
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
