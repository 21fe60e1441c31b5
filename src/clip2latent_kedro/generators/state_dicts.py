"""State dicts in files, read safely: safetensors, or what torch.save writes.

Nothing in a file is imported or called (see `reading.read_foreign`).
"""

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
_EXPECTED = (
    "a state dict as safetensors or torch.save store it, and its name in a checkpoint "
    "that holds more as option entry"
)


def read_state_dict(
    path: Path | None, *, entry: str | None = None
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the state dict in a file and, of a safetensors file, its metadata.

    Args:
        path: A safetensors file, or one that torch.save wrote, zip or legacy.
        entry: Name of the state dict in a checkpoint that holds several things; None
            where the file is the state dict itself.

    Returns:
        Tensors, float32, by name, without a prefix `module.`; metadata.

    Raises:
        InputError: If the file is missing or refused.
    """
    if path is None:
        msg = "A generator's weights are expected at None, where there is no file."
        raise InputError(msg)
    if is_safetensors(path):
        stored, metadata = read_weights(path)
        return {name: value.float() for name, value in stored.items()}, metadata

    def convert(content: Any) -> dict[str, Tensor]:
        if entry is not None:
            content = content.get(entry) if isinstance(content, dict) else None
        tensors = tensors_of(content, "there")
        return {k.removeprefix("module."): value for k, value in tensors.items()}

    return read_foreign(path, convert, expected=_EXPECTED), {}


def fit_network(
    build: Callable[[], Network],
    tensors: Mapping[str, Tensor],
    path: Path | None,
    kind: str,
) -> Network:
    """Return a network with the weights of a file.

    Args:
        build: Returns a new network.
        tensors: Its state dict; counters of batch norms are passed over.
        path: Where the file is, for the message.
        kind: What it seems to be, for the message.

    Raises:
        InputError: Unless they fit it.
    """
    given = {k: v for k, v in tensors.items() if not k.endswith(_COUNTER)}
    try:
        return load_network(build, given, is_made=lambda name: name.endswith(_COUNTER))
    except MISSHAPEN as error:
        said = first_line(error)
        msg = f"{path} does not fit the {kind} that it seems to be: {said}."
        raise InputError(msg) from error
