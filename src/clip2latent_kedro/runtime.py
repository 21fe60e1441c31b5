"""Device, seeds and the description of the machine that a run used."""

import hashlib
import os
import platform
import re
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from clip2latent_kedro.errors import InputError

Precision = Literal["float32", "bfloat16", "float16"]
AskedPrecision = Literal["auto", "float32", "bfloat16", "float16"]


def pick_device(name: str = "auto") -> str:
    """Return `name`, or the best device there is for `auto`.

    Raises:
        InputError: If the device is unknown or not on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = re.fullmatch(r"cpu|cuda(?::(\d+))?", name)
    if kind is None:
        msg = (
            f"device must be auto, cpu, cuda or cuda:N, got {name!r}. Use auto for the "
            f"best that this machine has."
        )
        raise InputError(msg)
    num_found = torch.cuda.device_count()
    if name != "cpu" and int(kind.group(1) or 0) >= num_found:
        msg = (
            f"device is {name!r}, but {num_found} CUDA devices were found on this "
            f"machine. Use device: auto or cpu."
        )
        raise InputError(msg)
    return name


def choose_precision(precision: AskedPrecision, device: str) -> Precision:
    """Return a precision, for `auto` the fastest that trains as float32 does.

    It is bfloat16 where the device has instructions for it: recent GPUs, and processors
    with AVX512-BF16, where it halves the time or better. Others imitate it slowly.
    """
    if precision != "auto":
        return precision
    if torch.device(device).type == "cuda":
        is_fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        is_fast = torch.cpu._is_avx512_bf16_supported()
    return "bfloat16" if is_fast else "float32"


def arithmetic(precision: Precision, device: str) -> AbstractContextManager[Any]:
    """Return the context in which networks compute in a precision.

    Weights stay as they are; sums that half precision would spoil stay in float32.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, getattr(torch, precision))


def check_compiler(setting: str, device: str) -> None:
    """Check that this machine can compile networks.

    Args:
        setting: What asks for it, for the message.
        device: Where the network is to run.

    Raises:
        InputError: If there is no compiler; building would fail late and at length.
    """
    on_cpu = torch.device(device).type == "cpu"
    if on_cpu:  # the choice of torch's own compiler, inductor
        default = "clang++" if sys.platform == "darwin" else "g++"
        compilers = [os.environ.get("CXX", default)]
    else:  # that of triton
        compilers = [os.environ.get("CC", name) for name in ("gcc", "clang")]
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    lacking = ""
    if not any(map(shutil.which, compilers)):
        lacking = f"the compiler {' or '.join(dict.fromkeys(compilers))}"
    elif not headers.is_file():
        lacking = f"Python's headers ({headers})"
    elif not on_cpu and find_spec("triton") is None:
        lacking = "the package triton"
    if lacking:
        msg = (
            f"{setting} must be false on a machine without {lacking}, got true. "
            f"Install it, or set {setting} to false."
        )
        raise InputError(msg)


def derive_seed(seed: int, *path: int | str) -> int:
    """Return a seed for one purpose, independent of every other path.

    Args:
        seed: The run's seed.
        path: What it is for, such as `("embedding_noise", 17)`.
    """
    text = ":".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def make_generator(seed: int, *path: int | str, device: str = "cpu") -> torch.Generator:
    """Return a `torch.Generator` seeded for one purpose (see `derive_seed`)."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *path))


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Seed what initialises weights, and put the global generator back afterwards."""
    state = torch.get_rng_state()
    torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
    try:
        yield
    finally:
        torch.set_rng_state(state)


class Stopwatch:
    """Measures how long a training takes, over all of its runs, but for its pauses."""

    def __init__(self, before: float | None = 0.0) -> None:
        """Start, with the time that the steps before took; None if it is not known."""
        self._before = before
        self._began: float | None = time.perf_counter()  # None during a pause

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what is no training: validation, and the storing of states."""
        self._before, self._began = self.seconds, None
        try:
            yield
        finally:
            self._began = time.perf_counter()

    @property
    def seconds(self) -> float | None:
        """Time so far; None if that of the first steps is not known."""
        if self._before is None or self._began is None:
            return self._before
        return self._before + time.perf_counter() - self._began


def is_known_failure(error: Exception) -> bool:
    """Return whether settings, numbers or memory are at fault, rather than the code.

    Args:
        error: What came of a computation.
    """
    known = (
        InputError,
        ArithmeticError,
        MemoryError,
        np.linalg.LinAlgError,
        torch.linalg.LinAlgError,  # type: ignore[attr-defined]
        torch.OutOfMemoryError,
    )
    return isinstance(error, known) or is_out_of_memory(error)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out."""
    # On a CPU, torch has no error of its own for that.
    known = MemoryError, torch.OutOfMemoryError
    return isinstance(error, known) or "can't allocate memory" in str(error)


def describe_machine() -> dict[str, Any]:
    """Return what a timing depends on: processor, cores, threads, GPU, versions."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
