"""Converts a generator's file once, to safetensors with its architecture beside it.

The result has the layout that `generators.adapters` reads: the state dict, and the
network's configuration as JSON in the metadata `config`. A cache names it by the
content of the source and the code that converts it, so that the pickle is read once.
The file itself does not say the code: what converts it alike keeps its identity.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from safetensors import SafetensorError, safe_open
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import replacing
from clip2latent_kedro.generators.files.architecture import Kind
from clip2latent_kedro.generators.files.reading import read_stylegan_file
from clip2latent_kedro.generators.files.untrusted import check_size
from clip2latent_kedro.provenance import digest_code

FORMAT = "clip2latent_kedro.stylegan/1"
_ALIGNMENT = 8


@dataclass(frozen=True)
class ConvertedStyleGAN:
    """A converted file.

    Attributes:
        path: Where it is.
        kind: Which network it holds: `stylegan2`, `stylegan3` or `lafite`.
        source_digest: SHA-256 (hex) of the file that it was made of.
    """

    path: Path
    kind: Kind
    source_digest: str


def convert_stylegan(source: Path, target: Path) -> ConvertedStyleGAN:
    """Convert a file; a target that is there is replaced at once or not at all.

    The same source gives the same bytes.

    Args:
        source: Of any format of `read_stylegan_file`.
        target: The safetensors file to write; its folder is made.

    Raises:
        InputError: If the source is refused.
    """
    weights = read_stylegan_file(source)
    digest = _digest(source)
    metadata = {
        "config": json.dumps(dict(weights.config), sort_keys=True),
        "format": FORMAT,
        "kind": weights.kind,
        "source_sha256": digest,
    }
    with replacing(target, suffix=f"{os.getpid()}.partial") as partial:
        _write_safetensors(partial, weights.tensors, metadata)
    return ConvertedStyleGAN(target, weights.kind, digest)


def cached_stylegan(source: Path, folder: Path) -> ConvertedStyleGAN:
    """Return a file converted, now or before, in a cache folder.

    Args:
        source: Of any format of `read_stylegan_file`.
        folder: Of the cache; converted files in it are named by their source's digest,
            and that of the code.

    Raises:
        InputError: See `convert_stylegan`.
    """
    if not source.is_file():
        msg = f"A StyleGAN file is expected at {source}, where there is no file."
        raise InputError(msg)
    check_size(source)
    digest = _digest(source)
    target = folder / f"{digest}_{digest_code(__name__)[:12]}.safetensors"
    if target.is_file():
        try:
            with safe_open(target, framework="pt") as file:
                metadata = file.metadata() or {}
        except (SafetensorError, OSError):
            metadata = {}
        is_ours = metadata.get("format") == FORMAT
        if is_ours and metadata.get("source_sha256") == digest:
            for kind in get_args(Kind):
                if metadata.get("kind") == kind:
                    return ConvertedStyleGAN(target, kind, digest)
    return convert_stylegan(source, target)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
