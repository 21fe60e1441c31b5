"""A trained CLIP2GAN as one safetensors file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator, Identity
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.methods.clip2gan.config import Clip2GanTrainingConfig
from clip2latent_kedro.methods.clip2gan.mapper import Clip2Gan, LatentMapper
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics
from clip2latent_kedro.provenance import read_training_seconds
from clip2latent_kedro.reading import (
    MISSHAPEN,
    load_network,
    parse_json,
    read_settings,
    read_weights,
)
from clip2latent_kedro.training import TrainingState

KIND = "clip2gan"


def export_clip2gan(
    state: TrainingState,
    generator: Generator,
    encoder: Encoder,
    statistics: LatentStatistics,
    embedding_statistics: EmbeddingStatistics,
    latent_repeats: Sequence[int],
    config: Clip2GanTrainingConfig,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata, as `load_clip2gan` reads them.

    The averaged weights in half precision, what they are normalised by in full.

    Args:
        state: A state that `train_clip2gan` has yielded.
        generator: The one whose w the network has learned.
        encoder: The one whose embeddings the network takes.
        statistics: Mean and standard deviation of the pairs' w.
        embedding_statistics: Means of the pairs' embeddings and of those of texts.
        latent_repeats: Layers that each latent of the pairs stands for.
        config: The settings of the training.
    """
    tensors = {f"network.{name}": state.ema[name].half() for name in state.ema}
    tensors |= {"w_mean": statistics.mean, "w_std": statistics.std}
    tensors["image_mean"] = embedding_statistics.mean
    if embedding_statistics.text_mean is not None:
        tensors["text_mean"] = embedding_statistics.text_mean
    num_latents, w_dim = statistics.mean.shape
    header = {
        "kind": KIND,
        "network": {
            "clip_dim": len(embedding_statistics.mean),
            "num_latents": num_latents,
            "w_dim": w_dim,
            "dim": config.dim,
            "depth": config.depth,
        },
        "latent_repeats": list(latent_repeats),
        "embedding_norm": embedding_statistics.norm,
        "generator": vars(generator.identity),
        "encoder": vars(encoder.identity),
    }
    dense = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return dense, {"config": json.dumps(header, sort_keys=True)}


def load_clip2gan(path: Path | None, options: Mapping[str, Any]) -> Clip2Gan:
    """Return the model in a file of `export_clip2gan`, frozen.

    Args:
        path: The file.
        options: There are none.

    Raises:
        InputError: If the file is missing or not of this format, or there are options.
    """
    if options:
        msg = f"A clip2gan has no options {sorted(options)}. Remove them."
        raise InputError(msg)
    if path is None or not path.is_file():
        msg = (
            f"CLIP2GAN's weights are expected at {path}, where there is no file. Run "
            f"the pipeline baselines."
        )
        raise InputError(msg)
    mend = "Make it again with kedro run --pipeline=baselines."
    stored, metadata = read_weights(path, mend=mend)
    try:
        header = parse_json(metadata["config"])
        tensors = {name: value.float() for name, value in stored.items()}
        return _unpack(header, tensors, path)
    except MISSHAPEN as error:
        msg = (
            f"{path} must hold a CLIP2GAN as the pipeline baselines writes it, got "
            f"{str(error)[:300]!r}. {mend}"
        )
        raise InputError(msg) from error


def _unpack(
    header: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path
) -> Clip2Gan:
    """Return the model of what is in a file; `ValueError` and others for another."""
    if header["kind"] != KIND:
        raise ValueError(header["kind"])
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        msg = "numbers that are not finite"
        raise ValueError(msg)
    weights = {
        name.removeprefix("network."): tensor
        for name, tensor in tensors.items()
        if name.startswith("network.")
    }
    sizes = header["network"]
    network = load_network(lambda: LatentMapper(**sizes), weights)
    latent = (sizes["num_latents"], sizes["w_dim"])
    embedding = (sizes["clip_dim"],)
    of_others: dict[str, tuple[int, ...]] = {"w_mean": latent, "w_std": latent}
    of_others |= {"image_mean": embedding, "text_mean": embedding}
    for name, shape in of_others.items():
        if name in tensors and tuple(tensors[name].shape) != shape:
            msg = f"{name} of shape {list(tensors[name].shape)}"
            raise ValueError(msg)
    repeats = header["latent_repeats"]
    seconds = header.get("training_seconds", read_training_seconds(path))
    if len(repeats) != latent[0] or not all(type(n) is int and n > 0 for n in repeats):
        msg = f"latent_repeats {repeats}"
        raise ValueError(msg)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Clip2Gan(
        network=network.eval().requires_grad_(False),
        statistics=LatentStatistics(tensors["w_mean"], tensors["w_std"]),
        embedding_statistics=EmbeddingStatistics(
            tensors["image_mean"],
            float(header["embedding_norm"]),
            tensors.get("text_mean"),
        ),
        latent_repeats=repeats,
        identity=Identity(KIND, digest),
        generator_identity=read_settings(Identity, header["generator"]),
        encoder_identity=read_settings(Identity, header["encoder"]),
        training_seconds=None if seconds is None else float(seconds),
    )
