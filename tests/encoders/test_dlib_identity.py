"""dlib's network in torch: on files in dlib's format, and beside dlib itself."""

import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from world import seeded

from clip2latent_kedro.downloads import fetch
from clip2latent_kedro.downloads.packages import package_folder
from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.encoders.dlib_files import read_dlib
from clip2latent_kedro.encoders.dlib_identity import (
    DlibIdentityOptions,
    DlibResNet,
    crop_face,
)
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.interfaces import Encoder

FILE = "dlib_face_recognition_resnet_model_v1.dat"
ADDRESS = f"package://face_recognition_models/models/{FILE}"


def number(value):
    size = max((value.bit_length() + 7) // 8, 1)
    return bytes([size]) + value.to_bytes(size, "little")


def layer(name, values, *counts):
    """What dlib writes of a layer: name, counts, tensor; and more, here of no use."""
    raw = np.asarray(values, "<f4").tobytes()
    sizes = b"".join(map(number, (2, len(values), 1, 1, 1)))
    head = number(len(name)) + name.encode() + b"".join(map(number, counts))
    return number(1) + head + sizes + raw + number(7) * 3


def dlib_file(path, state):
    """Write a state dict of `DlibResNet` as dlib would, with factors of its own."""
    random = seeded()
    parts = [number(1) + number(14) + b"loss_metric_2"]
    names = [k.removesuffix(".weight") for k in state if k.endswith(".weight")]
    for name in names[:-1]:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        factor = torch.rand(len(bias), generator=random) + 0.5
        shift = torch.randn(len(bias), generator=random) * 0.1
        raw = (weight / factor[:, None, None, None]).flatten()
        parts += [
            layer("con_4", torch.cat([raw, (bias - shift) / factor])),
            layer("affine_", torch.cat([factor, shift])),
        ]
    parts.append(layer("fc_2", state["output.weight"].T.flatten(), 128, 256))
    path.write_bytes(b"".join(parts))
    return path


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return DlibResNet().eval()


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    return dlib_file(tmp_path_factory.mktemp("dlib") / FILE, network.state_dict())


def test_batch_norms_come_into_the_convolutions(network, file):
    encoder = load_encoder("dlib_identity", file, {})
    assert isinstance(encoder, Encoder)
    image = torch.rand(2, 3, 150, 150, generator=seeded()) * 2 - 1
    means = torch.tensor([122.782, 117.001, 104.298])[:, None, None]
    with torch.no_grad():
        expected = network(((image + 1) * 127.5 - means) / 256)
    torch.testing.assert_close(encoder.encode_image(image), expected)
    assert encoder.encode_image(image[:0]).shape == (0, 128)


def test_the_square_and_the_mean_are_options(file, tmp_path):
    plain = load_encoder("dlib_identity", file, {})
    mean = torch.randn(128, generator=seeded(1))
    save_file({"mean": mean}, tmp_path / "mean.safetensors")
    options = {"top": 0.25, "left": 0.5, "side": 0.5}
    given = options | {"mean": str(tmp_path / "mean.safetensors")}
    encoder = load_encoder("dlib_identity", file, given)
    image = torch.rand(2, 3, 40, 40, generator=seeded()) * 2 - 1
    expected = plain.encode_image(image[..., 10:30, 20:40]) - mean
    torch.testing.assert_close(encoder.encode_image(image), expected)
    others = [load_encoder("dlib_identity", file, each) for each in ({}, options)]
    assert len({each.identity for each in [plain, encoder, *others]}) == 3


def test_gradients_reach_the_pictures(file):
    encoder = load_encoder("dlib_identity", file, {})
    image = torch.zeros(1, 3, 64, 64, requires_grad=True)
    encoder.encode_image(image).square().sum().backward()
    assert image.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0.5}, r"options\.top must be at most 1 - side, which is 0, got 0\.5"),
        ({"side": 0}, r"options\.side must be .*above 0"),
        ({"crop": 1}, r"options\.crop is not a parameter"),
        ({"mean": "nowhere"}, "nowhere is expected to be a file"),
    ],
)
def test_wrong_options_are_named(options, message, file):
    with pytest.raises(InputError, match=message):
        load_encoder("dlib_identity", file, options)


