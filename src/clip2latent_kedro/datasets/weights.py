"""Weights of a model in one safetensors file."""

import json
import struct
from collections.abc import Mapping
from typing import Any

import safetensors.torch
from kedro.io import Version
from safetensors import SafetensorError
from torch import Tensor

from clip2latent_kedro.datasets.file import FileDataset
from clip2latent_kedro.errors import InputError

Weights = tuple[Mapping[str, Tensor], Mapping[str, str]]


class WeightsDataset(FileDataset[Weights]):
    """A pair of named tensors and named strings, as safetensors with metadata."""

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        missing_ok: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a file.

        Args:
            filepath: Local path or fsspec URL.
            version: Set by Kedro for a versioned entry.
            missing_ok: Whether to load an empty pair where there is no file.
            metadata: For Kedro plugins.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._missing_ok = missing_ok

    def load(self) -> Weights:
        """Return named tensors and named strings."""
        if self._missing_ok and not self._exists():
            return {}, {}
        return super().load()

    def _to_bytes(self, data: Weights) -> bytes:
        tensors, strings = data
        dense = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
        return safetensors.torch.save(dense, dict(strings))

    def _from_bytes(self, content: bytes) -> Weights:
        try:
            tensors = safetensors.torch.load(content)
        except SafetensorError as error:
            msg = f"{self._filepath} must be a safetensors file ({error})."
            raise InputError(msg) from error
        # The file starts with the length of its JSON header, then the header.
        (length,) = struct.unpack("<Q", content[:8])
        return tensors, json.loads(content[8 : 8 + length]).get("__metadata__", {})
