"""State dicts of other programs' networks, read safely and fitted to ours.

They are safetensors, or what torch.save writes. Nothing in a file is imported or called
(see `reading.read_foreign`).
"""

from collections.abc import Callable, Mapping, Sequence
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
    path: Path | None,
    *,
    entry: str | None = None,
    known: Sequence[str] = (),
    prefix: str = "",
    expected: str = _EXPECTED,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the state dict in a file and, of a safetensors file, its metadata.

    Args:
        path: A safetensors file, or one that torch.save wrote, zip or legacy.
        entry: Name of the state dict in a checkpoint that holds several things; None
            where the file is the state dict itself, or names it as one of `known`.
        known: Names under which programs store what is looked for; where there are
            several, the first counts.
        prefix: Of the names that are wanted; the others are not read.
        expected: What it must be, for the message.

    Returns:
        Tensors, float32, by name, without a prefix `module.`; metadata.

    Raises:
        InputError: If the file is missing or refused, or a number is not finite.
    """
    if path is None:
        msg = "A generator's weights are expected at None, where there is no file."
        raise InputError(msg)
    if is_safetensors(path):
        stored, metadata = read_weights(path)
        tensors = {k: v.float() for k, v in stored.items() if k.startswith(prefix)}
    else:
        tensors = read_foreign(
            path,
            lambda content: _convert(content, entry, known, prefix),
            expected=expected,
        )
        metadata = {}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            msg = (
                f"{name[:80]} in {path} must hold finite numbers, got others. Give "
                f"{expected}."
            )
            raise InputError(msg)
    return tensors, metadata


def _convert(
    content: Any, entry: str | None, known: Sequence[str], prefix: str
) -> dict[str, Tensor]:
    """Return the tensors of what a file of torch.save holds, by name."""
    if entry is None and isinstance(content, dict):
        entry = next(
            (name for name in known if isinstance(content.get(name), dict)), None
        )
    if entry is not None:
        content = content.get(entry) if isinstance(content, dict) else None
    if prefix and isinstance(content, dict):
        content = {k: v for k, v in content.items() if str(k).startswith(prefix)}
    tensors = tensors_of(content, "there")
    return {k.removeprefix("module."): value for k, value in tensors.items()}


def fit_network(
    build: Callable[[], Network],
    tensors: Mapping[str, Tensor],
    path: Path | None,
    kind: str,
    *,
    mend: str = "",
) -> Network:
    """Return a network with the weights of a file.

    Args:
        build: Returns a new network.
        tensors: Its state dict; counters of batch norms are passed over.
        path: Where the file is, for the message.
        kind: What it seems to be, for the message.
        mend: A sentence that says what to do.

    Raises:
        InputError: Unless they fit it.
    """
    given = {k: v for k, v in tensors.items() if not k.endswith(_COUNTER)}
    try:
        return load_network(build, given, is_made=lambda name: name.endswith(_COUNTER))
    except MISSHAPEN as error:
        said = first_line(error)
        msg = f"{path} does not fit the {kind} that it seems to be: {said}."
        msg = f"{msg} {mend}".rstrip()
        raise InputError(msg) from error
