"""Stored w as people bring them."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from world import ColourGenerator, seeded

from clip2latent_kedro.editing.inversion.latent_files import (
    latent_arrays,
    read_latents,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import StyleLayer
from clip2latent_kedro.latents import Latents


class Styled(ColourGenerator):
    style_layers = (StyleLayer("a", 4, 0), StyleLayer("b", 1, 1, "colours"))

    def styles(self, w):
        return w.flatten(1)[:, :5]

    def synthesis_from_styles(self, styles, *, noise_mode="const"):
        return styles


def draw(*shape):
    return torch.randn(*shape, generator=seeded())


def write_npy(path, w):
    np.save(path, w.numpy())


def write_npz(path, w):
    np.savez(path, w=w.numpy())


def write_pt(path, w):
    torch.save(w, path)


def write_mapping(path, w):
    torch.save({"latent": w, "noise": [], "step": 3}, path)


def write_rosinality(path, w):
    torch.save({"face.png": {"img": draw(3, 4, 4), "latent": w, "noise": []}}, path)


def write_safetensors(path, w):
    save_file({"latents": w, "other": draw(9)}, path)


WRITERS = [
    ("w.npy", write_npy),
    ("projected_w.npz", write_npz),
    ("w.pt", write_pt),
    ("w.pth", write_mapping),
    ("ros.pt", write_rosinality),
    ("w.safetensors", write_safetensors),
]


@pytest.mark.parametrize(("name", "write"), WRITERS, ids=[n for n, _ in WRITERS])
def test_every_format_holds_a_w(tmp_path, name, write):
    w = draw(1, 2, 3)
    write(tmp_path / name, w)
    found = read_latents(tmp_path / name, ColourGenerator())
    assert torch.equal(found.w, w)
    assert found.style_offset is None


@pytest.mark.parametrize(
    ("shape", "rows"),
    [
        ((3,), [[0, 0]]),
        ((2, 3), [[0, 1]]),  # num_ws comes first
        ((1, 3), [[0, 0]]),
        ((4, 3), [[0, 0], [1, 1], [2, 2], [3, 3]]),
        ((2, 1, 3), [[0, 0], [1, 1]]),
        ((2, 2, 3), [[0, 1], [2, 3]]),
    ],
)
def test_every_shape_is_brought_to_all_layers(tmp_path, shape, rows):
    w = draw(*shape)
    np.save(tmp_path / "w.npy", w.double().numpy())
    found = read_latents(str(tmp_path / "w.npy"), ColourGenerator()).w
    assert torch.equal(found, w.reshape(-1, 3)[torch.tensor(rows)])


def test_what_is_written_is_read_back(tmp_path):
    latents = Latents(draw(2, 2, 3), draw(2, 5))
    np.savez_compressed(tmp_path / "w.npz", **latent_arrays(latents), record="{}")
    found = read_latents(tmp_path / "w.npz", Styled())
    assert torch.equal(found.w, latents.w)
    assert torch.equal(found.style_offset, latents.style_offset)
    with pytest.raises(InputError, match=r"must have shape \[2, 0\]"):
        read_latents(tmp_path / "w.npz", ColourGenerator())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.txt", b"", r"ending in .npy, .npz, .pt, .pth, .safetensors, got"),
        ("w.npy", b"nothing", "must be an .npy file of numbers"),
        ("w.npz", b"nothing", "must be an .npz file of plain arrays"),
        ("w.pt", b"nothing", "is no pickle but text"),
        ("w.safetensors", b"nothing", "must be a whole safetensors file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_latents(tmp_path / name, ColourGenerator())


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_latents(tmp_path / "none.npy", ColourGenerator())
    with pytest.raises(InputError, match="A file is expected at"):
        read_latents(tmp_path / "none.pt", ColourGenerator())


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"w": draw(2, 4)}, r"shape \[3\], \[2, 3\], \[n, 3\] or \[n, 2, 3\], got \[2"),
        ({"w": draw(1, 3, 3)}, r"got \[1, 3, 3\]"),
        ({"w": draw(0, 3)}, r"got \[0, 3\]"),
        ({"w": draw(1, 2, 2, 3)}, "got"),
        ({"w": torch.tensor(1.0)}, r"got \[\]"),
        ({"w": draw(3) * torch.nan}, "must be finite numbers"),
        ({"a": draw(3), "b": draw(3)}, "hold one array, or one named w, got a, b."),
        ({"name": np.array(["x"])}, "got none"),
        ({"w": draw(3), "style_offset": draw(1, 4)}, r"must have shape \[1, 5\], the"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "w.npz", **{k: np.asarray(v) for k, v in arrays.items()})
    with pytest.raises(InputError, match=message):
        read_latents(tmp_path / "w.npz", Styled())


def test_nothing_in_a_pickle_is_called(tmp_path):
    class Harmful:
        def __reduce__(self):
            return print, ("harm",)

    torch.save({"w": Harmful()}, tmp_path / "w.pt")
    with pytest.raises(InputError, match="is refused because"):
        read_latents(tmp_path / "w.pt", ColourGenerator())