def test_a_mean_of_another_size_is_refused(file, tmp_path):
    save_file({"mean": torch.ones(3)}, tmp_path / "mean.safetensors")
    with pytest.raises(InputError, match=r"mean of 128 finite numbers, got .*\[3\]"):
        load_encoder(
            "dlib_identity", file, {"mean": str(tmp_path / "mean.safetensors")}
        )


def test_texts_are_refused(file):
    with pytest.raises(InputError, match="takes pictures and no text"):
        load_encoder("dlib_identity", file, {}).encode_text(["a man"])


def test_layers_are_read_in_order(tmp_path):
    path = tmp_path / "net.dat"
    path.write_bytes(layer("con_4", [1, 2, 3]) + layer("fc_2", [4.5] * 300, 30, 10))
    (first, values), (last, more) = read_dlib(path, expected="a network")
    assert (first, last) == ("con", "fc")
    assert values.tolist() == [1, 2, 3]
    assert more.tolist() == [4.5] * 300


def cut(content):
    return content[:-18]


def with_nan(content):
    return content.replace(struct.pack("<f", 2), struct.pack("<f", np.nan))


def with_size(size):
    return lambda content: content.replace(number(2) + number(3), number(2) + size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut, "ends within the tensor at byte"),
        (with_nan, "has numbers that are not finite"),
        (with_size(number(2**40)), "there is no tensor at byte"),
        (with_size(b"\xff"), "there is no number at byte"),
        (with_size(number(0)), "there is no tensor at byte"),
        (lambda content: b"no network", "no layer is in it"),
    ],
)
def test_damaged_files_are_refused(change, message, tmp_path):
    path = tmp_path / "net.dat"
    path.write_bytes(change(layer("con_4", [1, 2, 3]) + b"\x01" * 10))
    with pytest.raises(InputError, match=message):
        read_dlib(path, expected="a network")


def test_a_square_at_the_edge_has_a_pixel():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    corner = DlibIdentityOptions(top=0.99, left=0.99, side=0.01)
    assert crop_face(image, corner).tolist() == [[[[15.0]]]]
    middle = DlibIdentityOptions(top=0.25, left=0.5, side=0.5)
    assert crop_face(image, middle).tolist() == [[[[6.0, 7.0], [10.0, 11.0]]]]


def test_layers_of_other_kinds_are_passed_over(tmp_path):
    path = tmp_path / "net.dat"
    other = layer("fc_no_bias_2", [1.0, 2.0], 1, 2)
    path.write_bytes(other + layer("con_4", [1, 2, 3]))
    ((kind, values),) = read_dlib(path, expected="a network")
    assert (kind, values.tolist()) == ("con", [1, 2, 3])


def test_other_networks_are_refused(tmp_path):
    path = tmp_path / "net.dat"
    path.write_bytes(layer("con_4", [1, 2, 3]))
    with pytest.raises(InputError, match=r"of 29 convolutions, but has 1 layers"):
        load_encoder("dlib_identity", path, {})
    with pytest.raises(MissingError, match="where there is no file"):
        load_encoder("dlib_identity", tmp_path / "none", {})


@pytest.mark.skipif(
    package_folder("face_recognition_models") is None, reason="needs the extra faces"
)
def test_embeddings_are_dlibs():
    dlib = pytest.importorskip("dlib")
    path = fetch(ADDRESS)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3), np.uint8)
    pixels[1] = np.linspace(0, 255, 150)[:, None, None]
    model = dlib.face_recognition_model_v1(str(path))
    expected = np.array(model.compute_face_descriptor(list(pixels)))
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    found = load_encoder("dlib_identity", path, {}).encode_image(image)
    np.testing.assert_allclose(found, expected, atol=1e-5)
