"""What is no generator's file, or not all of one, is refused for what it is."""

import io
import pickle
import zipfile

import pytest
import torch
from generators.hostile import refuses
from generators.snapshots import (
    make_stylegan2,
    write_nvidia,
    write_rosinality,
    write_tensorflow,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files import read_stylegan_file

pytestmark = pytest.mark.usefixtures("nothing_happens")


@pytest.mark.parametrize("part", [0, 1, 5, 14, 15, 100, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("write", [write_nvidia, write_tensorflow, write_rosinality])
def test_a_truncated_file_is_refused(tmp_path, write, part):
    content = write(make_stylegan2(z_dim=10), tmp_path / "g").read_bytes()
    num = part if isinstance(part, int) else int(part * len(content))
    refuses(content[:num], "is refused because it", tmp_path)


def archive(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


PICKLE = pickle.dumps({"g_ema": {}}, protocol=2)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is a PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "is a JPEG picture"),
        (b"\x1f\x8b\x08" + bytes(100), "is a gzip archive"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"hello, world\n", "is no pickle but text"),
        (b"cos\nsystem\n(S'touch hacked'\ntR.", "is no pickle but text"),
        (bytes(1000), "is no pickle but something else"),
        (b"PK\x03\x04" + bytes(100), "zip archive without its end"),
        (archive({"a.txt": b"a"}), "without the one data.pkl"),
        (archive({"a/data.pkl": PICKLE, "b/data.pkl": PICKLE}), "without the one data"),
        (archive({"a/data.pkl": PICKLE}, zipfile.ZIP_DEFLATED), "is compressed"),
        (archive({"a/data.pkl": PICKLE}), "holds no state dict in g_ema"),
        (archive({"a/data.pkl": PICKLE, "a/byteorder": b"big"}), "big-endian"),
        (archive({"a/data.pkl": PICKLE})[:-30], "cut off|without its end"),
        (pickle.dumps([1, 2]), "under 'G_ema' or 'g_ema' but a list"),
        (pickle.dumps({"state": 1}), r"a dict of \['state'\]"),
        (pickle.dumps({"G_ema": {"a": 1}}), "holds no generator under 'G_ema' or"),
    ],
)
def test_another_file_is_refused_for_what_it_is(tmp_path, content, match):
    refuses(content, match, tmp_path)


def test_a_zip_that_claims_too_much_is_refused(tmp_path):
    whole = bytearray(archive({"a/data.pkl": PICKLE}))
    end = whole.rindex(b"PK\x05\x06")
    many = bytearray(whole)
    many[end + 10 : end + 12] = b"\xff\xff"
    refuses(bytes(many), "zip archive of 65535 members, more than 50000", tmp_path)
    entry = whole.rindex(b"PK\x01\x02")
    large = bytearray(whole)
    large[entry + 20 : entry + 28] = b"\xf0\xff\xff\xff" * 2
    refuses(bytes(large), "is cut off", tmp_path)


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "c.pt"
    torch.save({"model": {"weight": torch.zeros(3)}}, path)
    with pytest.raises(InputError, match=r"or 'g_ema' but a dict of \['model'\]"):
        read_stylegan_file(path)
    torch.save({"g_ema": {"convs.weight": torch.zeros(3)}}, path)
    with pytest.raises(InputError, match=r"tensor 'convs\.weight', which"):
        read_stylegan_file(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"expected at .*nowhere\.pkl"):
        read_stylegan_file(tmp_path / "nowhere.pkl")
