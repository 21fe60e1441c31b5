"""The keys of a published checkpoint, each with its shape, and none besides.

The original reads its files with strict=False, so that a misspelt key passes there in
silence, and leaves what it should have set at random.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.network import NetworkConfig, build_network
from clip2latent_kedro.prior.published_schedule import (
    DRIFT,
    differing_buffer,
    schedule_buffers,
)
from clip2latent_kedro.prior.transformer import ROTARY_DIM, RotaryEmbedding
from clip2latent_kedro.reading import compare_tensors, sketch_network

EMA = "ema_diffusion_prior.ema_model."
ONLINE = "ema_diffusion_prior.online_model."
PLAIN = "diffusion_prior."
STEP = "step"
COUNTERS = (STEP, "ema_diffusion_prior.step", "ema_diffusion_prior.initted")
STATISTICS = ("latent_mean", "latent_std")
NET = "net."
# Statistics of embeddings, whose use the original discards; they change nothing.
_WITHOUT_EFFECT = ("embed_mean", "embed_std")
_FREQS = "rotary_emb.freqs"

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
            raise InputError(_not_alike(path, f"Unexpected key {name[:120]}"))
    return copies


def measure_network(copy: Mapping[str, Tensor], path: Path) -> dict[str, int]:
    """Return what the shapes of a copy decide: the network's sizes, and `n_latents`.

    Args:
        copy: One that `split_copies` returned.
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
            raise InputError(_not_alike(path, f"Missing key {EMA + key}"))
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
        copy: One that `split_copies` returned.
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
    width = network.dim
    build = partial(build_network, network, num_latents, width, width)
    try:
        sketch = sketch_network(build, copy)
    except ValueError as error:
        raise InputError(_not_alike(path, str(error))) from error
    freqs = RotaryEmbedding(min(ROTARY_DIM, network.dim_head)).freqs
    # Buffers of the network: not every version of the original stores them.
    unlearned = {
        NET + name: freqs.clone() if name.endswith(_FREQS) else torch.zeros(like.shape)
        for name, like in sketch.named_buffers(remove_duplicate=False)
    }
    expected = {NET + name: like for name, like in sketch.state_dict().items()}
    schedule = schedule_buffers(alpha_bar)
    statistics = expected[f"{NET}learned_query"]  # of the shape of a latent
    has_statistics = any(key in copy for key in STATISTICS)
    known = expected | schedule
    known |= dict.fromkeys(STATISTICS, statistics) if has_statistics else {}
    whole = {k: v for k, v in {**unlearned, **copy}.items() if k not in _WITHOUT_EFFECT}
    try:
        compare_tensors(_prefixed(prefix, known), _prefixed(prefix, whole))
    except ValueError as error:
        raise InputError(_not_alike(path, str(error))) from error
    for key, tensor in whole.items():
        problem = None
        if not torch.isfinite(tensor).all():
            problem = "be finite, got numbers that are not"
        elif key == "latent_std" and not (tensor > 0).all():
            problem = "be above 0, got less"
        elif key.endswith(_FREQS) and not torch.allclose(
            tensor, freqs, rtol=DRIFT, atol=0
        ):
            problem = "be the rotary frequencies 10000^(-2i / d), got others"
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
    return {key.removeprefix(NET): whole[key] for key in expected}


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": tensor for key, tensor in tensors.items()}


def _not_alike(path: Path, problem: str) -> str:
    return (
        f"{path} must be a checkpoint as clip2latent's trainer writes it, but its "
        f"state_dict is another: {problem}."
    )
