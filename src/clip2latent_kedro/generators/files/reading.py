"""Reads a generator's file of any known format, executing nothing of it."""

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files.allowed import (
    checkpoint_globals,
    network_globals,
    plain_globals,
)
from clip2latent_kedro.generators.files.architecture import StyleGANWeights
from clip2latent_kedro.generators.files.numpy_arrays import numpy_globals
from clip2latent_kedro.generators.files.nvidia import read_snapshot
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.rosinality import read_checkpoint
from clip2latent_kedro.generators.files.tensorflow import read_networks
from clip2latent_kedro.generators.files.torch_files import (
    LEGACY_START,
    nested_storage_global,
    read_legacy,
    read_zip,
)
from clip2latent_kedro.generators.files.torch_tensors import (
    storage_globals,
    tensor_globals,
)
from clip2latent_kedro.generators.files.unpickling import (
    Budget,
    Instance,
    Machine,
    check_nesting,
)

_MAX_FILE_BYTES = 4 << 30
# How often reading may copy a file's own size: weights as text, as bytes, as float32.
_MAX_COPIES = 6
_SPARE_BYTES = 1 << 20
_STARTS = {
    b"PK\x03\x04": "torch_zip",
    LEGACY_START: "torch_legacy",
    b"\x80": "pickle",
}
_OTHERS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 file",
    b"<": "a web page or XML",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}
# What a pickle of the wrong shape raises in the code that looks for its parts.
_MISSHAPEN = (
    *(AttributeError, IndexError, KeyError, TypeError, ValueError),
    *(OverflowError, RuntimeError, RecursionError),
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
    if not path.is_file():
        msg = f"A StyleGAN file is expected at {path}, where there is no file."
        raise InputError(msg)
    try:
        return _read(path)
    except Refusal as refusal:
        reason = str(refusal)
        cause: Exception = refusal
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        cause = error
    except _MISSHAPEN as error:
        reason = f"is not laid out as expected ({type(error).__name__})"
        cause = error
    msg = (
        f"{path} is refused because it {reason}; give a StyleGAN2 or StyleGAN3 file as "
        f"NVIDIA's or rosinality's programs write it."
    )
    raise InputError(msg) from cause


def _read(path: Path) -> StyleGANWeights:
    num_bytes = path.stat().st_size
    if num_bytes == 0:
        msg = "is empty"
        raise Refusal(msg)
    if num_bytes > _MAX_FILE_BYTES:
        msg = f"has {num_bytes} bytes, more than {_MAX_FILE_BYTES}"
        raise Refusal(msg)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    data = memoryview(mapped)
    budget = Budget(num_bytes=_MAX_COPIES * num_bytes + _SPARE_BYTES)
    return _READERS[_format(data)](data, budget)


def _format(data: memoryview) -> str:
    """Return the format that the first bytes tell."""
    start = bytes(data[:64])
    for sign, name in sorted(_STARTS.items(), key=lambda item: -len(item[0])):
        if start.startswith(sign):
            return name
    for sign, what in _OTHERS.items():
        if start.startswith(sign):
            msg = f"is {what}"
            raise Refusal(msg)
    is_text = all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start)
    msg = f"is no pickle but {'text' if is_text else 'something else'}"
    raise Refusal(msg)


def _read_pickle(data: memoryview, budget: Budget) -> StyleGANWeights:
    """Return the generator in a pickle of NVIDIA's programs."""
    allowed = {
        **plain_globals(budget),
        **network_globals(),
        **numpy_globals(),
        **tensor_globals(),
        **nested_storage_global(budget),
    }
    content = Machine(data, allowed, budget).load()
    check_nesting(content)
    if isinstance(content, tuple) and len(content) == 3:
        networks = content[2]
        if isinstance(networks, Instance) and "variables" in networks.state:
            return read_networks(networks, budget)
    return read_snapshot(_entry(content, "G_ema", Instance), budget)


def _checkpoint_reader(
    read: Callable[[memoryview, dict[str, Any], Budget], Any],
) -> Callable[[memoryview, Budget], StyleGANWeights]:
    """Return a reader of checkpoints in one of torch's containers."""

    def read_whole(data: memoryview, budget: Budget) -> StyleGANWeights:
        allowed = {
            **plain_globals(budget),
            **checkpoint_globals(),
            **numpy_globals(),
            **tensor_globals(),
            **storage_globals(),
        }
        content = read(data, allowed, budget)
        check_nesting(content)
        _entry(content, "g_ema", dict)
        return read_checkpoint(content, budget)

    return read_whole


def _entry(content: Any, name: str, kind: type) -> Any:
    """Return the generator of a file that is a dict of networks."""
    entry = content.get(name) if isinstance(content, dict) else None
    if not isinstance(entry, kind):
        is_dict = isinstance(content, dict)
        keys = [str(key)[:30] for key in list(content)[:8]] if is_dict else []
        got = (
            f"a dict of {keys}"
            if is_dict
            else f"an object of type {type(content).__name__}"
        )
        msg = f"holds no generator under {name!r} but {got}"
        raise Refusal(msg)
    return entry


_READERS: dict[str, Callable[[memoryview, Budget], StyleGANWeights]] = {
    "pickle": _read_pickle,
    "torch_legacy": _checkpoint_reader(read_legacy),
    "torch_zip": _checkpoint_reader(read_zip),
}
