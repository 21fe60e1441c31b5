"""Pictures drawn in pieces are the same pictures."""

import pytest
import torch
from generators.networks import make_stylegan2

from clip2latent_kedro.generators import stylegan2
from clip2latent_kedro.generators.stylegan2_layers import modulate


def make_network(**changes):
    sizes = {"z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8}
    return make_stylegan2(resolution=64, **sizes, **changes).double()


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("taps", [(1, 1), (1, 2, 1), (1, 3, 3, 1), tuple(range(1, 13))])
@pytest.mark.parametrize("limit", [1, 600, 4096])
def test_pieces_join_without_a_seam(monkeypatch, architecture, taps, limit):
    """The pieces go from strips of the fewest rows to batches of several samples."""
    network = make_network(
        architecture=architecture, resample_filter=taps, conv_clamp=3.0
    )
    w = torch.randn(3, network.config.num_ws, 8, dtype=torch.float64)
    whole = network.synthesis(w).detach()  # gradients: never in pieces
    monkeypatch.setattr(stylegan2, "MAX_ELEMENTS", limit)
    with torch.inference_mode():
        torch.testing.assert_close(network.synthesis(w), whole, rtol=0, atol=1e-11)


def test_random_noise_is_one_map_for_a_sample(monkeypatch):
    """Strips would draw their margins twice; the same seed then gives other maps."""
    network = make_network()
    w = torch.randn(1, network.config.num_ws, 8, dtype=torch.float64)
    torch.manual_seed(1)
    whole = network.synthesis(w, "random").detach()
    monkeypatch.setattr(stylegan2, "MAX_ELEMENTS", 1)
    torch.manual_seed(1)
    with torch.inference_mode():
        pieced = network.synthesis(w, "random")
    torch.testing.assert_close(pieced, whole, rtol=0, atol=1e-11)


def test_gradients_are_those_of_finite_differences():
    """The activation works in place, also on a kernel folded for one sample."""
    network = make_network(conv_clamp=None)
    for num in (1, 2):
        w = torch.randn(num, network.config.num_ws, 8, dtype=torch.float64)
        w.requires_grad_()
        direction = torch.randn_like(w)
        image = network.synthesis(w)
        weight = torch.randn_like(image)
        (gradient,) = torch.autograd.grad((image * weight).sum(), w)
        with torch.no_grad():
            ahead, behind = (
                (network.synthesis(w + step * direction) * weight).sum()
                for step in (1e-6, -1e-6)
            )
        difference = (ahead - behind) / 2e-6
        torch.testing.assert_close(
            (gradient * direction).sum(), difference, rtol=1e-5, atol=1e-5
        )


def test_modulated_kernels_have_unit_norm_and_maps_keep_their_magnitude():
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(16, 32, 3, 3, generator=random, dtype=torch.float64)
    style = 50 + torch.randn(4, 32, generator=random, dtype=torch.float64)
    before, after = modulate(weight, style)
    kernels = after[:, :, None, None, None] * weight * before[:, None, :, None, None]
    torch.testing.assert_close(
        kernels.square().sum((2, 3, 4)), torch.ones(4, 16, dtype=torch.float64)
    )
    assert 0.5 < after.min() < after.max() < 2


def test_half_precision_draws_the_same_picture():
    """Styles and the image stay in float32; 2 % of the range is bfloat16's rounding."""
    network = make_network().float()
    w = torch.randn(4, network.config.num_ws, 8)
    with torch.inference_mode():
        exact = network.synthesis(w)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network.synthesis(w)
    assert rough.dtype == torch.float32
    assert (rough - exact).std() < 0.02 * exact.std()
