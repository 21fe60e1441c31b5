from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features

from clip2latent_kedro.api.inputs import as_queries
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import (
    image_to_uint8,
    is_picture,
    read_image,
    read_picture,
    uint8_to_image,
)
from clip2latent_kedro.inference import read_query

COLOURS = np.array(  # [4, 4, 3], no two alike
    [
        [[16 * row, 16 * column, 255 - 32 * row] for column in range(4)]
        for row in range(4)
    ],
    np.uint8,
)
GREY = COLOURS[..., 0] + COLOURS[..., 1] // 4  # [4, 4]
GREY_16 = GREY.astype(np.uint16) * 257


@pytest.mark.parametrize(
    ("value", "level"), [(-1, 0), (0, 128), (1, 255), (-7, 0), (7, 255)]
)
def test_levels_are_rounded_and_clipped(value, level):
    image = torch.full((2, 3, 4, 5), float(value))
    u8 = image_to_uint8(image)
    assert u8.dtype == np.uint8
    assert u8.shape == (2, 4, 5, 3)
    assert (u8 == level).all()


def test_every_level_survives_the_way_there_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16, 1).repeat(3, axis=4)
    assert (image_to_uint8(uint8_to_image(torch.from_numpy(levels))) == levels).all()


def test_a_picture_is_told_by_its_ending():
    assert is_picture("data/face.PNG")
    assert is_picture("face.jpeg")
    assert not is_picture("a face like face.png but older")
    assert read_query("a face like face.png but older").startswith("a face")


def _grey(levels):
    return np.repeat(levels[..., None], 3, axis=2)


def _i16(order):
    mode = {"<": "I;16", ">": "I;16B"}[order]
    return Image.frombytes(mode, (4, 4), GREY_16.astype(f"{order}u2").tobytes())


def _with_alpha(mode):
    """Half transparent in its first row, opaque elsewhere."""
    alpha = np.full((4, 4), 255, np.uint8)
    alpha[0] = 0
    image = Image.fromarray(GREY if mode == "LA" else COLOURS)
    image.putalpha(Image.fromarray(alpha))
    return image


def _on_white(levels):
    shown = levels.copy()
    shown[0] = 255
    return shown


def _palette(transparent):
    image = Image.fromarray(COLOURS).quantize(16)
    if transparent:
        image.info["transparency"] = image.getpixel((1, 2))
    return image


PALETTE_ON_WHITE = COLOURS.copy()
PALETTE_ON_WHITE[2, 1] = 255
BITS = GREY > 40

MODES = {
    "1": (Image.fromarray(BITS), _grey(BITS.astype(np.uint8) * 255)),
    "L": (Image.fromarray(GREY), _grey(GREY)),
    "LA": (_with_alpha("LA"), _on_white(_grey(GREY))),
    "P": (_palette(transparent=False), COLOURS),
    "P, transparent": (_palette(transparent=True), PALETTE_ON_WHITE),
    "RGB": (Image.fromarray(COLOURS), COLOURS),
    "RGBA": (_with_alpha("RGBA"), _on_white(COLOURS)),
    "RGBa": (_with_alpha("RGBA").convert("RGBa"), _on_white(COLOURS)),
    "CMYK": (Image.fromarray(COLOURS).convert("CMYK"), COLOURS),
    "YCbCr": (Image.fromarray(COLOURS).convert("YCbCr"), COLOURS),
    "HSV": (Image.fromarray(COLOURS).convert("HSV"), COLOURS),
    "I;16": (_i16("<"), _grey(GREY)),
    "I;16B": (_i16(">"), _grey(GREY)),
    "I of 16 bits": (Image.fromarray(GREY_16.astype(np.int32)), _grey(GREY)),
    "I of 8 bits": (Image.fromarray(GREY.astype(np.int32)), _grey(GREY)),
    "F to 1": (Image.fromarray(GREY.astype(np.float32) / 255), _grey(GREY)),
    "F to 255": (Image.fromarray(GREY.astype(np.float32)), _grey(GREY)),
    "F to 65535": (Image.fromarray(GREY_16.astype(np.float32)), _grey(GREY)),
}
ROUNDED = {"YCbCr": 3, "HSV": 6}  # levels that the mode itself loses


