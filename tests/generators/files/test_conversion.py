import hashlib
import json
import shutil

import pytest
import torch
from generators.networks import make_lafite, make_stylegan2, make_stylegan3
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

EXACT = {"rtol": 0, "atol": 0}


@pytest.fixture
def network():
    return make_stylegan2(z_dim=10)


@pytest.mark.parametrize(
    "write", [write_nvidia, write_tensorflow, write_rosinality, write_stylegan3]
)
@torch.inference_mode()
def test_a_file_is_converted_beside_it_and_draws_as_its_network(
    tmp_path, network, write
):
    kind = "stylegan3" if write is write_stylegan3 else "stylegan2"
    network = make_stylegan3() if kind == "stylegan3" else network
    source = write(network, tmp_path / "source")
    first = load_generator("stylegan", source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    (converted,) = (tmp_path / "converted").glob(f"{digest}_*.safetensors")
    direct = load_generator(kind, converted)
    assert first.identity == direct.identity
    assert first.identity.name == kind
    z = torch.randn(2, network.config.z_dim)
    w = network.mapping(z, 0.7)
    image = network.synthesis(w)
    for generator in (first, direct):
        torch.testing.assert_close(generator.mapping(z, psi=0.7), w, **EXACT)
        torch.testing.assert_close(generator.synthesis(w), image, **EXACT)


@torch.inference_mode()
def test_a_converted_lafite_says_that_it_is_one_and_wants_a_text(tmp_path):
    network = make_lafite()
    source = write_lafite(network, tmp_path / "l.pkl")
    converted = cached_stylegan(source, tmp_path)
    z, text = torch.randn(2, 6), torch.nn.functional.normalize(torch.randn(2, 14))
    for path in (source, converted):
        generator = load_generator("lafite", path)
        made = generator.sample(z, text * 3)
        torch.testing.assert_close(made, network(z, text))
    for kind in ("stylegan", "stylegan2"):
        with pytest.raises(InputError, match=r"LAFITE. Read it as kind|got a lafite"):
            load_generator(kind, converted)


def test_the_file_holds_tensors_architecture_and_source(tmp_path, network):
    """The same bytes each time: safetensors' own writer shuffles the metadata."""
    source = write_nvidia(network, tmp_path / "source")
    targets = [tmp_path / "folder" / f"{index}.safetensors" for index in range(3)]
    for target in targets:
        convert_stylegan(source, target)
    assert len({target.read_bytes() for target in targets}) == 1
    weights = read_stylegan_file(source)
    tensors = load_file(targets[0])
    assert tensors.keys() == weights.tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, weights.tensors[name], **EXACT)
    with safe_open(targets[0], framework="pt") as file:
        metadata = file.metadata()
    config = json.loads(metadata["config"])
    assert config == json.loads(json.dumps(dict(weights.config)))
    assert metadata["kind"] == "stylegan2"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert metadata["source_sha256"] == digest


def identity(path):
    """Which file a path names, as it was written; reading changes nothing of it."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def test_a_cache_converts_once_for_each_content(tmp_path, network):
    cache = tmp_path / "cache"
    source = write_nvidia(network, tmp_path / "a.pkl")
    first = cached_stylegan(source, cache)
    written = identity(first)
    renamed = shutil.copy(source, tmp_path / "b.pkl")
    for path in (source, renamed):
        load_generator("stylegan", path, {"cache_folder": str(cache)})
        assert list(cache.iterdir()) == [first]
    assert identity(first) == written
    other = write_nvidia(make_stylegan2(seed=1), tmp_path / "c.pkl")
    assert cached_stylegan(other, cache) != first
    source.write_bytes(source.read_bytes() + b"changed")
    assert cached_stylegan(source, cache) != first
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"no safetensors at all", b"\x00" * 100])
def test_a_damaged_cache_is_made_again(tmp_path, network, damage):
    source = write_nvidia(network, tmp_path / "a.pkl")
    first = cached_stylegan(source, tmp_path)
    content = first.read_bytes()
    first.write_bytes(damage)
    assert cached_stylegan(source, tmp_path) == first
    assert first.read_bytes() == content


def test_a_refused_source_or_folder_leaves_the_target_as_it_was(tmp_path, network):
    source, target = tmp_path / "a.pkl", tmp_path / "g.safetensors"
    source.write_bytes(b"\x80\x04cos\nsystem\n.")
    target.write_bytes(b"kept")
    with pytest.raises(InputError, match=r"global 'os\.system'"):
        convert_stylegan(source, target)
    with pytest.raises(InputError, match=r"expected at .*nowhere"):
        cached_stylegan(tmp_path / "nowhere", tmp_path)
    write_nvidia(network, source)
    with pytest.raises(InputError, match=r"cannot be converted into .*g\.safetensors"):
        load_generator("stylegan", source, {"cache_folder": str(target)})
    assert target.read_bytes() == b"kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pkl", target.name]
