"""A trained CLIP2GAN as one safetensors file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from clip2latent_kedro.baselines.clip2gan.config import Clip2GanTrainingConfig
from clip2latent_kedro.baselines.clip2gan.mapper import Clip2Gan, MappingNetwork
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator, Identity
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.portraits.fitting import FitState
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics
from clip2latent_kedro.provenance import read_training_seconds

KIND = "clip2gan"


def export_clip2gan(
    state: FitState,
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
        state: Of `train_clip2gan`.
        generator: As there.
        encoder: As there.
        statistics: As there.
        embedding_statistics: Of the pairs' embeddings, and of texts.
        latent_repeats: Layers that each latent of the pairs stands for.
        config: As there.
    """
    weights = state.weights()
    tensors = {f"network.{name}": weights[name].half() for name in weights}
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
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["config"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        if header["kind"] != KIND:
            raise ValueError(header["kind"])
        network = MappingNetwork(**header["network"])
        network.load_state_dict(
            {
                name.removeprefix("network."): tensor
                for name, tensor in tensors.items()
                if name.startswith("network.")
            }
        )
        statistics = LatentStatistics(tensors["w_mean"], tensors["w_std"])
        embedding_statistics = EmbeddingStatistics(
            tensors["image_mean"], header["embedding_norm"], tensors.get("text_mean")
        )
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        msg = (
            f"{path} must hold a CLIP2GAN as the pipeline baselines writes it, got "
            f"{error!r}. Make it again with kedro run --pipeline=baselines."
        )
        raise InputError(msg) from error
    return Clip2Gan(
        network=network.eval().requires_grad_(False),
        statistics=statistics,
        embedding_statistics=embedding_statistics,
        latent_repeats=header["latent_repeats"],
        identity=Identity(KIND, hashlib.sha256(path.read_bytes()).hexdigest()),
        generator_identity=Identity(**header["generator"]),
        encoder_identity=Identity(**header["encoder"]),
        training_seconds=header.get("training_seconds", read_training_seconds(path)),
    )
