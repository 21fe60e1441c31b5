"""Weights in safetensors files, and networks that are built only once they fit them."""

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import check_is_file

Network = TypeVar("Network", bound=nn.Module)

# How often the weights of a file may be in a network, and what a small one may add:
# the table of a whole vocabulary above all.
_MAX_COPIES = 16
_SPARE_BYTES = 1 << 30
# Modules, parameters and buffers that may be made for each tensor that is there.
_MAX_PARTS = 20
_SPARE_PARTS = 1000
_REGISTRIES = (
    hooks.register_module_module_registration_hook,
    hooks.register_module_parameter_registration_hook,
    hooks.register_module_buffer_registration_hook,
)
# What makes a tensor and draws its numbers; what fills one that is there.
_DRAWN = (torch.randn, torch.rand)
_FILLED = {
    *(Tensor.uniform_, Tensor.normal_, Tensor.copy_, Tensor.div_),
    *(nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_),
}
# What is raised of data that are not laid out as the code that reads them expects.
MISSHAPEN = (
    *(AttributeError, LookupError, TypeError, ValueError, ArithmeticError),
    *(RuntimeError, RecursionError, MemoryError, AssertionError, NotImplementedError),
)


def read_weights(
    path: Path, *, name: str | None = None, mend: str = "Get it again."
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors in a safetensors file and its metadata.

    Args:
        path: The file.
        name: What messages call it; None for its path.
        mend: What to do if it is refused, a sentence.

    Raises:
        InputError: If it is not there, or is not a whole safetensors file.
    """
    try:
        check_is_file(path)
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # not a dictionary
            tensors = _real({name: file.get_tensor(name) for name in names})
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError, *MISSHAPEN) as error:
        raise InputError(_unreadable(name or path, error, mend)) from error


def parse_weights(
    content: bytes, name: str, *, mend: str = "Get it again."
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of the content of a file, named in messages."""
    try:
        tensors = _real(safetensors.torch.load(content))
        # The file starts with the length of its JSON header, then the header.
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        return tensors, header.get("__metadata__") or {}
    except (SafetensorError, struct.error, *MISSHAPEN) as error:
        raise InputError(_unreadable(name, error, mend)) from error


def _real(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as they are, none of which is complex."""
    for name, tensor in tensors.items():
        if tensor.is_complex():
            msg = f"{name} holds complex numbers"
            raise ValueError(msg)
    return tensors


def is_safetensors(path: Path) -> bool:
    """Return whether a file is of the format at all, whatever it holds."""
    try:
        check_is_file(path)
        with safe_open(path, framework="pt"):
            return True
    except (SafetensorError, OSError, MemoryError):
        return False


def load_network(
    build: Callable[[], Network],
    weights: Mapping[str, Tensor],
    *,
    is_made: Callable[[str], bool] = lambda name: False,
) -> Network:
    """Return a network with its weights, built once it is known to fit them.

    Args:
        build: Returns a new network.
        weights: Its state dict.
        is_made: Whether a tensor of the network, by its name, may be missing from the
            weights; it then stays as it was built.

    Raises:
        ValueError: Where `check_fit` raises it.
    """
    check_fit(build, weights, is_made=is_made)
    network = build()
    kept = {k: v for k, v in network.state_dict().items() if k not in weights}
    network.load_state_dict({**kept, **weights})
    return network


def check_fit(
    build: Callable[[], nn.Module],
    weights: Mapping[str, Tensor],
    *,
    is_made: Callable[[str], bool] = lambda name: False,
) -> None:
    """Check that a network has these weights, at no cost.

    Args:
        build: See `load_network`.
        weights: State dict that the network is to take.
        is_made: Whether a tensor may be missing from the weights (see `load_network`).

    Raises:
        ValueError: If names, shapes or kinds of numbers differ, or the network would be
            far larger than they are; or whatever `build` raises.
    """
    sketch = sketch_network(build, weights)
    compare_tensors(sketch.state_dict(), weights, is_made)
    parts = [*sketch.parameters(), *sketch.buffers()]
    num_bytes = sum(part.numel() * part.element_size() for part in parts)
    given = sum(value.numel() * value.element_size() for value in weights.values())
    if num_bytes > _MAX_COPIES * given + _SPARE_BYTES:
        msg = f"it describes a network of {num_bytes} bytes, and holds {given}"
        raise ValueError(msg)


def sketch_network(
    build: Callable[[], Network], weights: Mapping[str, Tensor]
) -> Network:
    """Return a network on the device `meta`, where numbers take no room.

    Args:
        build: Returns a new network.
        weights: What a file holds of it.

    Raises:
        ValueError: If it has far more layers than weights; or whatever `build` raises.
    """
    limit = _MAX_PARTS * len(weights) + _SPARE_PARTS
    with torch.device("meta"), _ShapesAlone(), _few_parts(limit):
        return build()


class _ShapesAlone(TorchFunctionMode):
    """Leaves numbers undrawn: on `meta` there are none, and to draw them is dear.

    torch does it there in Python, by code whose first use imports its compiler and
    sympy. That takes as long as torch's own import.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, or one that does without the numbers."""
        kwargs = kwargs or {}
        if function in _FILLED:
            return args[0] if args else kwargs["tensor"]
        if function in _DRAWN:
            function = torch.empty
        return function(*args, **kwargs)


def compare_tensors(
    expected: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    is_made: Callable[[str], bool] = lambda name: False,
) -> None:
    """Check names, shapes and kinds of numbers.

    Args:
        expected: By name, on any device.
        given: Those that there are, by name, on any device.
        is_made: Whether an expected tensor may be missing (see `load_network`).

    Raises:
        ValueError: If they differ; the message names the first that does.
    """
    for name in sorted(expected.keys() | given.keys()):
        wanted, found = expected.get(name), given.get(name)
        if wanted is None:
            msg = f"Unexpected key {name[:120]}"
        elif found is None:
            msg = "" if is_made(name) else f"Missing key {name[:120]}"
        else:
            is_alike = _is_alike(wanted, found)
            difference = f"{_describe(found)} instead of {_describe(wanted)}"
            msg = "" if is_alike else f"size mismatch for {name[:120]}: {difference}"
        if msg:
            raise ValueError(msg)


def _is_alike(one: Tensor, other: Tensor) -> bool:
    number_types = {(x.is_floating_point(), x.is_complex()) for x in (one, other)}
    return one.shape == other.shape and len(number_types) == 1


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def first_line(error: Exception) -> str:
    """Return what an error says in short, as a part of another sentence."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")[:300]


def _unreadable(name: str | Path, error: Exception, mend: str) -> str:
    return (
        f"{name} must be a whole safetensors file, but cannot be read "
        f"({first_line(error)}). {mend}"
    )


@contextmanager
def _few_parts(limit: int) -> Iterator[None]:
    """Stop the building of a network of more parts: one that has billions of layers."""
    left = limit

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            msg = "it describes a network of far more layers than it holds"
            raise ValueError(msg)

    handles = [register(count) for register in _REGISTRIES]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
