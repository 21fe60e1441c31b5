"""Work for engines, in a module that other processes import."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from clip2latent_kedro.errors import InputError


def prepare(device):
    return device, torch.get_num_threads()


def tell(ready, case):
    return case, *ready, os.getpid()


def add(ready, case):
    return case + 1


def slow_first(ready, case):
    time.sleep(1.0 if case == 0 else 0.0)
    return case


def refuse(ready, case):
    msg = f"case must not be {case}. Take another."
    raise InputError(msg)


def refuse_device(device):
    msg = f"{device} is not there. Take another."
    raise InputError(msg)


def die_once(ready, case):
    """Kill the own process at the case that has a file, which goes with it."""
    number, file = case
    if file is not None and Path(file).exists():
        Path(file).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(ready, case):
    os.kill(os.getpid(), signal.SIGKILL)


def make_large(ready, case):
    return torch.zeros(1_000_000) + case[0]


class UnreadableError(Exception):
    def __init__(self, first, second):
        super().__init__(first)


def raise_unreadable(ready, case):
    raise UnreadableError(1, 2)


@dataclass
class DyingGenerator:
    """A generator whose process is killed once, at the synthesis that finds a file."""

    own: object
    file: Path

    def __getattr__(self, name):
        if name in ("own", "file"):  # while it is being unpickled
            raise AttributeError(name)
        return getattr(self.own, name)

    def to(self, device):
        self.own.to(device)
        return self

    def synthesis(self, w, **options):
        if self.file.exists():
            self.file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.own.synthesis(w, **options)


def compute_or_die(part):
    if isinstance(part, str):
        msg = f"{part} is no number."
        raise InputError(msg)
    return {"x": np.array([part])}, {}


@dataclass
class Dying:
    """What computes a variant, and kills its process once, if a file is there."""

    file: Path

    def __call__(self, part):
        if self.file.exists():
            self.file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return compute_or_die(part)
