"""An array takes no more room than its file has numbers for."""

import io
import zipfile

import numpy as np
import pytest

from clip2latent_kedro.datasets import NpzDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading import array_names, read_npy, read_npz


def header(descr="<f4", shape="(2, 3)", rest=bytes(24)):
    """The bytes of an `.npy` file with such a header."""
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + rest


HOSTILE = [
    (header(shape="(1000000000000,)"), "takes 4000000000000 bytes, and there are 24"),
    (header(shape="(2, -3)"), "takes -24 bytes"),
    (header(shape="(-2, -3)"), r"shape \[-2, -3\]"),
    (header(descr="|O", rest=b"\x80\x04cos\nsystem\n"), "has the dtype object"),
    (header(descr="|V0", shape="(1000000000000,)"), "has the dtype"),
    (header(shape="(" * 400 + ")" * 400), "npy"),
    (header(shape="None"), "npy"),
    (header(descr="<f99"), "npy"),
    (b"\x93NUMPY\x07\x00", "npy"),
    (b"", "npy"),
]


@pytest.mark.parametrize(("content", "match"), HOSTILE)
def test_hostile_headers(content, match, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=match):
        read_npy(path)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(InputError, match=r"must be an \.npz file of plain arrays"):
        read_npz(tmp_path / "a.npz", "a.npz")


def test_honest_files(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.array("text"), "c": np.array([])}
    np.save(tmp_path / "a.npy", arrays["a"])
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), arrays["a"])
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **arrays)
    assert array_names(path) == list(arrays)
    assert read_npz(path, "a", ("b",)) == {"b": "text"}
    for name, array in read_npz(path, "a").items():
        np.testing.assert_array_equal(array, arrays[name])
    for read in (read_npy, array_names, lambda path: read_npz(path, "a", ("d",))):
        with pytest.raises(InputError, match=r"No such file|no array 'd'"):
            read(path if read not in (read_npy, array_names) else tmp_path / "none")


def test_a_bomb_of_zeros_is_refused_unpacked(tmp_path, monkeypatch):
    """Far more than the file's size is refused; below a gigabyte it is welcome."""
    monkeypatch.setattr("clip2latent_kedro.reading.arrays._SPARE_BYTES", 1 << 20)
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as member,
    ):
        member.write(header(descr="|u1", shape="(67108864,)", rest=b""))
        member.write(bytes(1 << 26))
    with pytest.raises(InputError, match=r"it would unpack \d+ bytes to 67108"):
        NpzDataset(filepath=str(path))._from_bytes(path.read_bytes())
    monkeypatch.undo()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.zeros(10**7, np.uint8))
    buffer.seek(0)
    assert read_npz(buffer, "zeros")["a"].shape == (10**7,)
