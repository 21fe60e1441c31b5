"""This project's own files of generators: safetensors, the architecture beside.

The metadata holds the network's configuration as JSON under `config`, and in it or
beside it the network's `kind`; a file with no kind is a StyleGAN2.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.lafite import Lafite, LafiteConfig
from clip2latent_kedro.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from clip2latent_kedro.generators.stylegan3 import StyleGAN3, StyleGAN3Config

Network = StyleGAN2 | StyleGAN3 | Lafite

NETWORKS: dict[str, Callable[[Mapping[str, Any]], Network]] = {
    "stylegan2": lambda config: StyleGAN2(StyleGAN2Config(**config)),
    "stylegan3": lambda config: StyleGAN3(StyleGAN3Config(**config)),
    "lafite": lambda config: Lafite(LafiteConfig(**config)),
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
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            config = json.loads(metadata["config"])
            found = config.pop("kind", metadata.get("kind", "stylegan2"))
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        network = NETWORKS[found](config)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        msg = (
            f"{path} must be a safetensors file with the architecture in its metadata "
            f"`config`, got {error!r}. Make it with the portraits pipeline, or let "
            f"kind stylegan convert NVIDIA's file."
        )
        raise InputError(msg) from error
    if kind not in (None, found):
        msg = f"{path} must hold a {kind}, got a {found}. Set kind: {found}."
        raise InputError(msg)
    made = {k: v for k, v in network.state_dict().items() if _is_made_at_load(k)}
    try:
        network.load_state_dict({**made, **weights})
    except RuntimeError as error:
        msg = f"{path} does not fit the architecture in its metadata: {error}"
        raise InputError(msg) from error
    return network


def is_safetensors(path: Path) -> bool:
    """Return whether a file is of the format at all, whatever it holds."""
    try:
        with safe_open(path, framework="pt"):
            return True
    except SafetensorError:
        return False


def _is_made_at_load(name: str) -> bool:
    return name.endswith("resample_filter")