def _ways_in(picture, path):
    """What each way in makes of a picture, uint8 [side, side, 3]."""
    queries = as_queries([picture, path, [(picture, 1.0), ("hat", 0.5)]])
    queries = [*queries[:2], queries[2][0][0], read_query(str(path))]
    return [read_picture(picture), *(image_to_uint8(query) for query in queries)]


@pytest.mark.parametrize("name", MODES)
def test_every_mode_is_read_as_what_it_shows(name):
    picture, expected = MODES[name]
    before = np.asarray(picture).copy()
    found = read_picture(picture)
    assert np.abs(found.astype(int) - expected).max() <= ROUNDED.get(name, 0)
    np.testing.assert_array_equal(np.asarray(picture), before)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        *((name, "png") for name in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *((name, "tif") for name in ("L", "RGB", "RGBA", "I;16", "I;16B", "F to 1")),
        ("P, transparent", "png"),
        ("I of 16 bits", "tif"),
        ("CMYK", "tif"),
        ("RGB", "bmp"),
        ("P, transparent", "gif"),
    ],
)
def test_every_way_in_reads_a_file_alike(name, ending, tmp_path):
    picture, expected = MODES[name]
    path = tmp_path / f"face.{ending}"
    picture.save(path)
    for found in _ways_in(Image.open(path), path):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not features.check("webp"), reason="Pillow without WebP")
@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("webp", {"lossless": True}),
        # Of a moving picture the first frame counts.
        ("gif", {"save_all": True, "append_images": [Image.fromarray(COLOURS[::-1])]}),
    ],
)
def test_other_formats_are_read_too(ending, options, tmp_path):
    path = tmp_path / f"face.{ending}"
    Image.fromarray(COLOURS).save(path, **options)
    for found in _ways_in(Image.open(path), path):
        np.testing.assert_array_equal(found, COLOURS)


# How a picture is stored that the orientation turns upright again.
STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.swapaxes(0, 1),
    6: np.rot90,
    7: lambda upright: np.rot90(upright.swapaxes(0, 1), 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("ending", "loss"), [("png", 0), ("jpg", 12)])
def test_a_picture_lies_as_its_camera_says(orientation, ending, loss, tmp_path):
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255] * 3]], np.uint8)
    upright = corners.repeat(8, axis=0).repeat(8, axis=1)
    wide = np.concatenate([np.zeros_like(upright[:, :5]), upright], axis=1)
    wide = np.concatenate([wide, np.zeros_like(upright[:, :6])], axis=1)
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation](wide)))
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"face.{ending}"
    image.save(path, exif=exif, **({"quality": 100, "subsampling": 0} if loss else {}))
    for found in _ways_in(Image.open(path), path):
        assert np.abs(found.astype(int) - upright).max() <= loss


def test_a_deep_picture_is_turned_too(tmp_path):
    exif = Image.Exif()
    exif[274] = 3
    for order in "<>":
        _i16(order).save(tmp_path / "face.png", exif=exif)
        found = read_picture(tmp_path / "face.png")
        np.testing.assert_array_equal(found, _grey(GREY[::-1, ::-1]))


@pytest.mark.parametrize(("top", "left"), [(0, 2), (1, 0), (0, 1), (2, 0)])
def test_of_what_is_not_square_the_middle_is_read(top, left):
    padded = np.pad(COLOURS, ((top, top), (left, left + left % 2), (0, 0)))
    image = uint8_to_image(torch.from_numpy(padded))
    for form in (Image.fromarray(padded), padded, image, image.numpy()):
        np.testing.assert_array_equal(image_to_uint8(read_image(form)), COLOURS)


