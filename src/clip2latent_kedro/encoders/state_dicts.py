"""State dicts of other programs' networks, read safely and fitted to ours."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading import (
    MISSHAPEN,
    first_line,
    is_safetensors,
    load_network,
    read_foreign,
    read_weights,
    tensors_of,
)

Network = TypeVar("Network", bound=nn.Module)

_COUNTER = "num_batches_tracked"  # of a batch norm; training alone uses it


def read_tensors(path: Path, expected: str, *, prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors, float32, of a state dict in safetensors or by torch.save.

    Args:
        path: The file.
        expected: What it must be, for the message.
        prefix: Of those that are wanted; the others are not read.

    Raises:
        InputError: If the file is missing or refused, or a number is not finite.
    """
    tensors = _read_all(path, expected, prefix)
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            msg = (
                f"{name[:80]} in {path} must hold finite numbers, got others. Give "
                f"{expected}."
            )
            raise InputError(msg)
    return tensors


def _read_all(path: Path, expected: str, prefix: str) -> dict[str, Tensor]:
    if is_safetensors(path):
        stored, _ = read_weights(path, mend=f"Give {expected}.")
        return {k: v.float() for k, v in stored.items() if k.startswith(prefix)}

    def convert(content: Any) -> dict[str, Tensor]:
        if isinstance(content, dict):
            content = {k: v for k, v in content.items() if str(k).startswith(prefix)}
        return tensors_of(content, "there")

    return read_foreign(path, convert, expected=expected)


def fit_weights(
    build: Callable[[], Network],
    tensors: Mapping[str, Tensor],
    path: Path,
    expected: str,
) -> Network:
    """Return a network with the weights of a file.

    Args:
        build: Returns a new network.
        tensors: Its state dict; counters of batch norms are passed over.
        path: Where the file is, for the message.
        expected: What it must be, for the message.

    Raises:
        InputError: Unless they fit it.
    """
    given = {k: v for k, v in tensors.items() if not k.endswith(_COUNTER)}
    try:
        return load_network(build, given, is_made=lambda name: name.endswith(_COUNTER))
    except MISSHAPEN as error:
        msg = f"{path} does not fit: {first_line(error)}. Give {expected}."
        raise InputError(msg) from error
