"""Reads a generator's file of any known format, executing nothing of it."""

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
from clip2latent_kedro.generators.files.torch_files import nested_storage_global
from clip2latent_kedro.generators.files.torch_tensors import tensor_globals
from clip2latent_kedro.generators.files.unpickling import (
    Budget,
    Instance,
    Machine,
    check_nesting,
)
from clip2latent_kedro.generators.files.untrusted import (
    file_format,
    read_torch_object,
    read_untrusted,
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
    expected = (
        "a StyleGAN2 or StyleGAN3 file as NVIDIA's or rosinality's programs write it"
    )
    return read_untrusted(path, _read, expected=expected)


def _read(data: memoryview, budget: Budget) -> StyleGANWeights:
    """Return the generator in a file of either kind."""
    return _READERS[file_format(data)](data, budget)


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


def _read_torch(data: memoryview, budget: Budget) -> StyleGANWeights:
    """Return the generator of a checkpoint in one of torch's containers."""
    content = read_torch_object(data, budget, checkpoint_globals())
    _entry(content, "g_ema", dict)
    return read_checkpoint(content, budget)


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
    "torch_legacy": _read_torch,
    "torch_zip": _read_torch,
}
