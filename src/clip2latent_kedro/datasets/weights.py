"""Weights of a model in one safetensors file."""

from collections.abc import Mapping
from typing import Any

import safetensors.torch
from kedro.io import Version
from torch import Tensor

from clip2latent_kedro.datasets.file import FileDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading import parse_weights

Weights = tuple[Mapping[str, Tensor], Mapping[str, str]]


class WeightsDataset(FileDataset[Any]):
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
            missing_ok: Whether to load an empty pair where there is no file, and why
                it cannot be read where it is damaged.
            metadata: For Kedro plugins.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._missing_ok = missing_ok

    def load(self) -> Weights | InputError:
        """Return named tensors and named strings (see `missing_ok`)."""
        if self._missing_ok and not self._exists():
            return {}, {}
        weights: Weights | InputError = super().load()
        return weights

    def _to_bytes(self, data: Weights) -> bytes:
        tensors, strings = data
        dense = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
        return safetensors.torch.save(dense, dict(strings))

    def _from_bytes(self, content: bytes) -> Weights | InputError:
        try:
            return parse_weights(content, str(self._filepath), mend="Remove it.")
        except InputError as error:
            if self._missing_ok:
                return error
            raise
