"""State dicts in files, read safely: safetensors, or what torch.save writes.

Nothing in a file is imported or called (see `generators.files.untrusted`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.torch_tensors import TensorRecord
from clip2latent_kedro.generators.files.unpickling import Budget
from clip2latent_kedro.generators.files.untrusted import (
    read_torch_object,
    read_untrusted,
)
from clip2latent_kedro.reading import is_safetensors, read_weights

_EXPECTED = (
    "a state dict as safetensors or torch.save store it, and its name in a checkpoint "
    "that holds more as option entry"
)


@dataclass(frozen=True)
class StateDict:
    """What a file holds.

    Attributes:
        tensors: float32, by name, without a prefix `module.`.
        metadata: Of a safetensors file; empty for others.
        digest: SHA-256 (hex) of the file.
    """

    tensors: dict[str, Tensor]
    metadata: Mapping[str, str]
    digest: str


def read_state_dict(path: Path | None, *, entry: str | None = None) -> StateDict:
    """Return the state dict in a file.

    Args:
        path: A safetensors file, or one that torch.save wrote, zip or legacy.
        entry: Name of the state dict in a checkpoint that holds several things; None
            where the file is the state dict itself.

    Raises:
        InputError: If the file is missing or refused.
    """
    if path is None or not path.is_file():
        msg = f"A generator's weights are expected at {path}, where there is no file."
        raise InputError(msg)
    if is_safetensors(path):
        stored, metadata = read_weights(path)
        tensors = {name: value.float() for name, value in stored.items()}
        return StateDict(tensors, metadata, _digest(path))

    def read(data: memoryview, budget: Budget) -> dict[str, Tensor]:
        content = read_torch_object(data, budget)
        if entry is not None:
            content = content.get(entry) if isinstance(content, dict) else None
        return _tensors_of(content, budget)

    tensors = read_untrusted(path, read, expected=_EXPECTED)
    return StateDict(tensors, {}, _digest(path))


def read_tensor(path: Path) -> Tensor:
    """Return the one tensor, float32, in a file of torch.save.

    Raises:
        InputError: If the file is missing or refused.
    """
    if not path.is_file():
        msg = f"A tensor is expected at {path}, where there is no file."
        raise InputError(msg)

    def read(data: memoryview, budget: Budget) -> Tensor:
        content = read_torch_object(data, budget)
        if not isinstance(content, TensorRecord):
            msg = f"holds an object of type {type(content).__name__}"
            raise Refusal(msg)
        return content.read(budget)

    return read_untrusted(path, read, expected="one tensor as torch.save stores it")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tensors_of(content: Any, budget: Budget) -> dict[str, Tensor]:
    if not isinstance(content, dict) or not content:
        msg = "holds no state dict there"
        raise Refusal(msg)
    tensors = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, TensorRecord):
            msg = f"has the entry {str(name)[:80]!r}, which is no tensor"
            raise Refusal(msg)
        tensors[name.removeprefix("module.")] = value.read(budget)
    return tensors
