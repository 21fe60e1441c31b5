"""The causal transformer of clip2latent's published checkpoints.

It is the prior network of DALL-E 2 (Ramesh et al. 2022, section 2.2) as
DALLE2-pytorch 0.2.38 has it: multi-query attention (Shazeer 2019) with a learned
null key, rotary and T5 position terms, and SwiGLU feed-forward layers. Module
names follow the published keys, which therefore load strictly.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

ROTARY_DIM = 32
NUM_BUCKETS = 32
MAX_DISTANCE = 128
FEED_FORWARD_FACTOR = 4


class LayerNorm(nn.Module):
    """Layer normalisation with a learned gain; the offset `beta` stays zero."""

    beta: Tensor

    def __init__(self, dim: int) -> None:
        """Start at gain 1 and offset 0."""
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))
        self.register_buffer("beta", torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return x, [..., dim], normalised over its last axis."""
        return functional.layer_norm(x, x.shape[-1:], self.gamma, self.beta)


class RotaryEmbedding(nn.Module):
    """Rotary position angles (Su et al. 2021, section 3.2), not learned."""

    freqs: Tensor

    def __init__(self, dim: int) -> None:
        """Use dim / 2 frequencies, 10000^(-2i / dim)."""
        super().__init__()
        exponents = torch.arange(0, dim, 2).float() / dim
        self.register_buffer("freqs", 10000.0**-exponents)

    def forward(self, num_tokens: int) -> tuple[Tensor, Tensor]:
        """Return cosine and sine of position times frequency, [num_tokens, dim / 2]."""
        positions = torch.arange(num_tokens, device=self.freqs.device)
        angles = positions[:, None] * self.freqs
        return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x with its first channels rotated, as pairs (0, 1), (2, 3), ...

    Args:
        x: Queries or keys, [..., num_tokens, dim_head].
        cos: [num_tokens, rotary_dim / 2].
        sin: [num_tokens, rotary_dim / 2].
    """
    rotary_dim = 2 * cos.shape[-1]
    even, odd = x[..., 0:rotary_dim:2], x[..., 1:rotary_dim:2]
    turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1)
    return torch.cat([turned.flatten(-2), x[..., rotary_dim:]], dim=-1)


class RelativePositionBias(nn.Module):
    """A learned attention bias for each head and distance (Raffel et al. 2020)."""

    def __init__(self, heads: int) -> None:
        """Make one row for each bucket of distances."""
        super().__init__()
        self.relative_attention_bias = nn.Embedding(NUM_BUCKETS, heads)

    def forward(self, num_tokens: int) -> Tensor:
        """Return biases, [heads, num_tokens, num_tokens + 1], -inf where not causal.

        Key 0 is the null key. Distances are taken as if it were the first token,
        a quirk of the published networks.
        """
        device = self.relative_attention_bias.weight.device
        query = torch.arange(num_tokens, device=device)[:, None]
        key = torch.arange(num_tokens + 1, device=device)
        bias = self.relative_attention_bias(distance_bucket(query - key))
        future = key > query + 1
        masked: Tensor = bias.permute(2, 0, 1).masked_fill(future, -math.inf)
        return masked


def distance_bucket(distance: Tensor) -> Tensor:
    """Return the bucket of each distance: exact when near, logarithmic when far.

    Args:
        distance: Query position minus key position, int64; negative counts as 0.
    """
    distance = distance.clamp_min(0)
    num_exact = NUM_BUCKETS // 2
    ratio = distance.clamp_min(1).float() / num_exact
    log_steps = ratio.log() / math.log(MAX_DISTANCE / num_exact)
    far = num_exact + (log_steps * (NUM_BUCKETS - num_exact)).long()
    return torch.where(distance < num_exact, distance, far.clamp_max(NUM_BUCKETS - 1))


class Attention(nn.Module):
    """Pre-norm attention; all heads share one key and one value per token."""

    def __init__(
        self, dim: int, *, dim_head: int, heads: int, rotary_emb: RotaryEmbedding
    ) -> None:
        """Make the projections and the null key and value."""
        super().__init__()
        self.heads = heads
        self.scale = dim_head**-0.5
        self.norm = LayerNorm(dim)
        self.null_kv = nn.Parameter(torch.randn(2, dim_head))
        self.to_q = nn.Linear(dim, heads * dim_head, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim_head, bias=False)
        self.rotary_emb = rotary_emb
        self.to_out = nn.Sequential(
            nn.Linear(heads * dim_head, dim, bias=False), LayerNorm(dim)
        )

    def forward(
        self, x: Tensor, bias: Tensor, rotation: tuple[Tensor, Tensor], num_out: int
    ) -> Tensor:
        """Return the update of the last `num_out` tokens, [n, num_out, dim].

        Args:
            x: Tokens, [n, num_tokens, dim].
            bias: Added to the scores, -inf for hidden keys,
                [n or 1, heads, num_tokens, num_tokens + 1].
            rotation: Of `RotaryEmbedding`, for all tokens.
            num_out: Number of last tokens that ask.
        """
        cos, sin = rotation
        x = self.norm(x)
        q = self.to_q(x[:, -num_out:])
        q = q.view(len(x), num_out, self.heads, -1).transpose(1, 2)
        q = rotate(q * self.scale, cos[-num_out:], sin[-num_out:])
        k, v = self.to_kv(x).chunk(2, dim=-1)  # [n, num_tokens, dim_head]
        null_k, null_v = self.null_kv[:, None, None].expand(2, len(x), 1, -1)
        k = torch.cat([null_k, rotate(k, cos, sin)], dim=1)
        v = torch.cat([null_v, v], dim=1)

        # One batched product serves all heads, since they share k and v.
        scores = q.flatten(1, 2) @ k.transpose(1, 2)  # [n, heads * num_out, keys]
        scores = scores.view(len(x), self.heads, num_out, -1) + bias[:, :, -num_out:]
        out = scores.softmax(dim=-1).flatten(1, 2) @ v
        out = out.view(len(x), self.heads, num_out, -1).transpose(1, 2).flatten(2)
        update: Tensor = self.to_out(out)
        return update


class SwiGLU(nn.Module):
    """Gated activation, a * silu(b) (Shazeer 2020)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., dim] of x, [..., 2 * dim]."""
        value, gate = x.chunk(2, dim=-1)
        return value * functional.silu(gate)


def feed_forward(dim: int) -> nn.Sequential:
    """Return the pre-norm feed-forward layer, dim -> 4 dim -> dim.

    The two identities stand where the original can normalise and drop out; they
    keep the last layer at index 5, where the published keys have it.
    """
    inner = FEED_FORWARD_FACTOR * dim
    return nn.Sequential(
        LayerNorm(dim),
        nn.Linear(dim, 2 * inner, bias=False),
        SwiGLU(),
        nn.Identity(),
        nn.Identity(),
        nn.Linear(inner, dim, bias=False),
    )


class CausalTransformer(nn.Module):
    """Attention and feed-forward layers over tokens that see only earlier ones."""

    def __init__(
        self, *, dim: int, depth: int, dim_head: int, heads: int, out_dim: int
    ) -> None:
        """Make the layers; they share one rotary embedding."""
        super().__init__()
        self.rel_pos_bias = RelativePositionBias(heads)
        rotary_emb = RotaryEmbedding(min(ROTARY_DIM, dim_head))
        # Held in a tuple, and so unregistered: its keys belong to the layers.
        self.shared = (rotary_emb,)
        self.layers = nn.ModuleList()
        for _ in range(depth):
            attention = Attention(
                dim, dim_head=dim_head, heads=heads, rotary_emb=rotary_emb
            )
            self.layers.append(nn.ModuleList([attention, feed_forward(dim)]))
        self.norm = LayerNorm(dim)
        self.project_out = nn.Linear(dim, out_dim, bias=False)

    def forward(self, tokens: Tensor, keep: Tensor | None, num_out: int) -> Tensor:
        """Return outputs of the last `num_out` tokens, [n, num_out, out_dim].

        Args:
            tokens: [n, num_tokens, dim]; the condition is token 0.
            keep: False hides the condition from every token, [n] bool; None keeps.
            num_out: The last layer computes these tokens only.
        """
        num_tokens = tokens.shape[1]
        rotation = self.shared[0](num_tokens)
        bias = self.rel_pos_bias(num_tokens)[None]
        if keep is not None:
            condition_key = torch.arange(num_tokens + 1, device=tokens.device) == 1
            hidden = ~keep[:, None, None, None] & condition_key
            bias = bias.masked_fill(hidden, -math.inf)

        x = tokens
        for index, layer in enumerate(self.layers):
            attention, feed = cast(nn.ModuleList, layer)
            num_kept = num_out if index == len(self.layers) - 1 else num_tokens
            x = x[:, -num_kept:] + attention(x, bias, rotation, num_kept)
            x = x + feed(x)
        out: Tensor = self.project_out(self.norm(x))
        return out


class TransformerNetwork(nn.Module):
    """Tokens [condition, time, n noised latents, n learned queries] to n latents."""

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
        """Make the network; widths that equal `dim` get no projection."""
        super().__init__()
        self.num_latents = num_latents
        query_shape = (dim,) if num_latents == 1 else (num_latents, dim)
        self.learned_query = nn.Parameter(torch.randn(query_shape))
        self.to_time_embeds = nn.Sequential(nn.Embedding(num_timesteps, dim))
        self.project_condition = match_width(clip_dim, dim)
        self.project_latent = match_width(latent_dim, dim)
        self.causal_transformer = CausalTransformer(
            dim=dim, depth=depth, dim_head=dim_head, heads=heads, out_dim=latent_dim
        )

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
            keep: False masks the condition's key, [m] bool; None keeps all.
            told: Added to what is made of the embedding, [m, dim]; None for nothing.
        """
        repeats = len(x_t) // len(clip_embedding)
        condition = self.project_condition(clip_embedding)
        if told is not None:
            condition = condition + told
        if keep is not None:
            keep = keep.repeat_interleave(repeats)
        queries = self.learned_query.expand(len(x_t), self.num_latents, -1)
        tokens = torch.cat(
            [
                condition.repeat_interleave(repeats, dim=0)[:, None],
                self.to_time_embeds(t).repeat_interleave(repeats, dim=0)[:, None],
                self.project_latent(x_t),
                queries,
            ],
            dim=1,
        )
        prediction: Tensor = self.causal_transformer(tokens, keep, self.num_latents)
        return prediction


def match_width(dim_in: int, dim_out: int) -> nn.Module:
    """Return a linear layer dim_in -> dim_out, or nothing where they are the same."""
    return nn.Identity() if dim_in == dim_out else nn.Linear(dim_in, dim_out)
