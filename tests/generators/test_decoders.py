import json
import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.generators.decoders import describe_vae
from clip2latent_kedro.generators.vae import (
    FLOW_STEPS,
    LatentFlow,
    VaeConfig,
    VaeDecoder,
)
from clip2latent_kedro.interfaces import Generator


def randomise(module):
    """Give every tensor, statistics included, a value that is not neutral."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not value.is_floating_point():
                continue
            if name.endswith(("running_var", "std")):
                value.uniform_(0.5, 2)
            elif value.ndim == 1:
                value.copy_(torch.randn_like(value) / 2 + 1)
            else:
                value.copy_(torch.randn_like(value) / value[0].numel() ** 0.5)
    return module.eval().requires_grad_(False)


def example_network(z_dim=10, colours=3, size=16, base=4):
    """The generator of PyTorch's DCGAN example, at any size."""
    widths = [base * 2**n for n in reversed(range((size // 4).bit_length() - 1))]
    layers = [nn.ConvTranspose2d(z_dim, widths[0], 4, 1, 0, bias=False)]
    for width, following in zip(widths, [*widths[1:], colours], strict=True):
        layers += [
            nn.BatchNorm2d(width),
            nn.ReLU(True),
            nn.ConvTranspose2d(width, following, 4, 2, 1, bias=False),
        ]
    network = nn.Module()
    network.main = nn.Sequential(*layers, nn.Tanh())
    return randomise(network)


def store(content, path, form):
    if form == "safetensors":
        save_file(content, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    return path


@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize(("size", "colours"), [(8, 3), (16, 1), (64, 3)])
def test_a_dcgan_draws_what_pytorchs_own_does(size, colours, form, tmp_path):
    network = example_network(size=size, colours=colours)
    path = store(network.state_dict(), tmp_path / "netG", form)
    generator = load_generator("dcgan", path)
    assert isinstance(generator, Generator)
    assert (generator.z_dim, generator.num_ws, generator.resolution) == (10, 1, size)
    z = torch.randn(3, 10)
    made = generator.synthesis(generator.mapping(z))
    expected = network.main(z[:, :, None, None]).expand(-1, 3, -1, -1)
    torch.testing.assert_close(made, expected)
    assert expected.std() > 0.05


def test_a_dcgan_in_a_checkpoint_of_several_gpus(tmp_path):
    network = example_network()
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    path = store({"epoch": 3, "mine": state}, tmp_path / "last.pth", "zip")
    with pytest.raises(
        InputError, match=r"has the entry 'epoch' there, which is no tensor"
    ):
        load_generator("dcgan", path)
    with pytest.raises(InputError, match=r"holds no state dict there.* option entry"):
        load_generator("dcgan", path, {"entry": "netD"})
    generator = load_generator("dcgan", path, {"entry": "mine"})
    z = torch.randn(2, 10)
    made = generator.synthesis(generator.mapping(z))
    torch.testing.assert_close(made, network.main(z[:, :, None, None]))


@pytest.mark.parametrize("name", ["netG_state_dict", "netG"])
def test_a_dcgan_is_found_beside_its_discriminator(name, tmp_path):
    network, other = example_network(), example_network()
    content = {"netD": other.state_dict(), name: network.state_dict(), "epoch": 3}
    path = store(content, tmp_path / "weights.tar", "zip")
    z = torch.randn(2, 10)
    made = load_generator("dcgan", path).synthesis(z[:, None])
    torch.testing.assert_close(made, network.main(z[:, :, None, None]))


def test_nothing_in_a_file_is_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'touched'}",)

    path = store({"main.0.weight": Hostile()}, tmp_path / "netG", "zip")
    with pytest.raises(InputError, match=r"refused because it .*system"):
        load_generator("dcgan", path)
    assert not (tmp_path / "touched").exists()


def _without(state, *names):
    return {name: value for name, value in state.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: _without(s, "main.0.weight"), "does not begin with a transposed"),
        (lambda s: _without(s, "main.6.weight"), "does not end with a convolution"),
        (lambda s: _without(s, "main.1.bias"), r"Missing key.*main\.1\.bias"),
        (
            lambda s: {**s, "main.1.extra": torch.ones(1)},
            r"Unexpected key.*main\.1\.extra",
        ),
        (lambda s: {**s, "main.6.weight": torch.ones(5, 3, 4, 4)}, "do not fit"),
        (lambda s: {**s, "main.6.weight": torch.ones(4, 2, 4, 4)}, "1 or 3 colours"),
        (lambda s: {**s, "main.3.weight": torch.ones(8, 4, 3, 3)}, "3 x 3 pixels"),
    ],
)
def test_a_dcgan_that_lacks_something_is_refused(change, reason, tmp_path):
    path = store(change(example_network().state_dict()), tmp_path / "g", "safetensors")
    with pytest.raises(InputError, match=reason):
        load_generator("dcgan", path)


CONFIG = VaeConfig(6, (16, 8), flow_width=12, flow_depth=2)


def vae_tensors(prefix="", config=CONFIG):
    decoder, flow = randomise(VaeDecoder(config)), None
    tensors = {f"{prefix}{name}": v for name, v in decoder.state_dict().items()}
    if config.flow_depth:
        width, depth = config.flow_width, config.flow_depth
        flow = randomise(LatentFlow(config.latent_dim, width, depth))
        tensors |= {f"flow.{name}": v for name, v in flow.state_dict().items()}
    return tensors, decoder, flow


def reference_picture(tensors, w):
    """The decoder's layers written out."""
    x = F.silu(F.linear(w, tensors["input.weight"], tensors["input.bias"]))
    x = x.view(len(w), -1, 4, 4)

    def norm(x, name):
        return F.group_norm(x, 8, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    for block in ("blocks.0",):
        weight, bias = tensors[f"{block}.up.weight"], tensors[f"{block}.up.bias"]
        x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
        x = F.silu(norm(x, f"{block}.norm0"))
        weight, bias = tensors[f"{block}.conv.weight"], tensors[f"{block}.conv.bias"]
        x = x + F.silu(norm(F.conv2d(x, weight, bias, padding=1), f"{block}.norm1"))
    x = F.conv2d(x, tensors["output.weight"], tensors["output.bias"], padding=1)
    n, _, h, _ = x.shape
    x = x.view(n, 3, 2, 2, h, h).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(n, 3, 2 * h, 2 * h)


@pytest.mark.parametrize("form", ["safetensors", "zip"])
def test_a_vae_is_told_by_its_tensors(form, tmp_path):
    tensors, _, flow = vae_tensors()
    path = store(tensors, tmp_path / "vae", form)
    generator = load_generator("vae", path)
    assert isinstance(generator, Generator)
    assert (generator.z_dim, generator.w_dim, generator.resolution) == (6, 6, 16)
    z = torch.randn(3, 6)
    w = generator.mapping(z)
    torch.testing.assert_close(w[:, 0], flow.transport(z))
    torch.testing.assert_close(
        generator.synthesis(w), reference_picture(tensors, w[:, 0])
    )
    half = generator.mapping(z, psi=0.5)
    torch.testing.assert_close(half, (w + flow.mean) / 2)
    torch.testing.assert_close(generator.w_avg, flow.mean)


def test_a_whole_vae_without_a_flow_has_w_equal_to_z(tmp_path):
    tensors, decoder, _ = vae_tensors("decoder.", VaeConfig(6, (16, 8)))
    tensors["encoder.anything.weight"] = torch.ones(3)
    generator = load_generator("vae", store(tensors, tmp_path / "vae", "zip"))
    z = torch.randn(3, 6)
    torch.testing.assert_close(generator.mapping(z, psi=0.3), 0.3 * z[:, None])
    torch.testing.assert_close(generator.synthesis(z[:, None]), decoder(z))


def test_metadata_must_agree_with_the_tensors(tmp_path):
    tensors, _, _ = vae_tensors()
    told = describe_vae(CONFIG)
    save_file(tensors, tmp_path / "right.safetensors", {"config": told})
    assert load_generator("vae", tmp_path / "right.safetensors").resolution == 16
    other = json.dumps({**json.loads(told), "latent_dim": 7}, sort_keys=True)
    save_file(tensors, tmp_path / "wrong.safetensors", {"config": other})
    with pytest.raises(InputError, match=r"latent_dim\": 6.*say .*latent_dim\": 7"):
        load_generator("vae", tmp_path / "wrong.safetensors")


@pytest.mark.parametrize("name", ["blocks.0.norm0.bias", "flow.time.bias"])
def test_a_vae_that_lacks_something_is_refused(name, tmp_path):
    tensors, _, _ = vae_tensors()
    del tensors[name]
    with pytest.raises(InputError, match="does not fit the vae that it seems to be"):
        load_generator("vae", store(tensors, tmp_path / "vae", "zip"))


class StraightFlow(LatentFlow):
    """Its velocity depends on t alone: v = 3 t^2."""

    def forward(self, x, t):
        return 3 * t[:, None].square().expand_as(x)


def test_the_flow_is_integrated_by_euler_steps():
    flow = StraightFlow(2, 4, 1)
    flow.mean.fill_(5.0)
    flow.std.fill_(2.0)
    z = torch.tensor([[0.5, -1.0]])
    times = torch.arange(FLOW_STEPS) / FLOW_STEPS
    moved = (3 * times.square()).mean()
    torch.testing.assert_close(flow.transport(z), 5 + 2 * (z + moved))
