from math import sqrt

import pytest
import torch
from generators.networks import make_stylegan3
from generators.reference import dense, filtered_lrelu, fourier_features
from torch.nn import functional as F

from clip2latent_kedro.generators.stylegan3_filters import Resampling

T = {"conv_kernel": 3, "use_radial_filters": False}
R = {"conv_kernel": 1, "use_radial_filters": True}


def _network(**changes):
    return make_stylegan3(**changes).double()


def _latents(network, num=2):
    shape = (num, network.config.num_ws, network.config.w_dim)
    random = torch.Generator().manual_seed(1)
    return torch.randn(shape, generator=random, dtype=torch.float64)


def _plain_synthesis(network, w):
    """The whole network by its definitions, from the paper's equations."""
    config, weights = network.config, network.synthesis.state_dict()
    signals = config.signals

    def of(name):
        prefix = f"{name}."
        return {k.removeprefix(prefix): v for k, v in weights.items() if prefix in k}

    x = fourier_features(of("input"), w[:, 0], signals[0])
    for index, target in enumerate(signals):
        source = signals[max(index - 1, 0)]
        own = of(f"L{index}_{target.size}_{target.channels}")
        style = dense(w[:, index + 1], own["affine.weight"], own["affine.bias"])
        kernels = own["weight"] * style[:, None, :, None, None]
        is_colour = index == config.num_layers
        if is_colour:
            kernels = kernels / sqrt(source.channels)
        else:
            kernels = kernels / kernels.square().sum((2, 3, 4), keepdim=True).sqrt()
        x = x / own["magnitude_ema"].sqrt()
        size = kernels.shape[-1]
        x = torch.cat(
            [
                F.conv2d(sample[None], kernel, own["bias"], padding=size - 1)
                for sample, kernel in zip(x, kernels, strict=True)
            ]
        )
        if is_colour:
            return x.clamp(-config.conv_clamp, config.conv_clamp) * config.output_scale
        rate = max(source.rate, target.rate) * config.lrelu_upsampling
        filters = own.get("up_filter"), own.get("down_filter")
        grid = Resampling(
            rate // source.rate,
            rate // target.rate,
            *(1 if f is None else len(f) for f in filters),
            size_in=source.size + size - 1,
            size_out=target.size,
        )
        x = filtered_lrelu(x, *filters, grid, config.conv_clamp)
    raise AssertionError


@pytest.mark.parametrize(
    "changes",
    [
        T,
        R,
        R | {"img_resolution": 32, "num_layers": 6, "channel_max": 9},
        T | {"num_critical": 1, "margin_size": 4, "filter_size": 4},
        T | {"lrelu_upsampling": 1, "img_channels": 1},
        T
        | {"lrelu_upsampling": 4, "conv_clamp": 0.5, "num_layers": 3, "margin_size": 2},
        R | {"output_scale": 1.0, "first_cutoff": 3.0, "last_stopband_rel": 1.5},
    ],
)
def test_synthesis_is_that_of_the_equations(changes):
    network = _network(**changes)
    w = _latents(network)
    made = network.synthesis(w)
    expected = _plain_synthesis(network, w)
    assert made.shape[2] == network.config.img_resolution
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-6 * expected.std())


def _turned(network, w):
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    network.synthesis.input.transform.copy_(turn)
    return network.synthesis(w)


def test_r_turns_the_picture_with_its_plane_and_t_does_not():
    """With 1 x 1 kernels and symmetric filters a quarter turn is exact."""
    for changes, is_exact in ((R, True), (T, False)):
        network = _network(**changes)
        w = _latents(network)
        still = network.synthesis(w)
        error = (_turned(network, w) - still.rot90(1, (2, 3))).abs().max()
        assert (error < 1e-9 * still.std()) == is_exact


@pytest.mark.parametrize(("changes", "num_radial"), [(T, 0), (R, 4)])
def test_radial_filters_are_r_s_before_the_critical_layers(changes, num_radial):
    network = _network(**changes, num_layers=6)
    layers = [network.synthesis.get_submodule(n) for n in network.synthesis.layer_names]
    axes = [layer.down_filter.ndim for layer in layers[:-1]]
    assert axes == [2] * num_radial + [1] * (6 - num_radial)


def test_a_batch_gives_the_same_pictures_as_one_at_a_time():
    network = _network(**T)
    w = _latents(network, 3)
    singly = torch.cat([network.synthesis(row[None]) for row in w])
    torch.testing.assert_close(network.synthesis(w), singly)


def test_names_are_those_of_the_release():
    names = make_stylegan3(c_dim=2).state_dict().keys()
    ends = {name.split(".", 2)[-1] for name in names if name.startswith("synthesis.L0")}
    assert ends == {
        *("weight", "bias", "affine.weight", "affine.bias", "magnitude_ema"),
        *("up_filter", "down_filter"),
    }
    last = {name for name in names if name.startswith("synthesis.L4_16_3.")}
    assert last == {
        f"synthesis.L4_16_3.{end}" for end in ends - {"up_filter", "down_filter"}
    }
    others = {name for name in names if not name.startswith("synthesis.L")}
    dense = [f"mapping.{layer}" for layer in ("embed", "fc0", "fc1")]
    dense.append("synthesis.input.affine")
    assert others == {
        *(f"{layer}.{part}" for layer in dense for part in ("weight", "bias")),
        "mapping.w_avg",
        *(f"synthesis.input.{n}" for n in ("weight", "freqs", "phases", "transform")),
    }


def test_lower_precision_is_for_the_feature_maps_alone():
    network = _network(**T).float()
    w = _latents(network).float()
    exact = network.synthesis(w)
    waves = network.synthesis.input(network.synthesis.input.affine(w[:, 0]))
    seen = []
    network.synthesis.input.register_forward_hook(lambda *args: seen.append(args[2]))
    with torch.autocast("cpu", torch.bfloat16):
        rough = network.synthesis(w)
    torch.testing.assert_close(seen[0], waves, rtol=0, atol=0)
    assert rough.dtype == torch.float32
    assert 1e-4 < (rough - exact).std() / exact.std() < 0.03


def test_gradients_reach_w():
    network = _network(**T, conv_clamp=0.5)
    w = _latents(network, 1).requires_grad_()
    (slope,) = torch.autograd.grad(network.synthesis(w).square().sum(), w)
    step = 1e-7 * slope / slope.norm()
    ends = [network.synthesis(w + sign * step).square().sum() for sign in (1, -1)]
    torch.testing.assert_close(
        (ends[0] - ends[1]) / 2, (slope * step).sum(), rtol=1e-4, atol=0
    )
