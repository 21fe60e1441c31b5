import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.generators.adapters import (
    DecoderGenerator,
    StyleGANGenerator,
    stylegan2_weights,
)
from clip2latent_kedro.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from clip2latent_kedro.generators.stylegan3 import StyleGAN3, StyleGAN3Config
from clip2latent_kedro.interfaces import Generator, Identity

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance"
needs_snapshots = pytest.mark.skipif(
    not CONFORMANCE.is_dir(), reason="the conformance files are not beside the project"
)


@pytest.fixture
def network() -> StyleGAN2:
    torch.manual_seed(0)
    return StyleGAN2(StyleGAN2Config(8, 12, 16, 64, 16, mapping_layers=2)).eval()


def _stylegan3(**changes) -> StyleGAN3:
    torch.manual_seed(0)
    small = {"channel_base": 64, "channel_max": 6, "num_layers": 4}
    sizes = {"z_dim": 8, "c_dim": 0, "w_dim": 12, "img_resolution": 16}
    return StyleGAN3(StyleGAN3Config(**sizes | small | changes)).eval()


def _store(network, path):
    weights, metadata = stylegan2_weights(network)
    save_file(weights, path, metadata)
    return path


def _store_whole(network, path, kind):
    metadata = {"config": json.dumps(asdict(network.config)), "kind": kind}
    save_file(network.state_dict(), path, metadata)
    return path


def test_a_stored_generator_draws_the_same_pictures(network, tmp_path):
    path = _store(network, tmp_path / "generator.safetensors")
    generator = load_generator("stylegan2", path)
    z = torch.randn(3, 8)
    with torch.inference_mode():
        w = network.mapping(z)  # in full precision, unlike the synthesis
        expected = network.half().float().synthesis(w)
        made = generator.synthesis(generator.mapping(z))
    assert isinstance(generator, Generator)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["stylegan3", "stylegan"])
def test_a_stored_stylegan3_draws_the_same_pictures(kind, tmp_path):
    network = _stylegan3()
    path = _store_whole(network, tmp_path / "g.safetensors", "stylegan3")
    generator = load_generator(kind, path)
    z = torch.randn(2, 8)
    with torch.inference_mode():
        expected = network.synthesis(network.mapping(z))
        made = generator.synthesis(generator.mapping(z), noise_mode="random")
    assert isinstance(generator, Generator)
    assert (generator.num_ws, generator.resolution) == (6, 16)
    assert generator.identity.name == "stylegan3"
    assert generator.identity.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    torch.testing.assert_close(made, expected, rtol=0, atol=0)


def test_identity_follows_the_weights(network, tmp_path):
    first = load_generator("stylegan2", _store(network, tmp_path / "a.safetensors"))
    again = load_generator("stylegan2", _store(network, tmp_path / "b.safetensors"))
    with torch.no_grad():
        network.synthesis.b4.const.add_(1)
    other = load_generator("stylegan2", _store(network, tmp_path / "c.safetensors"))
    assert first.identity == again.identity
    assert first.identity != other.identity


def test_psi_moves_w_towards_its_mean(network, tmp_path):
    network.mapping.w_avg.fill_(0.5)
    path = _store(network, tmp_path / "generator.safetensors")
    generator = load_generator("stylegan2", path)
    z = torch.randn(3, 8)
    w = generator.mapping(z)
    torch.testing.assert_close(generator.mapping(z, psi=0.25), 0.5 + 0.25 * (w - 0.5))


def test_a_class_label_draws_that_class(tmp_path):
    network = _stylegan3(c_dim=3)
    path = _store_whole(network, tmp_path / "g.safetensors", "stylegan3")
    z = torch.randn(2, 8)
    names = set()
    for label in range(3):
        generator = load_generator("stylegan3", path, {"class_label": label})
        expected = network.mapping(z, c=torch.eye(3)[[label, label]])
        torch.testing.assert_close(generator.mapping(z), expected)
        names.add(str(generator.identity))
    assert len(names) == 3
    assert generator.identity.name == "stylegan3/class-2"


def test_no_class_label_is_a_label_of_zeros_and_is_told(tmp_path, caplog):
    network = _stylegan3(c_dim=3)
    path = _store_whole(network, tmp_path / "g.safetensors", "stylegan3")
    with caplog.at_level(logging.WARNING):
        generator = load_generator("stylegan3", path)
    assert "knows 3 classes and draws none" in caplog.text
    z = torch.randn(2, 8)
    expected = network.mapping(z, c=torch.zeros(2, 3))
    torch.testing.assert_close(generator.mapping(z), expected)


