"""The settings of a picture, within its PNG file.

They are one text chunk, `clip2latent`, of JSON: prompt, negative, seed, number of the
picture, sampling, edits, digests of the models, version. What is read is somebody's
file: bounded, checked, and none of its pixels are decoded.
"""

import io
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
from PIL import Image, PngImagePlugin

from clip2latent_kedro.errors import InputError

KEYWORD = "clip2latent"
MOST_BYTES = 32 * 2**20  # of a file that is read
MOST_CHUNKS = 10_000
MOST_TEXT = 64 * 2**10  # bytes of the settings

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT_KINDS = (b"iTXt", b"tEXt", b"zTXt")


def write_png(picture: np.ndarray, settings: Mapping[str, Any]) -> bytes:
    """Return a PNG file of a picture, with its settings.

    Args:
        picture: uint8 [h, w, 3].
        settings: As JSON has them; at most `MOST_TEXT` bytes of it.

    Raises:
        InputError: If it is no such picture, or settings are no JSON or too long.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        shape = list(picture.shape)
        msg = f"A picture must be uint8 [h, w, 3], got {picture.dtype} {shape}."
        raise InputError(msg)
    try:
        text = json.dumps(dict(settings), allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"The settings of a picture must be plain JSON, got others ({error})."
        raise InputError(msg) from error
    if size > MOST_TEXT:
        msg = (
            f"The settings of a picture must be at most {MOST_TEXT} bytes, got {size}. "
            f"Shorten its texts."
        )
        raise InputError(msg)
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt(KEYWORD, text)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def read_png_settings(content: bytes) -> dict[str, Any]:
    """Return the settings that `write_png` has put into a PNG file.

    A program that has stored the picture again may have changed the kind of the text;
    all three kinds of PNG are read. The first text of the name counts.

    Args:
        content: The file, of at most `MOST_BYTES`.

    Raises:
        InputError: If it is no PNG, is damaged, too large or holds no such settings.
    """
    if len(content) > MOST_BYTES:
        msg = (
            f"A PNG with settings must be at most {MOST_BYTES // 2**20} MiB, got "
            f"{len(content) / 2**20:.1f} MiB."
        )
        raise InputError(msg)
    if not content.startswith(_SIGNATURE):
        msg = "A picture with settings must be a PNG file, got another kind of file."
        raise InputError(msg)
    for kind, data in _chunks(content):
        if kind in _TEXT_KINDS and data.startswith(KEYWORD.encode() + b"\0"):
            return _parse(_text_of(kind, data))
    msg = (
        "The PNG must hold the settings of a picture, got none. Give one that was "
        "stored here and has not been changed since."
    )
    raise InputError(msg)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and data of each chunk (PNG specification, Section 5.3)."""
    place = len(_SIGNATURE)
    for _ in range(MOST_CHUNKS):
        if place + 12 > len(content):
            _refuse("it ends too early")
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 8 + length
        if end + 4 > len(content):
            _refuse("it ends too early")
        data = content[place + 8 : end]
        if kind in _TEXT_KINDS:
            (told,) = struct.unpack_from(">I", content, end)
            if zlib.crc32(data, zlib.crc32(kind)) != told:
                _refuse("the checksum of a text is wrong")
        yield kind, data
        if kind == b"IEND":
            return
        place = end + 4
    _refuse(f"it has more than {MOST_CHUNKS} chunks")


def _text_of(kind: bytes, data: bytes) -> str:
    """Return the text of a chunk (PNG specification, Section 11.3.3)."""
    _, _, rest = data.partition(b"\0")
    is_packed = kind == b"zTXt"
    if kind == b"iTXt":
        if len(rest) < 2:
            _refuse("a text is cut off")
        is_packed, rest = bool(rest[0]), rest[2:]
        *_, rest = rest.split(b"\0", 2)  # after the language and the keyword in it
    elif is_packed:
        rest = rest[1:]  # after the method, which is always zlib
    if is_packed:
        rest = _unpack(rest)
    if len(rest) > MOST_TEXT:
        _refuse(f"its settings are longer than {MOST_TEXT} bytes")
    try:
        return rest.decode("utf-8" if kind == b"iTXt" else "latin-1")
    except UnicodeDecodeError:
        _refuse("its settings are no UTF-8")


def _unpack(packed: bytes) -> bytes:
    """Return what zlib has packed, or a little more than is allowed of it."""
    unpacker = zlib.decompressobj()
    try:
        return unpacker.decompress(packed, MOST_TEXT + 1)
    except zlib.error:
        _refuse("a packed text is damaged")


def _parse(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        _refuse("its settings are no JSON")
    if not isinstance(settings, dict):
        _refuse("its settings are no JSON object")
    return settings


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


def _refuse(reason: str) -> NoReturn:
    msg = f"The PNG cannot be read: {reason}. Give it as it was stored."
    raise InputError(msg)
