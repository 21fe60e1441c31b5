"""Whether what a file holds is a checkpoint, before anything is made of it."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor

from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.pairs import DataConfig, GenerationConfig
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.prior.network import (
    NetworkConfig,
    build_network,
    condition_inputs,
)
from clip2latent_kedro.prior.published_schedule import SAMPLED_BUFFERS
from clip2latent_kedro.reading import check_fit, check_types, read_settings
from clip2latent_kedro.training import TrainingState

if TYPE_CHECKING:
    from clip2latent_kedro.prior.checkpoint import Checkpoint


def check_checkpoint(checkpoint: "Checkpoint") -> None:
    """Check that a checkpoint that was read is whole, and its parts of one size.

    Raises:
        ValueError: Or another error of data that are not laid out so, if it is not.
    """
    settings = checkpoint.settings
    check_types(TrainingState, vars(checkpoint))
    _check_history(checkpoint)
    network = read_settings(NetworkConfig, settings["model"]["network"])
    read_settings(DiffusionConfig, settings["model"]["diffusion"])
    _check_buffers(checkpoint.buffers, network.num_timesteps)
    _check_settings(settings, num_latents=len(checkpoint.statistics.mean))
    for name, tensor, shape in _shapes(checkpoint):
        _require(tuple(tensor.shape) == shape, name, list(tensor.shape))
        _require(_is_finite(tensor), name, "numbers that are not finite")
    std = checkpoint.statistics.std
    _require(bool((std > 0).all()), "statistics.std", "numbers that are not above 0")

    inputs = condition_inputs(network, is_distilled="distillation" in settings)
    latent_shape = checkpoint.statistics.mean.shape
    build = partial(
        build_network,
        network,
        latent_shape[0],
        latent_shape[1],
        checkpoint.clip_dim,
        len(inputs),
    )
    _require(bool(checkpoint.ema), "ema", "nothing")
    for name in ("network", "ema", "best"):
        if weights := getattr(checkpoint, name):
            check_fit(build, weights)
            _require(all(map(_is_finite, weights.values())), name, "not finite")


def _check_history(checkpoint: "Checkpoint") -> None:
    for row in checkpoint.history:
        _require(row["step"] >= 0, "step in a row of history", row)
    best = [row for row in checkpoint.history if row["step"] == checkpoint.best_step]
    is_known = len(best) == 1 and bool(checkpoint.best)
    _require(not checkpoint.best_step or is_known, "best_step", checkpoint.best_step)


def _check_settings(settings: Mapping[str, Any], num_latents: int) -> None:
    """Check what is read of the settings beside the network's and the diffusion's."""
    data, train = settings["data"], settings["train"]
    repeats, noise = data["latent_repeats"], data["embed_noise_scale"]
    least = data.get("embed_noise_least", 0.0)
    used = {"latent_repeats": repeats, "embed_noise_scale": noise}
    used["embed_noise_least"] = least
    check_types(DataConfig, used)
    _require(len(repeats) == num_latents, "data.latent_repeats", repeats)
    check_types(TrainConfig, train)
    _require("znorm_latent" in train, "train.znorm_latent", "nothing")
    check_types(DistillationConfig, settings.get("distillation", {}))
    if "pairs" in settings:
        check_types(GenerationConfig, {"n_samples": settings["pairs"]["n_samples"]})
    made_by = settings.get("made_by", [])
    is_list = isinstance(made_by, list) and all(isinstance(m, dict) for m in made_by)
    _require(is_list, "made_by", made_by)


def _check_buffers(buffers: Mapping[str, Tensor], num_timesteps: int) -> None:
    """Check that a copy with a schedule of its own has what a sampler reads of it."""
    for group in ("ema", "network"):
        own = {k: buffers[k] for k in buffers if k.startswith(f"{group}.")}
        if not own:
            continue
        for name in SAMPLED_BUFFERS:
            tensor = own.get(f"{group}.{name}")
            is_whole = tensor is not None and tuple(tensor.shape) == (num_timesteps,)
            _require(is_whole, f"buffers.{group}.{name}", "another shape")
        _require(all(map(_is_finite, own.values())), f"buffers.{group}", "not finite")


def _shapes(
    checkpoint: "Checkpoint",
) -> Iterator[tuple[str, Tensor, tuple[int, ...]]]:
    """Yield the statistics by name, each with the shape that it must have."""
    num_latents, latent_dim = checkpoint.statistics.mean.shape
    latent = (num_latents, latent_dim)
    yield "statistics.mean", checkpoint.statistics.mean, latent
    yield "statistics.std", checkpoint.statistics.std, latent
    embedding = checkpoint.embedding_statistics
    if embedding is not None:
        check_types(EmbeddingStatistics, {"norm": embedding.norm})
        yield "embedding_mean", embedding.mean, (checkpoint.clip_dim,)
        if embedding.text_mean is not None:
            yield "text_mean", embedding.text_mean, (checkpoint.clip_dim,)
    gaussian = checkpoint.gaussian
    if isinstance(gaussian, LatentGaussian):
        yield "cloud.mean", gaussian.mean, latent
        yield "cloud.std", gaussian.std, latent
        yield "cloud.axes", gaussian.axes, (*latent, latent_dim)
        yield "cloud.radii", gaussian.radii, (max(gaussian.radii.numel(), 2),)


def _require(is_right: bool, name: str, got: object) -> None:
    if not is_right:
        msg = f"it cannot have {str(got)[:80]!r} as {name}"
        raise ValueError(msg)


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())