@pytest.mark.parametrize(("size", "side"), [((1, 7), 1), ((9, 1), 1), ((7, 4), 2)])
def test_one_pixel_is_a_picture_and_one_is_resized_if_wanted(size, side):
    red = read_picture(Image.new("RGB", size, "red"), None if side == 1 else side)
    np.testing.assert_array_equal(red, np.broadcast_to([255, 0, 0], (side, side, 3)))


def test_arrays_and_tensors_are_read_alike():
    image = uint8_to_image(torch.from_numpy(COLOURS))
    chw = COLOURS.transpose(2, 0, 1)
    forms = [
        *(COLOURS, chw, COLOURS[..., ::-1][..., ::-1], Image.fromarray(COLOURS)),
        *(torch.from_numpy(COLOURS), torch.from_numpy(chw.copy())),
        *(image, image.double(), image.clone().requires_grad_()),
        *(image.numpy(), image.numpy().astype(">f8")),
    ]
    for query in [*as_queries(forms), *as_queries(image[None]), *as_queries(chw[None])]:
        assert query.shape == (3, 4, 4)
        torch.testing.assert_close(query, image)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(4, 4), r"must have shape \[3, h, w\].*got \[4, 4\]"),
        (torch.zeros(1, 4, 4), r"got \[1, 4, 4\]"),
        (np.zeros((4, 4, 3)), r"or \[h, w, 3\] in uint8, got \[4, 4, 3\]"),
        (np.zeros((4, 4, 4), np.uint8), r"got \[4, 4, 4\]"),
        (torch.zeros(3, 0, 4), r"got \[3, 0, 4\]"),
        (torch.zeros(3, 4, 4) + 255, r"in \[-1, 1\], got 255 to 255. Scale or clamp"),
        (np.full((3, 4, 4), np.nan), r"in \[-1, 1\], got nan to nan"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), r"uint8, or floats.*torch.int64"),
        (np.zeros((4, 4), np.uint16), "uint8, or floats in .*got uint16"),
        (np.zeros((4, 4, 3), bool), "got bool"),
        (np.array([["a"]], object), "got object"),
        (3, "must be a path, a PIL image, an array or a tensor, got int"),
        (None, "got NoneType"),
        (Image.new("RGB", (0, 3)), "The PIL image must be a picture.*no pixels"),
        (Image.new("I", (2, 2), -1), "values must be from 0 to 65535, got -1 to -1"),
        (Image.new("F", (2, 2), 1e9), "from 0 to 65535, got 1e.09"),
        (Image.new("F", (2, 2), float("nan")), "got nan to nan"),
    ],
)
def test_what_is_no_picture_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        as_queries([given])


def test_a_closed_picture_is_refused(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "face.png")
    with Image.open(tmp_path / "face.png") as picture:
        pass
    with pytest.raises(InputError, match="The PIL image must be a picture"):
        read_picture(picture)


def _bomb():
    """A PNG that says that it has 30,000 x 30,000 pixels."""
    import struct
    import zlib

    size = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + size + struct.pack(">I", zlib.crc32(size))
    return b"\x89PNG\r\n\x1a\n" + chunk


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "cut", "bomb", "empty"])
def test_a_file_that_cannot_be_read_is_named(kind, tmp_path):
    path = tmp_path / "face.png"
    if kind == "folder":
        path.mkdir()
    elif kind == "cut":
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:4000])
    elif kind != "missing":
        path.write_bytes({"text": b"no picture", "bomb": _bomb(), "empty": b""}[kind])
    for read in (read_query, read_picture, lambda place: as_queries([Path(place)])):
        with pytest.raises(InputError, match=r"face\.png must be a picture, but"):
            read(str(path))


def test_a_text_of_the_api_opens_no_file(tmp_path):
    path = tmp_path / "face.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    weighted = [(str(path), 1.0)]
    assert as_queries([str(path), weighted]) == [str(path), weighted]