@pytest.mark.parametrize("label", [3, -1, True, "cat"])
def test_a_class_that_is_not_there_is_refused(label):
    with pytest.raises(InputError, match=r"class_label must be a whole .* 0 to 2, got"):
        StyleGANGenerator(_stylegan3(c_dim=3), Identity("g", ""), label)


def test_a_class_of_a_generator_without_classes_is_refused(network):
    with pytest.raises(InputError, match=r"class_label must be left out .* got 0"):
        StyleGANGenerator(network, Identity("g", ""), 0)


def test_an_unknown_option_is_refused(network, tmp_path):
    path = _store(network, tmp_path / "generator.safetensors")
    with pytest.raises(InputError, match=r"stylegan2 has no options \['clas'\]"):
        load_generator("stylegan2", path, {"clas": 1})
    with pytest.raises(InputError, match=r"stylegan has no options \['psi'\]"):
        load_generator("stylegan", path, {"psi": 1, "cache_folder": "x"})


def test_grey_pictures_have_three_channels():
    torch.manual_seed(0)
    config = StyleGAN2Config(8, 8, 8, 64, 8, mapping_layers=1, img_channels=1)
    generator = StyleGANGenerator(StyleGAN2(config), Identity("grey", ""))
    image = generator.synthesis(generator.mapping(torch.randn(2, 8)))
    assert image.shape == (2, 3, 8, 8)
    torch.testing.assert_close(image[:, :1].expand_as(image), image)


def test_pictures_of_other_channels_are_refused():
    config = StyleGAN2Config(8, 8, 8, 64, 8, mapping_layers=1, img_channels=4)
    with pytest.raises(InputError, match=r"1 or 3 channels, got 4"):
        StyleGANGenerator(StyleGAN2(config), Identity("rgba", ""))


@needs_snapshots
@pytest.mark.parametrize(
    ("name", "kind"), [("sg2_small", "stylegan2"), ("sg3t_small", "stylegan3")]
)
def test_a_foreign_file_is_converted_once(name, kind, tmp_path):
    golden = np.load(CONFORMANCE / f"{name}.golden.npz", allow_pickle=False)
    path = CONFORMANCE / f"{name}.stripped.pkl"
    first = load_generator("stylegan", path, {"cache_folder": str(tmp_path)})
    (converted,) = tmp_path.glob("*.safetensors")
    written = converted.stat().st_mtime_ns
    again = load_generator("stylegan", path, {"cache_folder": str(tmp_path)})
    direct = load_generator(kind, converted)
    assert converted.stat().st_mtime_ns == written
    assert first.identity == again.identity == direct.identity
    assert first.identity.name == kind
    made = first.synthesis(torch.from_numpy(golden["w_psi07_cut"]))
    expected = torch.from_numpy(golden["img_const"])
    assert (made - expected).abs().max() < 1e-4 * expected.std()


@needs_snapshots
def test_converted_files_lie_beside_the_source_unless_told(tmp_path):
    source = tmp_path / "network.pkl"
    source.write_bytes((CONFORMANCE / "sg3t_small.stripped.pkl").read_bytes())
    load_generator("stylegan", source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert list((tmp_path / "converted").glob(f"{digest}_*.safetensors"))


@needs_snapshots
def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should be")
    path = CONFORMANCE / "sg3t_small.stripped.pkl"
    with pytest.raises(InputError, match=r"cannot be converted into .*taken"):
        load_generator("stylegan", path, {"cache_folder": str(tmp_path / "taken")})


def test_a_file_of_no_known_format_is_refused(tmp_path):
    path = tmp_path / "generator.pkl"
    path.write_bytes(b"neither pickle nor safetensors")
    with pytest.raises(InputError, match=r"generator\.pkl is refused"):
        load_generator("stylegan", path)
    with pytest.raises(InputError, match=r"expected at .*nowhere\.pkl"):
        load_generator("stylegan", tmp_path / "nowhere.pkl")


def test_an_unknown_kind_lists_those_that_are_known():
    with pytest.raises(InputError, match=r"must be one of .*stylegan2, stylegan3"):
        load_generator("stylegan9")


def test_a_decoder_is_a_generator_whose_w_is_z():
    decoder = torch.nn.Sequential(
        torch.nn.Linear(6, 3 * 4 * 4), torch.nn.Tanh(), torch.nn.Unflatten(1, (3, 4, 4))
    )
    identity = Identity("decoder", "0" * 64)
    generator = DecoderGenerator(decoder, z_dim=6, resolution=4, identity=identity)
    z = torch.randn(5, 6)
    assert isinstance(generator, Generator)
    torch.testing.assert_close(generator.mapping(z, psi=0.5)[:, 0], 0.5 * z)
    torch.testing.assert_close(generator.synthesis(generator.mapping(z)), decoder(z))
