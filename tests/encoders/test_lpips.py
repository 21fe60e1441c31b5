"""LPIPS, on files in the published formats whose numbers are random."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional
from world import seeded

from clip2latent_kedro.encoders.lpips import Lpips, load_lpips
from clip2latent_kedro.encoders.pixels import PixelLoss, load_pixels
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.interfaces import PerceptualLoss

# torchvision's configuration D: channels of convolutions and, "M", max pooling; each
# convolution is followed by a ReLU, which has a number too.
CONFIGURATION_D = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M"]
CONFIGURATION_D += [512, 512, 512, "M", 512, 512, 512]
CHANNELS = [64, 128, 256, 512, 512]


def make_vgg_tensors():
    random, tensors, number, channels = seeded(), {}, 0, 3
    for layer in CONFIGURATION_D:
        if layer == "M":
            number += 1
            continue
        spread = (2 / (9 * channels)) ** 0.5
        weight = torch.randn(layer, channels, 3, 3, generator=random)
        tensors[f"features.{number}.weight"] = weight * spread
        tensors[f"features.{number}.bias"] = torch.randn(layer, generator=random) / 10
        number, channels = number + 2, layer
    tensors["classifier.6.bias"] = torch.zeros(1000)
    return tensors


def make_heads():
    random = seeded(1)
    return {
        f"lin{part}.model.1.weight": torch.rand(1, channels, 1, 1, generator=random)
        for part, channels in enumerate(CHANNELS)
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lpips")
    torch.save(make_vgg_tensors(), folder / "vgg16.pth")
    torch.save(make_heads(), folder / "vgg.pth")
    return folder


@pytest.fixture(scope="module")
def lpips(folder):
    return load_lpips(folder / "vgg16.pth", {"heads": str(folder / "vgg.pth")})


def lpips_in_float64(one, other):
    """The distance as the paper and its code have it, computed layer by layer."""
    vgg, heads = make_vgg_tensors(), make_heads()
    shift = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64)
    scale = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64)
    x = torch.stack([one, other]).double()
    x = (x - shift.view(1, 1, 3, 1, 1)) / scale.view(1, 1, 3, 1, 1)
    x = x.flatten(0, 1)
    total = torch.zeros(len(one), dtype=torch.float64)
    number, part = 0, 0
    for layer in [*CONFIGURATION_D, "M"]:
        if layer != "M":
            weight, bias = (
                vgg[f"features.{number}.{name}"].double() for name in ("weight", "bias")
            )
            x = functional.conv2d(x, weight, bias, padding=1).clamp_min(0)
            number += 2
            continue
        unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
        unit = unit.view(2, len(one), *unit.shape[1:])
        square = (unit[0] - unit[1]).square()  # [n, channels, h, w]
        head = heads[f"lin{part}.model.1.weight"].double()
        total += functional.conv2d(square, head).mean(dim=(1, 2, 3))
        number, part = number + 1, part + 1
        if part < len(CHANNELS):
            x = functional.max_pool2d(x, 2)
    return total


def test_the_squared_distance_of_features_is_lpips(lpips):
    one, other = 2 * torch.rand(2, 2, 3, 24, 17, generator=seeded(2)) - 1
    with torch.no_grad():
        found = (lpips.features(one) - lpips.features(other)).square().sum(dim=1)
    expected = lpips_in_float64(one, other)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=0)
    assert isinstance(lpips, PerceptualLoss)


def test_gradients_reach_the_picture_even_where_all_features_are_zero(lpips):
    network, weights = lpips.network, lpips.weights
    dark = torch.full((1, 3, 16, 16), -40.0, requires_grad=True)
    square = Lpips(network, weights, lpips.identity).features(dark).square().sum()
    (gradient,) = torch.autograd.grad(square, dark)
    assert gradient.isfinite().all()


def test_safetensors_hold_the_same(lpips, folder):
    save_file(make_vgg_tensors(), folder / "vgg16.safetensors")
    save_file(make_heads(), folder / "vgg.safetensors")
    heads = {"heads": str(folder / "vgg.safetensors")}
    image = torch.rand(1, 3, 16, 16, generator=seeded())
    found = load_lpips(folder / "vgg16.safetensors", heads)
    assert torch.equal(found.features(image), lpips.features(image))
    assert found.identity.name == "lpips/vgg"
    assert found.identity.digest != lpips.identity.digest


def test_what_is_missing_is_named(folder, tmp_path):
    heads = {"heads": str(folder / "vgg.pth")}
    with pytest.raises(MissingError, match=r"397923af.pth is expected at .*none, wh"):
        load_lpips(tmp_path / "none", heads)
    with pytest.raises(MissingError, match="PerceptualSimilarity is expected at none"):
        load_lpips(folder / "vgg16.pth", {"heads": "none"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lin2.model.1.weight": torch.ones(1, 2, 1, 1)}, r"lin2.*\[1, 256, 1, 1\]"),
        ({"lin0.model.1.weight": -torch.ones(1, 64, 1, 1)}, "no number below 0"),
        ({"lin1.model.1.weight": torch.full((1, 128, 1, 1), torch.inf)}, "lin1.*finit"),
        ({"lin4.model.1.weight": None}, r"lin4.*got None. Give lpips/weights/v0.1"),
    ],
)
def test_other_heads_are_refused(folder, tmp_path, change, message):
    heads = {k: v for k, v in {**make_heads(), **change}.items() if v is not None}
    torch.save(heads, tmp_path / "heads.pth")
    with pytest.raises(InputError, match=message):
        load_lpips(folder / "vgg16.pth", {"heads": str(tmp_path / "heads.pth")})


def test_other_networks_are_refused(folder, tmp_path):
    heads = {"heads": str(folder / "vgg.pth")}
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "vgg.pth")
    with pytest.raises(InputError, match=r"Missing key features.0.bias. Give torchvis"):
        load_lpips(tmp_path / "vgg.pth", heads)
    spoilt = make_vgg_tensors()
    spoilt["features.28.bias"][3] = torch.nan
    torch.save(spoilt, tmp_path / "nan.pth")
    with pytest.raises(InputError, match=r"features.28.bias in .* finite .*torchvis"):
        load_lpips(tmp_path / "nan.pth", heads)
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="holds no state dict"):
        load_lpips(tmp_path / "other.pth", heads)
    with pytest.raises(InputError, match="heads is missing"):
        load_lpips(folder / "vgg16.pth", {})


def test_pixels_are_the_mean_square():
    one, other = torch.rand(2, 2, 3, 5, 7, generator=seeded())
    loss = load_pixels(None, {})
    found = (loss.features(one) - loss.features(other)).square().sum(dim=1)
    torch.testing.assert_close(found, (one - other).square().mean(dim=(1, 2, 3)))
    assert isinstance(loss, PerceptualLoss)
    assert isinstance(loss, PixelLoss)
    with pytest.raises(InputError, match="takes no file and no options, got"):
        load_pixels(None, {"heads": "x"})
