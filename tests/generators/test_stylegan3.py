from math import sqrt

import pytest
import torch
from torch.nn import functional as F

from clip2latent_kedro.generators.stylegan3 import StyleGAN3, StyleGAN3Config

SMALL = {
    "z_dim": 8,
    "c_dim": 0,
    "w_dim": 8,
    "img_resolution": 16,
    "channel_base": 64,
    "channel_max": 6,
    "num_layers": 4,
}
T = {"conv_kernel": 3, "use_radial_filters": False}
R = {"conv_kernel": 1, "use_radial_filters": True}


def _network(**changes) -> StyleGAN3:
    """Return a random network whose biases, gains and poses are random too."""
    torch.manual_seed(0)
    network = StyleGAN3(StyleGAN3Config(**SMALL | changes)).double().eval()
    with torch.no_grad():
        network.synthesis.input.affine.weight.normal_()
        for name, value in network.state_dict().items():
            if name.endswith("bias") and "affine" not in name:
                value.normal_()
            elif name.endswith("magnitude_ema"):
                value.uniform_(0.5, 2)
    return network.requires_grad_(False)


def _latents(network, num=2):
    shape = (num, network.config.num_ws, network.config.w_dim)
    random = torch.Generator().manual_seed(1)
    return torch.randn(shape, generator=random, dtype=torch.float64)


def _resample(x, filter_, *, up=1, down=1, padding=(0, 0)):
    n, c, h, w = x.shape
    inserted = x.new_zeros(n, c, h * up, w * up)
    inserted[:, :, ::up, ::up] = x
    inserted = F.pad(inserted, (*padding, *padding))
    filter_ = x.new_ones(1) if filter_ is None else filter_
    kernels = [filter_[:, None], filter_[None]] if filter_.ndim == 1 else [filter_]
    for kernel in kernels:
        kernel = (up ** (2 / len(kernels)) * kernel).flip(0, 1)
        inserted = F.conv2d(inserted, kernel.expand(c, 1, -1, -1), groups=c)
    return inserted[:, :, ::down, ::down]


def _plain_synthesis(network, w):
    """The whole network by its definitions, from the paper's equations."""
    config, weights = network.config, network.synthesis.state_dict()
    x = network.synthesis.input(w[:, 0])
    signals = config.signals
    for index, target in enumerate(signals):
        source = signals[max(index - 1, 0)]
        name = f"L{index}_{target.size}_{target.channels}"
        own = {
            key.removeprefix(f"{name}."): value
            for key, value in weights.items()
            if key.startswith(f"{name}.")
        }
        style = w[:, index + 1] @ own["affine.weight"].T / sqrt(config.w_dim)
        style = style + own["affine.bias"]
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
        up, down = rate // source.rate, rate // target.rate
        filters = own.get("up_filter"), own.get("down_filter")
        taps = [1 if f is None else len(f) for f in filters]
        total = (target.size - 1) * down + 1 - (source.size + size - 1) * up
        total += sum(taps) - 2
        before = (total + up) // 2
        x = _resample(x, filters[0], up=up, padding=(before, total - before))
        x = F.leaky_relu(x, 0.2) * sqrt(2)
        x = x.clamp(-config.conv_clamp, config.conv_clamp)
        x = _resample(x, filters[1], down=down)
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
    names = StyleGAN3(StyleGAN3Config(**SMALL | {"c_dim": 2})).state_dict().keys()
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


def test_a_label_joins_z_after_both_are_normalised():
    network = _network(c_dim=3, mapping_lr=0.02)
    mapping = network.mapping
    z, c = torch.randn(2, 8).double(), torch.eye(3)[[2, 0]].double()
    embedded = c @ mapping.embed.weight.T / sqrt(3) + mapping.embed.bias
    parts = [x / x.square().mean(1, keepdim=True).sqrt() for x in (z, embedded)]
    x = torch.cat(parts, 1)
    for layer in (mapping.fc0, mapping.fc1):
        x = x @ layer.weight.T * (0.02 / sqrt(x.shape[1])) + layer.bias * 0.02
        x = F.leaky_relu(x, 0.2) * sqrt(2)
    w = mapping(z, c=c)
    assert w.shape == (2, 6, 8)
    torch.testing.assert_close(w[:, 5], x, rtol=1e-6, atol=1e-6)


def test_lower_precision_is_for_the_feature_maps_alone():
    network = _network(**T).float()
    w = _latents(network).float()
    exact, waves = network.synthesis(w), network.synthesis.input(w[:, 0])
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
    step = 1e-6 * torch.randn(w.shape, dtype=w.dtype)
    (slope,) = torch.autograd.grad(network.synthesis(w).square().sum(), w)
    ends = [network.synthesis(w + sign * step).square().sum() for sign in (1, -1)]
    torch.testing.assert_close(
        (ends[0] - ends[1]) / 2, (slope * step).sum(), rtol=1e-4, atol=0
    )
