import pytest
import torch
from safetensors.torch import save_file

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.generators.adapters import DecoderGenerator, stylegan2_weights
from clip2latent_kedro.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from clip2latent_kedro.interfaces import Generator, Identity


@pytest.fixture
def network() -> StyleGAN2:
    torch.manual_seed(0)
    return StyleGAN2(StyleGAN2Config(8, 12, 16, 64, 16, mapping_layers=2)).eval()


def _store(network, path):
    weights, metadata = stylegan2_weights(network)
    save_file(weights, path, metadata)
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


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"expected at .*nowhere\.safetensors"):
        load_generator("stylegan2", tmp_path / "nowhere.safetensors")


def test_a_file_of_another_format_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="must be a safetensors file with the arch"):
        load_generator("stylegan2", path)
    path.write_bytes(b"no safetensors at all")
    with pytest.raises(InputError, match="must be a safetensors file with the arch"):
        load_generator("stylegan2", path)


def test_weights_of_another_architecture_are_refused(network, tmp_path):
    weights, metadata = stylegan2_weights(network)
    del weights["synthesis.b8.conv0.bias"]
    save_file(weights, tmp_path / "damaged.safetensors", metadata)
    with pytest.raises(InputError, match=r"synthesis\.b8\.conv0\.bias"):
        load_generator("stylegan2", tmp_path / "damaged.safetensors")


def test_an_unknown_kind_lists_those_that_are_known():
    with pytest.raises(InputError, match=r"must be one of .*stylegan2"):
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
