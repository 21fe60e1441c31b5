"""The keys of a published checkpoint, each with its shape, and none besides.

The original reads its files with strict=False, so that a misspelt key passes there in
silence, and leaves what it should have set at random.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.published_schedule import (
    DRIFT,
    differing_buffer,
    schedule_buffers,
)
from clip2latent_kedro.prior.transformer import (
    FEED_FORWARD_FACTOR,
    NUM_BUCKETS,
    ROTARY_DIM,
    RotaryEmbedding,
)

EMA = "ema_diffusion_prior.ema_model."
ONLINE = "ema_diffusion_prior.online_model."
PLAIN = "diffusion_prior."
STEP = "step"
COUNTERS = (STEP, "ema_diffusion_prior.step", "ema_diffusion_prior.initted")
STATISTICS = ("latent_mean", "latent_std")
NET = "net."
# Statistics of embeddings, whose use the original discards; they change nothing.
_WITHOUT_EFFECT = ("embed_mean", "embed_std")
# Neither is learned, and not every version of the original stores them.
_FREQS, _BETA = "rotary_emb.freqs", ".beta"

Copies = dict[str, dict[str, Tensor]]


def split_copies(tensors: Mapping[str, Tensor], path: Path) -> Copies:
    """Return the tensors of each copy of the prior, by its prefix.

    Args:
        tensors: A state dict.
        path: Of its file, for messages.

    Raises:
        InputError: If there is a tensor of none of them.
    """
    copies: Copies = {EMA: {}, ONLINE: {}, PLAIN: {}}
    for name, tensor in tensors.items():
        prefix = next((p for p in copies if name.startswith(p)), None)
        if prefix is not None:
            copies[prefix][name.removeprefix(prefix)] = tensor
        elif name not in COUNTERS:
            raise InputError(_has(path, name))
    return copies


def measure_network(copy: Mapping[str, Tensor], path: Path) -> dict[str, int]:
    """Return what the shapes of a copy decide: the network's sizes, and `n_latents`.

    Args:
        copy: Of `split_copies`.
        path: Of its file, for messages.

    Raises:
        InputError: If what they are read from is missing or of no use.
    """
    layers = f"{NET}causal_transformer.layers."
    names = ("learned_query", "to_time_embeds.0.weight")
    keys = [f"{NET}{name}" for name in names]
    keys += [f"{layers}0.0.{name}" for name in ("null_kv", "to_q.weight")]
    for key in (*keys, "betas"):
        if key not in copy:
            raise InputError(_lacks(path, EMA + key))
    query, times, null_kv, to_q = (copy[key] for key in keys)
    ranks = [tensor.ndim for tensor in (times, null_kv, to_q, copy["betas"])]
    if query.ndim not in (1, 2) or ranks != [2, 2, 2, 1]:
        said = ", ".join(f"{key} {list(copy[key].shape)}" for key in keys)
        msg = f"{path} holds no network of clip2latent: its shapes are {said}."
        raise InputError(msg)
    numbers = {key.removeprefix(layers).split(".")[0] for key in copy if layers in key}
    dim_head = null_kv.shape[1]
    return {
        "dim": query.shape[-1],
        "num_timesteps": len(times),
        "depth": 1 + max(int(n) for n in numbers if n.isdecimal() and len(n) < 5),
        "dim_head": dim_head,
        "heads": len(to_q) // dim_head,
        "n_latents": 1 if query.ndim == 1 else len(query),
    }


def check_copy(
    prefix: str,
    copy: Mapping[str, Tensor],
    network: NetworkConfig,
    *,
    num_latents: int,
    alpha_bar: Tensor,
    as_stored: bool,
    path: Path,
) -> dict[str, Tensor]:
    """Return the state dict of a copy's network, once all of the copy is checked.

    Args:
        prefix: Of its keys.
        copy: Of `split_copies`.
        network: Its configuration.
        num_latents: Latents of the prior.
        alpha_bar: The noise schedule, [T] float64.
        as_stored: Whether to return what is not learned as it is in the file, or as
            it is computed.
        path: Of its file, for messages.

    Raises:
        InputError: If a key is missing, unknown or of another shape, or if its values
            are not finite or not those of the schedule.
    """
    shapes = {NET + key: s for key, s in network_shapes(network, num_latents).items()}
    expected = {**shapes, **dict.fromkeys(schedule_buffers(alpha_bar), alpha_bar.shape)}
    if any(key in copy for key in STATISTICS):
        of_latent = (network.dim,) if num_latents == 1 else (num_latents, network.dim)
        expected |= dict.fromkeys(STATISTICS, of_latent)
    for key in copy:
        if key not in expected and key not in _WITHOUT_EFFECT:
            raise InputError(_has(path, prefix + key))
    freqs = RotaryEmbedding(min(ROTARY_DIM, network.dim_head)).freqs
    unlearned = _unlearned(shapes, freqs)
    whole = {**unlearned, **copy}
    for key, shape in expected.items():
        if key not in whole:
            raise InputError(_lacks(path, prefix + key))
        problem = _problem(key, whole[key], tuple(shape), freqs)
        if problem:
            msg = f"{prefix}{key} in {path} must {problem}. Get the file again."
            raise InputError(msg)
    buffer = differing_buffer(copy, alpha_bar)
    if buffer is not None:
        msg = (
            f"{prefix}{buffer} in {path} is not that of the noise schedule of its "
            f"betas. Get the file again."
        )
        raise InputError(msg)
    if not as_stored:
        whole |= unlearned
    return {key.removeprefix(NET): whole[key] for key in shapes}


def network_shapes(
    network: NetworkConfig, num_latents: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a `TransformerNetwork` of one width."""
    dim, dim_head, heads = network.dim, network.dim_head, network.heads
    inner = FEED_FORWARD_FACTOR * dim
    attention = {
        "norm.gamma": (dim,),
        f"norm{_BETA}": (dim,),
        "null_kv": (2, dim_head),
        "to_q.weight": (heads * dim_head, dim),
        "to_kv.weight": (2 * dim_head, dim),
        _FREQS: (min(ROTARY_DIM, dim_head) // 2,),
        "to_out.0.weight": (dim, heads * dim_head),
        "to_out.1.gamma": (dim,),
        f"to_out.1{_BETA}": (dim,),
    }
    feed_forward = {
        "0.gamma": (dim,),
        f"0{_BETA}": (dim,),
        "1.weight": (2 * inner, dim),
        "5.weight": (dim, inner),
    }
    layer = {f"0.{key}": shape for key, shape in attention.items()}
    layer |= {f"1.{key}": shape for key, shape in feed_forward.items()}

    def transformer() -> Iterator[tuple[str, tuple[int, ...]]]:
        yield "rel_pos_bias.relative_attention_bias.weight", (NUM_BUCKETS, heads)
        for number in range(network.depth):
            for key, shape in layer.items():
                yield f"layers.{number}.{key}", shape
        yield "norm.gamma", (dim,)
        yield f"norm{_BETA}", (dim,)
        yield "project_out.weight", (dim, dim)

    return {
        "learned_query": (dim,) if num_latents == 1 else (num_latents, dim),
        "to_time_embeds.0.weight": (network.num_timesteps, dim),
        **{f"causal_transformer.{key}": shape for key, shape in transformer()},
    }


def _unlearned(
    shapes: Mapping[str, tuple[int, ...]], freqs: Tensor
) -> dict[str, Tensor]:
    """Return what a file need not hold."""
    return {
        key: freqs.clone() if key.endswith(_FREQS) else torch.zeros(shape)
        for key, shape in shapes.items()
        if key.endswith((_FREQS, _BETA))
    }


def _problem(
    key: str, tensor: Tensor, shape: tuple[int, ...], freqs: Tensor
) -> str | None:
    """Return what a tensor must be and is not; None if it is well."""
    if tuple(tensor.shape) != shape:
        return f"have the shape {list(shape)}, got {list(tensor.shape)}"
    if not torch.isfinite(tensor).all():
        return "be finite, got numbers that are not"
    if key.endswith(_FREQS) and not torch.allclose(tensor, freqs, rtol=DRIFT, atol=0):
        return "be the rotary frequencies 10000^(-2i / d), got others"
    if key == "latent_std" and not (tensor > 0).all():
        return "be above 0, got less"
    return None


def _lacks(path: Path, key: str) -> str:
    return f"{path} lacks {key}, which a checkpoint of clip2latent's trainer has."


def _has(path: Path, key: str) -> str:
    return (
        f"{path} has {key[:120]}, which a checkpoint of clip2latent's trainer does not "
        f"have."
    )
