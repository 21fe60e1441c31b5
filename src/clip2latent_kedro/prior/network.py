"""The networks that a prior can have, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor, nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.mlp import MLPNetwork
from clip2latent_kedro.prior.transformer import TransformerNetwork


class PriorNetwork(Protocol):
    """What a prior's network computes (each one is also an `nn.Module`)."""

    def __call__(
        self, x_t: Tensor, t: Tensor, clip_embedding: Tensor, keep: Tensor | None
    ) -> Tensor:
        """Return the prediction (x0, or the noise), [n, num_latents, latent_dim].

        Args:
            x_t: Noised latents, [n, num_latents, latent_dim], normalised.
            t: Timesteps, [m] int64.
            clip_embedding: Condition, [m, clip_dim]; each holds for n / m latents in
                a row.
            keep: False replaces the condition by the null condition, [m] bool;
                None keeps all.
        """
        ...


@dataclass(frozen=True)
class NetworkConfig:
    """Which network, and how large (`params:model.network`).

    Attributes:
        kind: `clip2latent`, the transformer of the published checkpoints, or `mlp`.
        dim: Width of the tokens, or of the blocks.
        num_timesteps: Length T of the noise schedule.
        depth: Number of layers, or of blocks.
        dim_head: Width of an attention head; `clip2latent` only.
        heads: Number of attention heads; `clip2latent` only.
    """

    kind: Literal["clip2latent", "mlp"]
    dim: int
    num_timesteps: int
    depth: int
    dim_head: int
    heads: int

    def __post_init__(self) -> None:
        """Check kind and ranges."""
        if self.kind not in NETWORKS:
            known = ", ".join(NETWORKS)
            msg = f"model.network.kind must be one of {known}, got {self.kind!r}."
            raise InputError(msg)
        for name in ("dim", "num_timesteps", "depth", "dim_head", "heads"):
            value = getattr(self, name)
            if value < 1:
                msg = f"model.network.{name} must be 1 or more, got {value}."
                raise InputError(msg)
        if self.dim_head % 2:
            msg = (
                f"model.network.dim_head must be even (its channels are rotated in "
                f"pairs), got {self.dim_head}."
            )
            raise InputError(msg)


def _build_transformer(
    config: NetworkConfig, num_latents: int, latent_dim: int, clip_dim: int
) -> nn.Module:
    return TransformerNetwork(
        dim=config.dim,
        depth=config.depth,
        dim_head=config.dim_head,
        heads=config.heads,
        num_timesteps=config.num_timesteps,
        num_latents=num_latents,
        latent_dim=latent_dim,
        clip_dim=clip_dim,
    )


def _build_mlp(
    config: NetworkConfig, num_latents: int, latent_dim: int, clip_dim: int
) -> nn.Module:
    return MLPNetwork(
        dim=config.dim,
        depth=config.depth,
        num_timesteps=config.num_timesteps,
        num_latents=num_latents,
        latent_dim=latent_dim,
        clip_dim=clip_dim,
    )


NETWORKS: dict[str, Callable[[NetworkConfig, int, int, int], nn.Module]] = {
    "clip2latent": _build_transformer,
    "mlp": _build_mlp,
}


def build_network(
    config: NetworkConfig, num_latents: int, latent_dim: int, clip_dim: int
) -> nn.Module:
    """Return a new network, a `PriorNetwork`, with random weights.

    Args:
        config: `params:model.network`.
        num_latents: Latents predicted at once (1 for W).
        latent_dim: Width of one latent.
        clip_dim: Width of the condition.
    """
    return NETWORKS[config.kind](config, num_latents, latent_dim, clip_dim)
