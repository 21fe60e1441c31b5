import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference.png_settings import (
    KEYWORD,
    MOST_BYTES,
    MOST_TEXT,
    read_png_settings,
    write_png,
)

PICTURE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
SETTINGS = {
    "prompt": 'a "man", smiling: #1\n\\ ünïcödé 老人 😀',
    "seed": 2**63 + 1,
    "sampling": {"guidance_scale": 2.5, "psi": None, "through": True},
    "edits": [{"name": "smile", "strength": -1.5}],
}


def store(text, **options):
    """Return a PNG whose settings are any text, stored by Pillow."""
    chunks = PngImagePlugin.PngInfo()
    add = chunks.add_text if options.pop("plain", False) else chunks.add_itxt
    add(KEYWORD, text, **options)
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def test_settings_and_pixels_come_back():
    content = write_png(PICTURE, SETTINGS)
    assert read_png_settings(content) == SETTINGS
    with Image.open(io.BytesIO(content)) as stored:
        np.testing.assert_array_equal(np.array(stored), PICTURE)


@pytest.mark.parametrize("options", [{}, {"zip": True}, {"plain": True}])
def test_every_kind_of_text_is_read(options):
    assert read_png_settings(store('{"seed": 3}', **options)) == {"seed": 3}


def test_a_packed_plain_text_is_read():
    assert read_png_settings(store('{"seed": 3}', plain=True, zip=True)) == {"seed": 3}


def test_the_picture_stored_again_by_pillow_keeps_its_settings():
    with Image.open(io.BytesIO(write_png(PICTURE, {"seed": 3}))) as stored:
        chunks = PngImagePlugin.PngInfo()
        for name, text in stored.text.items():
            chunks.add_text(name, str(text))
        buffer = io.BytesIO()
        stored.save(buffer, format="PNG", pnginfo=chunks)
    assert read_png_settings(buffer.getvalue()) == {"seed": 3}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1]", "no JSON object"),
        ("{", "no JSON"),
        ('{"seed": NaN}', "no JSON"),
        ("[" * 60_000, "no JSON"),
        ('{"seed": ' + "9" * 5000 + "}", "no JSON"),
        ('{"a": "' + "x" * MOST_TEXT + '"}', "longer than"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_settings_is_refused_in_a_sentence(text, reason, packed):
    content = store(text, zip=packed)
    with pytest.raises(InputError, match=reason):
        read_png_settings(content)


def test_a_packed_text_is_not_unpacked_beyond_the_bound():
    packed = zlib.compress(b"x" * 2**27)
    data = KEYWORD.encode() + b"\0\0" + packed
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + data))
    plain = write_png(PICTURE, {})
    with pytest.raises(InputError, match="longer than"):
        read_png_settings(plain[:33] + chunk + plain[33:])


@pytest.mark.parametrize("length", range(0, 200, 7))
def test_a_file_that_is_cut_off_is_refused(length):
    content = write_png(PICTURE, SETTINGS)
    with pytest.raises(InputError, match=r"ends too early|another kind"):
        read_png_settings(content[:length])


def test_a_changed_text_is_refused():
    content = write_png(PICTURE, SETTINGS).replace(b"smile", b"frown")
    with pytest.raises(InputError, match="checksum"):
        read_png_settings(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "another kind"),
        (b"GIF89a", "another kind"),
        (b"\0" * (MOST_BYTES + 1), "at most 32 MiB"),
    ],
)
def test_another_file_is_refused(content, reason):
    with pytest.raises(InputError, match=reason):
        read_png_settings(content)


def test_a_png_without_settings_is_refused():
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, format="PNG")
    with pytest.raises(InputError, match="got none"):
        read_png_settings(buffer.getvalue())


def test_many_chunks_are_not_walked_through():
    empty = struct.pack(">I4s", 0, b"abCd") + struct.pack(">I", zlib.crc32(b"abCd"))
    plain = write_png(PICTURE, {})
    with pytest.raises(InputError, match="more than 10000 chunks"):
        read_png_settings(plain[:33] + empty * 20_000 + plain[33:])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"a": float("nan")}, "plain JSON"),
        ({"a": object()}, "plain JSON"),
        ({"a": "x" * MOST_TEXT}, "at most"),
        ({"a": "\ud800"}, "plain JSON"),
    ],
)
def test_settings_that_cannot_be_stored_are_refused(settings, reason):
    with pytest.raises(InputError, match=reason):
        write_png(PICTURE, settings)


@pytest.mark.parametrize(
    "picture", [PICTURE.astype(float), PICTURE[..., :1], PICTURE[0]]
)
def test_another_array_is_refused(picture):
    with pytest.raises(InputError, match="uint8"):
        write_png(picture, {})
