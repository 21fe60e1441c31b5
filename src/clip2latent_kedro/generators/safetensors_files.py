"""This project's own files of generators: safetensors, the architecture beside.

The metadata holds the network's configuration as JSON under `config`, and in it or
beside it the network's `kind`; a file with no kind is a StyleGAN2.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.shapes import check_shapes, stylegan3_shapes
from clip2latent_kedro.generators.lafite import Lafite, LafiteConfig
from clip2latent_kedro.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from clip2latent_kedro.generators.stylegan3 import StyleGAN3, StyleGAN3Config
from clip2latent_kedro.reading import (
    MISSHAPEN,
    is_safetensors,
    load_network,
    parse_json,
    read_settings,
    read_weights,
)

__all__ = [
    "NETWORKS",
    "Network",
    "is_safetensors",
    "kind_of",
    "lafite_weights",
    "read_network",
    "stylegan2_weights",
]

Network = StyleGAN2 | StyleGAN3 | Lafite

NETWORKS: dict[str, Callable[[Mapping[str, Any]], Network]] = {
    "stylegan2": lambda config: StyleGAN2(read_settings(StyleGAN2Config, config)),
    "stylegan3": lambda config: StyleGAN3(read_settings(StyleGAN3Config, config)),
    "lafite": lambda config: Lafite(read_settings(LafiteConfig, config)),
}


def kind_of(network: Network) -> str:
    """Return the name of a network's kind in `NETWORKS`."""
    kinds = {StyleGAN2: "stylegan2", StyleGAN3: "stylegan3", Lafite: "lafite"}
    return kinds[type(network)]


def stylegan2_weights(network: StyleGAN2) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return weights and metadata, as `read_network` takes them.

    The synthesis in half precision; the mapping, small and sensitive, in full. There is
    one entry of metadata because safetensors writes several in a random order, and the
    digest of the file is the generator's identity.
    """
    weights = {
        name: (value if name.startswith("mapping.") else value.half()).contiguous()
        for name, value in network.state_dict().items()
        if not _is_made_at_load(name)
    }
    return weights, {"config": json.dumps(asdict(network.config), sort_keys=True)}


def lafite_weights(network: Lafite) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return weights in half precision and metadata, as `read_network` takes them.

    The mapping too: its z stands for nothing that must come out exactly.
    """
    weights = {
        name: value.half().contiguous()
        for name, value in network.state_dict().items()
        if not _is_made_at_load(name)
    }
    config = {**asdict(network.config), "kind": "lafite"}
    return weights, {"config": json.dumps(config, sort_keys=True)}


def read_network(path: Path | None, kind: str | None = None) -> Network:
    """Return the network in a safetensors file with its architecture beside it.

    Args:
        path: The file.
        kind: The name in `NETWORKS` that the file's own must equal; any if None.

    Raises:
        InputError: If the file is missing, is not of this format or kind, or does not
            fit the architecture that it names.
    """
    if path is None or not path.is_file():
        msg = f"The generator's weights are expected at {path}, where there is no file."
        raise InputError(msg)
    mend = (
        "Make it with the portraits pipeline, or let kind stylegan convert NVIDIA's "
        "file."
    )
    tensors, metadata = read_weights(path, mend=mend)
    try:
        config = parse_json(metadata["config"])
        found = config.pop("kind", metadata.get("kind", "stylegan2"))
        build = partial(NETWORKS[found], config)
        weights = {name: value.float() for name, value in tensors.items()}
        if found == "stylegan3":  # its filters are designed as it is built
            designed = read_settings(StyleGAN3Config, config)
            check_shapes(stylegan3_shapes(designed), weights)
        network = load_network(build, weights, is_made=_is_made_at_load)
    except (Refusal, *MISSHAPEN) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")[:300]
        msg = (
            f"{path} must be a safetensors file that fits the architecture in its "
            f"metadata `config`, got {reason}. {mend}"
        )
        raise InputError(msg) from error
    if kind not in (None, found):
        msg = f"{path} must hold a {kind}, got a {found}. Set kind: {found}."
        raise InputError(msg)
    return network


def _is_made_at_load(name: str) -> bool:
    return name.endswith("resample_filter")
