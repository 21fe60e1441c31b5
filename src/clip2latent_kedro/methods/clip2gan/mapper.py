"""The mapping network, and what it is with the spaces that it maps between.

The paper's abstract gives an embedding of CLIP's, a mapping network and a latent of
StyleGAN's. The network's form is ours: a residual MLP from the embedding's direction to
normalised w, which begins at the mean of w.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.conditioning import shift_texts
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics, repeat_latents
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics

Bridge = Literal["none", "mean_shift"]
BRIDGES: tuple[Bridge, ...] = get_args(Bridge)


class MapperBlock(nn.Module):
    """x + Linear(SiLU(Linear(LN(x)))); first it is just x."""

    def __init__(self, dim: int) -> None:
        """Make the block with a last layer of zero."""
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.linear_in = nn.Linear(dim, dim)
        self.linear_out = nn.Linear(dim, dim)
        nn.init.zeros_(self.linear_out.weight)
        nn.init.zeros_(self.linear_out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the updated x, [n, dim]."""
        updated: Tensor = x + self.linear_out(F.silu(self.linear_in(self.norm(x))))
        return updated


class LatentMapper(nn.Module):
    """Embedding -> normalised latents, by residual blocks; its first output is 0."""

    def __init__(
        self, *, clip_dim: int, num_latents: int, w_dim: int, dim: int, depth: int
    ) -> None:
        """Make the network: `depth` blocks of width `dim`."""
        super().__init__()
        self.latent_shape = num_latents, w_dim
        self.embed = nn.Linear(clip_dim, dim)
        self.blocks = nn.ModuleList(MapperBlock(dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, num_latents * w_dim)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, clip_embedding: Tensor) -> Tensor:
        """Return x0, [n, num_latents, w_dim], of embeddings [n, clip_dim].

        Only the direction of an embedding counts.
        """
        direction = F.normalize(clip_embedding, dim=-1)
        h = self.embed(direction * clip_embedding.shape[-1] ** 0.5)
        for block in self.blocks:
            h = block(h)
        x0: Tensor = self.project(self.norm(h))
        return x0.view(-1, *self.latent_shape)


@dataclass(frozen=True)
class Clip2Gan:
    """A trained mapping network between its two spaces.

    Attributes:
        network: Embedding -> x0.
        statistics: Between x0 and w.
        embedding_statistics: Of the images that it learned from, and of texts.
        latent_repeats: Layers of the generator that each latent stands for.
        identity: Identity of the file that it is in.
        generator_identity: Whose w it gives.
        encoder_identity: Whose embeddings it takes.
        training_seconds: What its training took; None if unknown.
    """

    network: LatentMapper
    statistics: LatentStatistics
    embedding_statistics: EmbeddingStatistics
    latent_repeats: Sequence[int]
    identity: Identity
    generator_identity: Identity
    encoder_identity: Identity
    training_seconds: float | None

    def to(self, device: str) -> "Clip2Gan":
        """Move to a device and return self."""
        self.network.to(device)
        return self


@torch.no_grad()
def map_to_w(
    model: Clip2Gan,
    clip_embedding: Tensor,
    *,
    bridge: Bridge = "none",
    shift_share: float = 1.0,
    psi: float = 1.0,
) -> Tensor:
    """Return the one w of each embedding, [n, num_ws, w_dim].

    Args:
        model: On the device of the embeddings.
        clip_embedding: Of images, or in their place of texts, [n, clip_dim], of any
            length.
        bridge: For texts: `none` takes them as they are, which is the paper's way;
            `mean_shift` moves them by the difference of the means of images and texts.
        shift_share: Share of that difference.
        psi: Truncation towards the mean of w, which x0 = 0 stands for; 1 is none.

    Raises:
        InputError: If the embeddings are of another size, or the mean of texts is
            needed and not known.
    """
    statistics = model.embedding_statistics
    if clip_embedding.ndim != 2 or clip_embedding.shape[1] != len(statistics.mean):
        msg = (
            f"clip_embedding must have shape [n, {len(statistics.mean)}] for "
            f"{model.identity}, got {list(clip_embedding.shape)}. Use the encoder "
            f"{model.encoder_identity}."
        )
        raise InputError(msg)
    if bridge not in BRIDGES:
        msg = f"bridge must be one of {', '.join(BRIDGES)}, got {bridge!r}."
        raise InputError(msg)
    if bridge == "mean_shift":
        if statistics.text_mean is None:
            msg = (
                f"bridge must be none for {model.identity}, which does not know the "
                f"mean of the embeddings of texts, got mean_shift."
            )
            raise InputError(msg)
        clip_embedding, _ = shift_texts(statistics, clip_embedding, shift_share)
    x0 = psi * model.network(clip_embedding.float())
    w = model.statistics.denormalise(x0)
    return repeat_latents(w, model.latent_repeats)
