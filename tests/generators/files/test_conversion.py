import json
import shutil
from pathlib import Path

import pytest
import torch
from generators.networks import make_lafite, make_stylegan2, randomise
from generators.snapshots import (
    write_lafite,
    write_nvidia,
    write_rosinality,
    write_stylegan3,
    write_tensorflow,
)
from safetensors import safe_open
from safetensors.torch import load_file

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.generators.files import (
    cached_stylegan,
    convert_stylegan,
    read_stylegan_file,
)
from clip2latent_kedro.generators.stylegan3 import StyleGAN3, StyleGAN3Config

EXACT = {"rtol": 0, "atol": 0}


@pytest.fixture
def network():
    return make_stylegan2(z_dim=10)


def small_stylegan3():
    torch.manual_seed(0)
    config = StyleGAN3Config(
        z_dim=4, c_dim=0, w_dim=4, img_resolution=16, channel_base=64, channel_max=4,
        num_layers=3, num_critical=1, margin_size=2,
    )  # fmt: skip
    return randomise(StyleGAN3(config).eval())


@pytest.mark.parametrize(
    "write", [write_nvidia, write_tensorflow, write_rosinality, write_stylegan3]
)
@torch.inference_mode()
def test_a_converted_file_loads_as_the_network_of_its_source(tmp_path, network, write):
    kind = "stylegan3" if write is write_stylegan3 else "stylegan2"
    network = small_stylegan3() if kind == "stylegan3" else network
    source = write(network, tmp_path / "source")
    converted = convert_stylegan(source, tmp_path / "folder" / "g.safetensors")
    assert converted.kind == kind
    generator = load_generator(kind, converted.path)
    z = torch.randn(2, network.config.z_dim)
    w = network.mapping(z, 0.7)
    torch.testing.assert_close(generator.mapping(z, psi=0.7), w, **EXACT)
    image = network.synthesis(w)
    torch.testing.assert_close(generator.synthesis(w), image, **EXACT)


def test_the_file_holds_tensors_architecture_and_source(tmp_path, network):
    source = write_nvidia(network, tmp_path / "source")
    converted = convert_stylegan(source, tmp_path / "g.safetensors")
    weights = read_stylegan_file(source)
    tensors = load_file(converted.path)
    assert tensors.keys() == weights.tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, weights.tensors[name], **EXACT)
    with safe_open(converted.path, framework="pt") as file:
        metadata = file.metadata()
    config = json.loads(metadata["config"])
    assert config == json.loads(json.dumps(dict(weights.config)))
    assert metadata["kind"] == "stylegan2"
    assert metadata["source_sha256"] == converted.source_digest


def test_the_same_source_gives_the_same_bytes(tmp_path, network):
    """safetensors' own writer puts the metadata in a random order."""
    source = write_nvidia(network, tmp_path / "source")
    contents = {
        convert_stylegan(source, tmp_path / f"{index}.st").path.read_bytes()
        for index in range(3)
    }
    assert len(contents) == 1


def identity(path):
    """Which file a path names, as it was written; reading changes nothing of it."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def test_a_cache_converts_once_for_each_content(tmp_path, network):
    cache = tmp_path / "cache"
    source = write_nvidia(network, tmp_path / "a.pkl")
    first = cached_stylegan(source, cache)
    assert list(cache.glob(f"{first.source_digest}_*.safetensors")) == [first.path]
    renamed = shutil.copy(source, tmp_path / "b.pkl")
    other = write_nvidia(make_stylegan2(seed=1), tmp_path / "c.pkl")
    assert cached_stylegan(other, cache).path != first.path
    written = identity(first.path)
    assert cached_stylegan(source, cache) == first
    assert cached_stylegan(Path(renamed), cache) == first
    assert identity(first.path) == written
    source.write_bytes(source.read_bytes() + b"changed")
    assert cached_stylegan(source, cache).path != first.path
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"no safetensors at all", b"\x00" * 100])
def test_a_damaged_cache_is_made_again(tmp_path, network, damage):
    source = write_nvidia(network, tmp_path / "a.pkl")
    first = cached_stylegan(source, tmp_path)
    content = first.path.read_bytes()
    first.path.write_bytes(damage)
    assert cached_stylegan(source, tmp_path) == first
    assert first.path.read_bytes() == content


def test_a_refused_source_leaves_the_target_as_it_was(tmp_path):
    source, target = tmp_path / "a.pkl", tmp_path / "g.safetensors"
    source.write_bytes(b"\x80\x04cos\nsystem\n.")
    target.write_bytes(b"kept")
    with pytest.raises(InputError, match=r"global 'os\.system'"):
        convert_stylegan(source, target)
    assert target.read_bytes() == b"kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pkl", target.name]
    with pytest.raises(InputError, match=r"expected at .*nowhere"):
        cached_stylegan(tmp_path / "nowhere", tmp_path)


@torch.inference_mode()
def test_a_converted_lafite_says_that_it_is_one_and_wants_a_text(tmp_path):
    network = make_lafite()
    source = write_lafite(network, tmp_path / "l.pkl")
    converted = cached_stylegan(source, tmp_path)
    assert converted.kind == "lafite"
    z, text = torch.randn(2, 6), torch.nn.functional.normalize(torch.randn(2, 14))
    for path in (source, converted.path):
        generator = load_generator("lafite", path)
        made = generator.sample(z, text * 3)
        torch.testing.assert_close(made, network(z, text))
    for kind in ("stylegan", "stylegan2"):
        with pytest.raises(InputError, match=r"LAFITE. Read it as kind|got a lafite"):
            load_generator(kind, converted.path)
