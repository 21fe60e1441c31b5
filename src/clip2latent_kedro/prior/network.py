"""The networks that a prior can have, by name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge, Interval, MultipleOf
from torch import nn

from clip2latent_kedro.checked import Checked, PositiveInt, Rule
from clip2latent_kedro.prior.dalle2 import Dalle2Network
from clip2latent_kedro.prior.mlp import MLPNetwork
from clip2latent_kedro.prior.scalar_inputs import ScalarInputs
from clip2latent_kedro.prior.transformer import TransformerNetwork


@dataclass(frozen=True)
class NetworkConfig(Checked):
    """Which network, and how large (`params:model.network`).

    Attributes:
        kind: `mlp`, residual blocks; `clip2latent`, the transformer of the published
            checkpoints; or `dalle2`, that of today's dalle2-pytorch.
        dim: Width of the tokens, or of the blocks.
        num_timesteps: Length T of the noise schedule.
        depth: Number of layers, or of blocks.
        dim_head: Width of an attention head, even, 4 or more for `dalle2`; `mlp` has
            none.
        heads: Number of attention heads; `mlp` has none.
        noise_level_input: Tell the network how noisy its embedding is.
    """

    kind: Literal["clip2latent", "mlp", "dalle2"]
    dim: PositiveInt
    num_timesteps: Annotated[int, Interval(ge=1, le=1_000_000)]
    depth: PositiveInt
    dim_head: Annotated[int, Ge(1), MultipleOf(2)]
    heads: PositiveInt
    noise_level_input: bool = False

    def rules(self) -> Iterator[Rule]:
        """Yield what `dalle2` needs: its rotary angles take two pairs of channels."""
        fits = self.kind != "dalle2" or self.dim_head >= 4
        yield fits, "dim_head", "4 or more for kind: dalle2"


def _build_transformer(
    network: Callable[..., nn.Module],
    config: NetworkConfig,
    num_latents: int,
    latent_dim: int,
    clip_dim: int,
) -> nn.Module:
    return network(
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
    "clip2latent": partial(_build_transformer, TransformerNetwork),
    "mlp": _build_mlp,
    "dalle2": partial(_build_transformer, Dalle2Network),
}


def build_network(
    config: NetworkConfig,
    num_latents: int,
    latent_dim: int,
    clip_dim: int,
    num_scalars: int = 0,
) -> nn.Module:
    """Return a new network with random weights.

    It is called with noised latents x_t, [n, num_latents, latent_dim], normalised;
    timesteps t, [m] int64; the CLIP embedding and perhaps scalars, [m, clip_dim + k],
    each for n / m latents in a row; and `keep`, [m] bool or None, False in which
    replaces the condition by the null condition. It returns its prediction of x0, or
    of the noise, [n, num_latents, latent_dim].

    One without scalars also takes `told`, [m, dim], which is added to what it makes of
    the embedding, and hidden with it.

    Args:
        config: `params:model.network`.
        num_latents: Latents predicted at once (1 for W).
        latent_dim: Width of one latent.
        clip_dim: Width of the embedding.
        num_scalars: Columns of the condition after the embedding.
    """
    network = NETWORKS[config.kind](config, num_latents, latent_dim, clip_dim)
    if num_scalars:
        return ScalarInputs(
            network, clip_dim=clip_dim, dim=config.dim, num_scalars=num_scalars
        )
    return network


def condition_inputs(
    config: NetworkConfig, *, is_distilled: bool = False
) -> tuple[str, ...]:
    """Return the scalars that a prior's network takes beside the embedding, in order.

    Args:
        config: `params:model.network`.
        is_distilled: Whether it takes the guidance scale.
    """
    return (
        *(("noise_level",) if config.noise_level_input else ()),
        *(("guidance_scale",) if is_distilled else ()),
    )
