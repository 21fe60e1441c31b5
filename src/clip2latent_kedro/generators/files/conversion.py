"""Converts a generator's file once, to safetensors with its architecture beside it.

The result has the layout that `generators.adapters` reads: the state dict, and the
network's configuration as JSON in the metadata `config`. A cache names it by the
content of the source and the code that converts it, so that the pickle is read once.
The file itself does not say the code: what converts it alike keeps its identity.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from clip2latent_kedro.files import hash_file, replacing
from clip2latent_kedro.generators.files.architecture import StyleGANWeights
from clip2latent_kedro.generators.files.nvidia import convert_snapshot
from clip2latent_kedro.generators.files.rosinality import convert_checkpoint
from clip2latent_kedro.generators.files.tensorflow import convert_networks
from clip2latent_kedro.generators.safetensors_files import NETWORKS
from clip2latent_kedro.provenance import digest_code
from clip2latent_kedro.reading import Instance, Refusal, check_size, read_foreign

FORMAT = "clip2latent_kedro.stylegan/1"
_ALIGNMENT = 8
_EXPECTED = (
    "a StyleGAN2 or StyleGAN3 file as NVIDIA's or rosinality's programs write it"
)


def read_stylegan_file(path: Path) -> StyleGANWeights:
    """Return the generator in a file of NVIDIA, rosinality or LAFITE.

    Formats: pickled snapshots of stylegan2-ada-pytorch, stylegan3 and Lafite (`G_ema`
    is taken), pickles of the TensorFlow stylegan2 (Gs is taken), and checkpoints of
    rosinality's stylegan2-pytorch (`g_ema` is taken), zip or legacy. Nothing that the
    file names is imported or called.

    Args:
        path: The file.

    Returns:
        Kind, configuration and float32 tensors of the generator.

    Raises:
        InputError: If the file is missing or refused; the message names the global or
            the bound that refused it.
    """
    return read_foreign(path, _convert, expected=_EXPECTED)


def convert_stylegan(source: Path, target: Path) -> None:
    """Convert a file; a target that is there is replaced at once or not at all.

    The same source gives the same bytes.

    Args:
        source: Of any format of `read_stylegan_file`.
        target: The safetensors file to write; its folder is made.

    Raises:
        InputError: If the source is refused.
    """
    weights = read_stylegan_file(source)
    metadata = {
        "config": json.dumps(dict(weights.config), sort_keys=True),
        "format": FORMAT,
        "kind": weights.kind,
        "source_sha256": hash_file(source),
    }
    with replacing(target, suffix=f"{os.getpid()}.partial") as partial:
        _write_safetensors(partial, weights.tensors, metadata)


def cached_stylegan(source: Path, folder: Path) -> Path:
    """Return where a file is converted, now or before, in a cache folder.

    Args:
        source: Of any format of `read_stylegan_file`.
        folder: Of the cache; converted files in it are named by their source's digest,
            and that of the code.

    Raises:
        InputError: Where `convert_stylegan` raises it.
    """
    check_size(source, _EXPECTED)
    digest = hash_file(source)
    target = folder / f"{digest}_{digest_code(__name__)[:12]}.safetensors"
    if target.is_file():
        try:
            with safe_open(target, framework="pt") as file:
                metadata = file.metadata() or {}
        except (SafetensorError, OSError):
            metadata = {}
        is_ours = metadata.get("format") == FORMAT and metadata.get("kind") in NETWORKS
        if is_ours and metadata.get("source_sha256") == digest:
            return target
    convert_stylegan(source, target)
    return target


def _convert(content: Any) -> StyleGANWeights:
    """Return the generator of the object in a file, by what the object is."""
    average = content[2] if isinstance(content, tuple) and len(content) == 3 else None
    if isinstance(average, Instance) and "variables" in average.state:
        return convert_networks(average)
    networks = content if isinstance(content, dict) else {}
    if isinstance(networks.get("G_ema"), Instance):
        return convert_snapshot(networks["G_ema"])
    if isinstance(networks.get("g_ema"), dict):
        return convert_checkpoint(networks)
    keys = [str(key)[:30] for key in list(networks)[:8]]
    got = f"a dict of {keys}" if networks else f"a {type(content).__name__}"
    raise Refusal(f"holds no generator under 'G_ema' or 'g_ema' but {got}")


def _write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write float32 tensors, in the order of their names.

    safetensors itself writes the metadata in a random order, and an artifact's
    identity is the digest of its file. Layout: the header's length (8 bytes), the
    header (JSON), the tensors' bytes.
    """
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    position = 0
    for name, tensor in sorted(tensors.items()):
        end = position + 4 * tensor.numel()
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for _, tensor in sorted(tensors.items()):
            file.write(tensor.numpy().astype("<f4", copy=False).tobytes())
