"""The prior network of today's dalle2-pytorch, as it is, behind our interface.

clip2latent trained release 0.2.38 of that package, which `transformer` rewrites. The
present releases (1.x) differ: attention by cosine similarity, other normalisation,
learned null embeddings instead of a masked key. Two of their habits are not wanted:

- They pad the sequence with `max_text_len` null text tokens, 256 unless told. With
  none there remain four (Ramesh et al. 2022, section 2.2, without the caption's own):
  condition, time, noised latent, query.
- Their guidance hides the noised latent together with the condition. Classifier-free
  guidance (Ho and Salimans 2022) hides the condition alone, and so it is here.
"""

from typing import Any

import torch
from torch import Tensor, nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.transformer import match_width


class Dalle2Network(nn.Module):
    """A `DiffusionPriorNetwork`, with linear layers around it where widths differ.

    The package has one width for condition, latent and tokens, and one noised latent.
    Here an embedding or latent of another width than `dim` is projected to it, and
    the answer back. Several latents are one token, all their channels projected
    together: choose `dim` no smaller than num_latents * latent_dim, or the token
    cannot hold them.
    """

    def __init__(
        self,
        *,
        dim: int,
        depth: int,
        dim_head: int,
        heads: int,
        num_timesteps: int,
        num_latents: int,
        latent_dim: int,
        clip_dim: int,
    ) -> None:
        """Make the network.

        Raises:
            InputError: If dalle2-pytorch cannot be imported.
        """
        super().__init__()
        size = num_latents * latent_dim
        self.project_condition = match_width(clip_dim, dim)
        self.project_latent = match_width(size, dim)
        self.network = _network_class()(
            dim=dim,
            depth=depth,
            dim_head=dim_head,
            heads=heads,
            num_timesteps=num_timesteps,
            max_text_len=0,
        )
        self.network.null_image_embed.requires_grad_(False)  # nothing reads it
        self.project_out = match_width(dim, size)

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
            clip_embedding: Condition, [m, clip_dim]; each holds for n / m latents in
                a row.
            keep: False puts the package's learned null embedding in its place, [m]
                bool; None keeps all. The package itself would draw whom to hide from
                the global generator.
            told: Added to what is made of the embedding, [m, dim]; None for nothing.
        """
        repeats = len(x_t) // len(clip_embedding)
        condition = self.project_condition(clip_embedding)
        if told is not None:
            condition = condition + told
        if keep is not None:
            null = self.network.null_text_embeds[0]  # [1, dim]
            condition = torch.where(keep[:, None], condition, null)
        answer = self.network(
            self.project_latent(x_t.flatten(1)),
            t.repeat_interleave(repeats),
            text_embed=condition.repeat_interleave(repeats, dim=0),
        )
        prediction: Tensor = self.project_out(answer).view_as(x_t)
        return prediction


def _network_class() -> Any:
    # Imported here because it takes seconds, and brings much else along.
    try:
        from dalle2_pytorch import DiffusionPriorNetwork
    except ImportError as error:
        msg = (
            f"model.network.kind: dalle2 needs the package dalle2-pytorch 1.x, which "
            f"cannot be imported ({error}). Install it, or use kind: clip2latent."
        )
        raise InputError(msg) from error
    return DiffusionPriorNetwork
