import json
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import save_file

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.safetensors_files import (
    is_safetensors,
    read_network,
    stylegan2_weights,
)
from clip2latent_kedro.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from clip2latent_kedro.generators.stylegan3 import StyleGAN3, StyleGAN3Config


@pytest.fixture
def stylegan2() -> StyleGAN2:
    torch.manual_seed(0)
    return StyleGAN2(StyleGAN2Config(8, 12, 16, 64, 16, mapping_layers=2))


@pytest.fixture
def stylegan3() -> StyleGAN3:
    torch.manual_seed(0)
    config = StyleGAN3Config(8, 0, 8, 16, channel_base=64, channel_max=6, num_layers=4)
    return StyleGAN3(config)


def _store(network, path, **metadata):
    metadata = {"config": json.dumps(asdict(network.config))} | metadata
    save_file(network.state_dict(), path, metadata)
    return path


def test_every_tensor_comes_back(stylegan3, tmp_path):
    path = _store(stylegan3, tmp_path / "g.safetensors", kind="stylegan3")
    for kind in (None, "stylegan3"):
        again = read_network(path, kind)
        assert again.config == stylegan3.config
        expected = stylegan3.state_dict()
        assert again.state_dict().keys() == expected.keys()
        for name, value in again.state_dict().items():
            torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


def test_a_file_without_a_kind_is_a_stylegan2(stylegan2, tmp_path):
    weights, metadata = stylegan2_weights(stylegan2)
    save_file(weights, tmp_path / "g.safetensors", metadata)
    again = read_network(tmp_path / "g.safetensors")
    assert isinstance(again, StyleGAN2)
    assert again.config == stylegan2.config
    expected = stylegan2.mapping.fc0.weight
    torch.testing.assert_close(again.mapping.fc0.weight, expected, rtol=0, atol=0)
    halved = stylegan2.synthesis.b4.const.half().float()
    torch.testing.assert_close(again.synthesis.b4.const, halved, rtol=0, atol=0)


def test_the_same_network_gives_the_same_bytes(stylegan2, tmp_path):
    contents = set()
    for index in range(8):
        weights, metadata = stylegan2_weights(stylegan2)
        save_file(weights, tmp_path / f"{index}.safetensors", metadata)
        contents.add((tmp_path / f"{index}.safetensors").read_bytes())
    assert len(contents) == 1


def test_another_kind_than_asked_for_is_refused(stylegan3, tmp_path):
    path = _store(stylegan3, tmp_path / "g.safetensors", kind="stylegan3")
    with pytest.raises(
        InputError, match=r"must hold a stylegan2, got a stylegan3\. Se"
    ):
        read_network(path, "stylegan2")


def test_an_unknown_kind_or_setting_is_refused(stylegan3, tmp_path):
    path = _store(stylegan3, tmp_path / "g.safetensors", kind="stylegan9")
    with pytest.raises(InputError, match=r"must be a safetensors file .*stylegan9"):
        read_network(path)
    path = _store(stylegan3, tmp_path / "g.safetensors", kind="stylegan2")
    with pytest.raises(InputError, match=r"must be a safetensors file .*is not a"):
        read_network(path)


def test_weights_of_another_architecture_are_refused(stylegan2, tmp_path):
    weights, metadata = stylegan2_weights(stylegan2)
    del weights["synthesis.b8.conv0.bias"]
    save_file(weights, tmp_path / "damaged.safetensors", metadata)
    with pytest.raises(InputError, match=r"synthesis\.b8\.conv0\.bias"):
        read_network(tmp_path / "damaged.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"expected at .*nowhere\.safetensors"):
        read_network(tmp_path / "nowhere.safetensors")
    with pytest.raises(InputError, match="expected at None"):
        read_network(None)


def test_a_file_of_another_format_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    assert is_safetensors(path)
    with pytest.raises(InputError, match=r"must be a (whole )?safetensors file"):
        read_network(path)
    path.write_bytes(b"no safetensors at all")
    assert not is_safetensors(path)
    with pytest.raises(InputError, match=r"must be a (whole )?safetensors file"):
        read_network(path)
