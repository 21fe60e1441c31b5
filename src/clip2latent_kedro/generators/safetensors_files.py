"""This project's own files of generators: safetensors, the architecture beside.

The metadata holds the network's configuration as JSON under `config`, and in it or
beside it the network's `kind`; a file with no kind is a StyleGAN2.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.lafite import Lafite, LafiteConfig
from clip2latent_kedro.generators.stylegan2 import StyleGAN2
from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.generators.stylegan3 import StyleGAN3
from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config
from clip2latent_kedro.reading import (
    MISSHAPEN,
    first_line,
    is_safetensors,
    load_network,
    parse_json,
    read_settings,
    read_weights,
)

__all__ = [
    "NETWORKS",
    "Network",
    "find_kind",
    "is_safetensors",
    "lafite_weights",
    "read_network",
    "stylegan2_weights",
]

Network = StyleGAN2 | StyleGAN3 | Lafite

# The network of each kind, and its configuration.
NETWORKS: dict[str, tuple[Callable[[Any], Network], type[Any]]] = {
    "stylegan2": (StyleGAN2, StyleGAN2Config),
    "stylegan3": (StyleGAN3, StyleGAN3Config),
    "lafite": (Lafite, LafiteConfig),
}


def find_kind(network: Network) -> str:
    """Return the name of a network's kind in `NETWORKS`."""
    return next(kind for kind, (made, _) in NETWORKS.items() if type(network) is made)


def stylegan2_weights(network: StyleGAN2) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return weights and metadata, as `read_network` takes them.

    The synthesis in half precision; the mapping, small and sensitive, in full. There is
    one entry of metadata because safetensors writes several in a random order, and the
    digest of the file is the generator's identity.
    """
    weights = _halved(network)
    for name, value in network.mapping.state_dict(prefix="mapping.").items():
        weights[name] = value.contiguous()
    return weights, {"config": json.dumps(asdict(network.config), sort_keys=True)}


def lafite_weights(network: Lafite) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return weights in half precision and metadata, as `read_network` takes them.

    The mapping too: its z stands for nothing that must come out exactly.
    """
    config = {**asdict(network.config), "kind": "lafite"}
    return _halved(network), {"config": json.dumps(config, sort_keys=True)}


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
        network_class, settings = NETWORKS[found]
        build = partial(network_class, read_settings(settings, config))
        weights = {name: value.float() for name, value in tensors.items()}
        network: Network = load_network(build, weights, is_made=_is_made_at_load)
    except MISSHAPEN as error:
        msg = (
            f"{path} must be a safetensors file that fits the architecture in its "
            f"metadata `config`, got {first_line(error)}. {mend}"
        )
        raise InputError(msg) from error
    if kind not in (None, found):
        msg = f"{path} must hold a {kind}, got a {found}. Set kind: {found}."
        raise InputError(msg)
    return network


def _halved(network: Network) -> dict[str, Tensor]:
    return {
        name: value.half().contiguous()
        for name, value in network.state_dict().items()
        if not _is_made_at_load(name)
    }


def _is_made_at_load(name: str) -> bool:
    return name.endswith("resample_filter")
