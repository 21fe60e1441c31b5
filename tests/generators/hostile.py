"""Parts of hostile files, put together by hand or by pickling calls."""

import io
import pickletools
import struct
from itertools import pairwise

import pytest
import torch
from generators.snapshots import Persistent, dump

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files import read_stylegan_file


class Reduced:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def refuses(content, match, tmp_path):
    path = tmp_path / "hostile.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=match) as refusal:
        read_stylegan_file(path)
    sentence = str(refusal.value)
    assert sentence.startswith(str(path))
    assert len(sentence) < 1000


def pickled(body, protocol=4):
    return bytes([0x80, protocol]) + body + b"."


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def generator_with(value):
    return Persistent(
        "Generator", {"_parameters": {"x": value}, "_buffers": {}, "_modules": {}}
    )


def bytes_of(content, tmp_path, protocol=4):
    return dump(content, tmp_path / "part.pkl", protocol).read_bytes()


def typed_storage(num):
    """Return the storage of so many numbers, as tensors are pickled with it."""
    return torch.zeros(num)._typed_storage()


def storage_blob():
    """Return the legacy file that a storage of six numbers is nested as."""
    return typed_storage(6).__reduce__()[1][0]


def split_pickles(blob):
    """Return the five pickles of a legacy file, and the storages behind them."""
    file = io.BytesIO(blob)
    ends = [0]
    for _ in range(5):
        assert list(pickletools.genops(file))[-1][0].name == "STOP"
        ends.append(file.tell())
    return [
        *(blob[a:b] for a, b in pairwise(ends)),
        blob[ends[-1] :],
    ]
