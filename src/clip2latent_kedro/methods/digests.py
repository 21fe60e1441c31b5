"""Names of content: equal digests mean equal answers."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from clip2latent_kedro.prior.diffusion import DiffusionPrior


def digest_arrays(arrays: Mapping[str, np.ndarray | Tensor]) -> str:
    """Return a SHA-256 (hex) of the names and the content of arrays."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        numbers = array.detach().cpu().numpy() if isinstance(array, Tensor) else array
        digest.update(f"{name}{numbers.dtype}{numbers.shape}".encode())
        digest.update(numbers.tobytes())
    return digest.hexdigest()


def digest_prior(prior: "DiffusionPrior") -> str:
    """Return a SHA-256 (hex) of all that decides what a prior samples."""
    statistics = prior.embedding_statistics
    tensors: dict[str, Tensor | None] = {
        **prior.network.state_dict(),
        "alpha_bar": prior.alpha_bar,
        "w_mean": prior.w_mean,
        **{f"statistics.{k}": v for k, v in vars(prior.statistics).items()},
    }
    if prior.stored_schedule is not None:
        names = ("stored_alpha_bar", "stored_std")
        tensors |= dict(zip(names, prior.stored_schedule, strict=True))
    if statistics is not None:
        tensors |= {"image_mean": statistics.mean, "text_mean": statistics.text_mean}
        tensors["norm"] = torch.tensor(statistics.norm)
    if prior.gaussian is not None:
        tensors |= {
            f"cloud.{name}": part for name, part in vars(prior.gaussian).items()
        }
    settings = (
        repr(prior.network),
        prior.condition_inputs,
        prior.predict_x_start,
        prior.text_embed_scale,
        prior.embed_noise_scale,
        prior.embed_noise_least,
    )
    digest = hashlib.sha256(repr(settings).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(name.encode())
        if tensor is not None:
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
