import pytest
import torch
from generators.networks import make_stylegan2

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.stylegan2 import (
    StyleGAN2,
    StyleGAN2Config,
)


@pytest.mark.parametrize(("resolution", "num_ws"), [(64, 10), (256, 14), (1024, 18)])
def test_number_of_ws_is_that_of_the_paper(resolution, num_ws):
    config = StyleGAN2Config(64, 64, resolution, channel_base=64, channel_max=8)
    assert config.num_ws == num_ws


def test_random_noise_changes_the_picture_and_no_noise_repeats():
    network = make_stylegan2()
    w = network.mapping(torch.randn(2, 6))
    noisy = [network.synthesis(w, "random") for _ in range(2)]
    quiet = [network.synthesis(w, "none") for _ in range(2)]
    assert not torch.allclose(*noisy)
    torch.testing.assert_close(*quiet, rtol=0, atol=0)


def test_an_early_stop_gives_the_image_of_that_resolution():
    """Without its last block the network is one of that resolution."""
    network, smaller = make_stylegan2(resolution=32), make_stylegan2(resolution=16)
    state = network.state_dict()
    smaller.load_state_dict({name: state[name] for name in smaller.state_dict()})
    w = network.mapping(torch.randn(2, 6))
    image = network.synthesis(w, "none", last=16)
    torch.testing.assert_close(image, smaller.synthesis(w[:, :6], "none"))


def test_a_block_without_channels_is_refused():
    config = StyleGAN2Config(8, 8, 64, channel_base=32, channel_max=8)
    with pytest.raises(InputError, match=r"channel_base must be .*\(64\) or more"):
        StyleGAN2(config)


def test_a_label_is_given_if_and_only_if_the_generator_knows_labels():
    z, c = torch.randn(2, 6), torch.eye(3)[:2]
    with pytest.raises(InputError, match=r"label c of 3 channels .* got none"):
        make_stylegan2(c_dim=3).mapping(z)
    with pytest.raises(InputError, match=r"label c of 0 channels .* got \[2, 3\]"):
        make_stylegan2().mapping(z, c=c)
