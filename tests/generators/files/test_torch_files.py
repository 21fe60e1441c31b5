"""Both containers of torch.save give the tensors that torch.load gives."""

import io
import struct
import zipfile

import pytest
import torch

from clip2latent_kedro.reading.pickled_names import plain_names
from clip2latent_kedro.reading.pickles import Budget, Refusal
from clip2latent_kedro.reading.torch_files import (
    STORAGE_NAMES,
    read_legacy,
    read_zip,
    tensor_names,
)
from clip2latent_kedro.reading.zip_archive import read_members

READERS = {"legacy": read_legacy, "zip": read_zip}
DTYPES = ["float16", "bfloat16", "float32", "float64", "int64", "int32", "int16"]


def read(content, kind):
    budget = Budget(num_bytes=10 * len(content))
    names = plain_names(budget) | tensor_names(budget) | STORAGE_NAMES
    return READERS[kind](memoryview(content), names, budget)


def saved(content, kind):
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=kind == "zip")
    return file.getvalue()


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("dtype", [*DTYPES, "int8", "uint8", "bool"])
def test_tensors_of_any_type_and_layout_are_the_same(kind, dtype):
    whole = torch.arange(48).reshape(2, 3, 8).to(getattr(torch, dtype))
    tensors = {
        "whole": whole,
        "turned": whole.permute(2, 0, 1),
        "part": whole[1:, 1:, 2::3],
        "scalar": whole[1, 1, 1],
        "parameter": torch.nn.Parameter(torch.ones(3) * 7),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }
    found = read(saved(tensors, kind), kind)
    for name, tensor in tensors.items():
        read_tensor = found[name].read()
        assert read_tensor.dtype == torch.float32
        assert read_tensor.is_contiguous()
        torch.testing.assert_close(read_tensor, tensor.float(), rtol=0, atol=0)


@pytest.mark.parametrize("kind", READERS)
def test_a_tensor_without_numbers_is_refused(kind):
    found = read(saved({"empty": torch.zeros(0, 3)}, kind), kind)
    with pytest.raises(Refusal, match=r"shape \[0, 3\] without numbers"):
        found["empty"].read()


def test_members_are_those_that_zipfile_reads():
    content = saved({f"t{index}": torch.randn(index) for index in range(20)}, "zip")
    with zipfile.ZipFile(io.BytesIO(content)) as expected:
        names = expected.namelist()
        members = read_members(memoryview(content))
        assert list(members) == names
        assert all(bytes(members[name]) == expected.read(name) for name in names)


def test_an_archive_with_64_bit_ends_is_read_the_same():
    """As it is written for more than 65,535 members or 4 GiB (APPNOTE 4.3.14)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", b"123")
        archive.writestr("a/data/0", bytes(100))
    content = file.getvalue()
    end = content.rindex(b"PK\x05\x06")
    num, size, start = struct.unpack_from("<HII", content, end + 10)
    end_64 = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, num, num, size, start
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    whole = bytearray(content[:end] + end_64 + locator + content[end:])
    at = len(whole) - len(content[end:])
    whole[at + 8 : at + 20] = b"\xff" * 12
    members = read_members(memoryview(whole))
    assert members == read_members(memoryview(content))
    with zipfile.ZipFile(io.BytesIO(whole)) as expected:
        assert list(members) == expected.namelist()
