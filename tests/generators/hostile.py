"""Parts of hostile files, put together by hand or by pickling calls."""

import io
import pickletools
import struct
from collections import OrderedDict
from itertools import pairwise

import torch
from generators.snapshots import Persistent, dump

from clip2latent_kedro.reading.torch_files import LEGACY_START


class Reduced:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments, state)[: 2 if state is None else 3]

    def __reduce__(self):
        return self.call


def pickled(body, protocol=4):
    return bytes([0x80, protocol]) + body + b"."


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def dumped(make, protocol=4):
    """A case whose object is made and pickled under the original names."""
    return lambda folder: dump(make(), folder / "part", protocol).read_bytes()


def module(parameters=(), modules=()):
    state = {"_parameters": dict(parameters), "_modules": dict(modules), "_buffers": {}}
    return Persistent("Generator", state)


def typed_storage(num):
    """Return the storage of so many numbers, as tensors are pickled with it."""
    return torch.zeros(num)._typed_storage()


def storage_parts():
    """Return the five pickles of a nested storage of six numbers, and its bytes."""
    blob = typed_storage(6).__reduce__()[1][0]
    assert blob.startswith(LEGACY_START)
    return split_pickles(blob)


def split_pickles(blob):
    file, ends = io.BytesIO(blob), [0]
    for _ in range(5):
        assert list(pickletools.genops(file))[-1][0].name == "STOP"
        ends.append(file.tell())
    return [*(blob[a:b] for a, b in pairwise(ends)), blob[ends[-1] :]]


def nested(index, content):
    """A nested storage, one of whose parts is another."""
    parts = storage_parts()
    parts[index] = content
    return Reduced(torch.storage._load_from_bytes, b"".join(parts))


def tensor(storage, sizes=(6,), strides=(1,), offset=0):
    function = torch._utils._rebuild_tensor_v2
    return Reduced(function, storage, offset, sizes, strides, False, OrderedDict())
