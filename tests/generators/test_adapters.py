"""Generators in this project's own files, and what every kind refuses."""

import hashlib
import json
import logging
from dataclasses import asdict

import pytest
import torch
from generators.networks import make_lafite, make_stylegan2, make_stylegan3
from safetensors.torch import save_file

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import GENERATORS, load_generator
from clip2latent_kedro.generators.adapters import StyleGANGenerator
from clip2latent_kedro.generators.safetensors_files import (
    lafite_weights,
    read_network,
    stylegan2_weights,
)
from clip2latent_kedro.interfaces import Generator, Identity


def whole_weights(network):
    """As files of StyleGAN3 are: nothing in half precision."""
    config = {**asdict(network.config), "kind": "stylegan3"}
    return network.state_dict(), {"config": json.dumps(config)}


KINDS = {
    "stylegan2": (make_stylegan2, stylegan2_weights),
    "stylegan3": (make_stylegan3, whole_weights),
    "lafite": (make_lafite, lafite_weights),
}


def store(network, path, kind, /, **changes):
    weights, metadata = KINDS[kind][1](network)
    config = json.loads(metadata["config"]) | changes
    save_file(weights, path, {"config": json.dumps(config)})
    return path


def halved(kind, name):
    """Whether a tensor is stored in half precision."""
    is_mapping = name.startswith("mapping.")
    return "resample_filter" not in name and (
        kind == "lafite" or (kind == "stylegan2" and not is_mapping)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_network_comes_back(kind, tmp_path):
    make, weights_of = KINDS[kind]
    network, path, contents = make(), tmp_path / "g.safetensors", set()
    for _ in range(4):
        weights, metadata = weights_of(network)
        save_file(weights, path, metadata)
        contents.add(path.read_bytes())
    assert len(contents) == 1  # the identity is the digest of the file
    for asked in (None, kind):
        again = read_network(path, asked)
        assert again.config == network.config
        expected = network.state_dict()
        assert again.state_dict().keys() == expected.keys()
        for name, value in again.state_dict().items():
            kept = expected[name]
            kept = kept.half().float() if halved(kind, name) else kept
            assert torch.equal(value, kept), name
    other = next(other for other in KINDS if other != kind)
    with pytest.raises(InputError, match=rf"must hold a {other}, got a {kind}\. Set k"):
        read_network(path, other)


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("stylegan2", "stylegan2"),
        ("stylegan3", "stylegan3"),
        ("stylegan", "stylegan3"),
    ],
)
def test_a_stored_generator_draws_the_same_pictures(kind, stored, tmp_path):
    path = store(KINDS[stored][0](), tmp_path / "g.safetensors", stored)
    network = read_network(path)
    generator = load_generator(kind, path)
    assert isinstance(generator, Generator)
    assert (generator.num_ws, generator.w_dim) == (6, 10)
    assert (generator.z_dim, generator.resolution) == (6, 16)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert generator.identity == Identity(stored, digest)
    assert torch.equal(generator.w_avg, network.mapping.w_avg)
    z = torch.randn(3, 6)
    with torch.inference_mode():
        for psi in (1.0, 0.25):
            w = network.mapping(z, psi)
            assert torch.equal(generator.mapping(z, psi=psi), w)
        for mode in ("const", "none"):
            made = generator.synthesis(w, noise_mode=mode)
            assert torch.equal(made, network.synthesis(w, mode))


def test_a_class_label_draws_that_class(tmp_path, caplog):
    network = make_stylegan3(c_dim=3)
    path = store(network, tmp_path / "g.safetensors", "stylegan3")
    z = torch.randn(2, 6)
    names = set()
    for label in range(3):
        generator = load_generator("stylegan3", path, {"class_label": label})
        expected = network.mapping(z, c=torch.eye(3)[[label, label]])
        torch.testing.assert_close(generator.mapping(z), expected)
        names.add(str(generator.identity))
    assert len(names) == 3
    assert generator.identity.name == "stylegan3/class-2"
    with caplog.at_level(logging.WARNING):
        generator = load_generator("stylegan3", path)
    assert "knows 3 classes and draws none" in caplog.text
    expected = network.mapping(z, c=torch.zeros(2, 3))
    torch.testing.assert_close(generator.mapping(z), expected)


@pytest.mark.parametrize(
    ("label", "c_dim", "match"),
    [
        *((label, 3, r"a whole .* 0 to 2, got") for label in (3, -1, True, "cat")),
        (0, 0, "left out .* got 0"),
    ],
)
def test_a_class_that_is_not_there_is_refused(label, c_dim, match):
    with pytest.raises(InputError, match=f"class_label must be {match}"):
        StyleGANGenerator(make_stylegan3(c_dim=c_dim), Identity("g", ""), label)


def test_pictures_have_three_channels():
    grey = StyleGANGenerator(make_stylegan2(img_channels=1), Identity("grey", ""))
    image = grey.synthesis(grey.mapping(torch.randn(2, 6)))
    assert image.shape == (2, 3, 16, 16)
    torch.testing.assert_close(image[:, :1].expand_as(image), image)
    with pytest.raises(InputError, match=r"1 or 3 channels, got 4"):
        StyleGANGenerator(make_stylegan2(img_channels=4), Identity("rgba", ""))


@pytest.mark.parametrize("kind", GENERATORS)
def test_every_kind_refuses_what_it_cannot_read(kind, tmp_path):
    save_file({"strange": torch.zeros(2)}, tmp_path / "other")
    (tmp_path / "text").write_text("no weights at all")
    (tmp_path / "empty").touch()
    for name, match in (
        ("other", "must (hold|be) a"),
        ("text", "is no pickle but text|a whole safetensors file"),
        ("empty", "is empty|a whole safetensors file"),
        ("nowhere", r"expected at .*nowhere"),
    ):
        with pytest.raises(InputError, match=match):
            load_generator(kind, tmp_path / name)
    with pytest.raises(InputError, match="expected at None, where there is no file"):
        load_generator(kind)
    with pytest.raises(InputError, match="strange"):
        load_generator(kind, tmp_path / "other", {"strange": 1})


def test_an_unknown_kind_lists_those_that_are_known():
    with pytest.raises(InputError, match=r"must be one of .*stylegan2, stylegan3"):
        load_generator("stylegan9")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"kind": "stylegan9"}, "got .*stylegan9"),
        ({"kind": "stylegan2"}, "is not a"),
        ({"strange": 1}, "strange is not a"),
        ({"img_resolution": 32}, "size mismatch|key"),
    ],
)
def test_weights_of_another_architecture_are_refused(tmp_path, changes, match):
    path = tmp_path / "g.safetensors"
    store(make_stylegan3(), path, "stylegan3", **changes)
    with pytest.raises(InputError, match=f"must be a safetensors file .*{match}"):
        read_network(path)


def test_a_tensor_that_is_missing_is_named(tmp_path):
    weights, metadata = stylegan2_weights(make_stylegan2())
    del weights["synthesis.b8.conv0.bias"]
    save_file(weights, tmp_path / "damaged.safetensors", metadata)
    with pytest.raises(InputError, match=r"synthesis\.b8\.conv0\.bias"):
        read_network(tmp_path / "damaged.safetensors")
