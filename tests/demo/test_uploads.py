import contextlib
import struct
import zlib

import numpy as np
import pytest
from demo.demo_world import plain, store
from PIL import Image

from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.demo.uploads import read_upload
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference.png_settings import write_png

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def read(content, most_side=64, **limits):
    return read_upload(content, Limits(**limits), most_side=most_side)


def test_the_middle_square_is_taken():
    np.testing.assert_array_equal(read(store(NOISE)).picture, NOISE[:, 5:25])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_kinds_are_told_by_content(kind):
    picture = read(store(plain([200, 40, 90]), kind)).picture
    np.testing.assert_allclose(picture.astype(int), plain([200, 40, 90]), atol=6)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO", "PDF"])
def test_other_kinds_are_refused(kind):
    with pytest.raises(InputError, match="must be a picture"):
        read(store(NOISE, kind))


def test_a_large_one_is_made_smaller():
    assert read(store(NOISE), most_side=10).picture.shape == (10, 10, 3)


def test_what_is_transparent_lies_on_white():
    picture = Image.fromarray(NOISE).convert("RGBA")
    picture.putalpha(0)
    assert (read(store(np.array(picture))).picture == 255).all()


def test_settings_inside_are_told():
    assert read(write_png(NOISE, {"seed": 3})).settings == {"seed": 3}
    assert read(store(NOISE)).settings is None


def test_a_file_of_too_many_bytes_is_not_read():
    with pytest.raises(InputError, match=r"at most 0\.00\d+ MiB"):
        read(store(NOISE), upload_bytes=1000)


def test_a_small_file_of_many_pixels_is_not_decoded():
    """The header of a PNG promises 60,000 x 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    content = store(NOISE)
    content = (
        content[:8]
        + struct.pack(">I", 13)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + content[33:]
    )
    with pytest.raises(InputError, match=r"pixels|cannot be read"):
        read(content)


def test_the_pixels_are_bounded():
    with pytest.raises(InputError, match="at most 500 pixels, got 30 x 20"):
        read(store(NOISE), upload_pixels=500)


def test_a_tiny_picture_is_refused():
    with pytest.raises(InputError, match="at least 8 pixels a side"):
        read(store(NOISE[:7]))


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"<svg onload='alert(1)'/>", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(InputError, match="must be a picture"):
        read(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_files_are_refused_or_read_but_break_nothing(kind):
    rng = np.random.default_rng(1)
    whole = np.frombuffer(store(NOISE, kind), np.uint8)
    for _ in range(60):
        damaged = whole.copy()
        places = rng.integers(0, len(whole), 5)
        damaged[places] = rng.integers(0, 256, 5)
        content = damaged[: rng.integers(1, len(whole))].tobytes()
        with contextlib.suppress(InputError):
            assert read(content).picture.dtype == np.uint8
