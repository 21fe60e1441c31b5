"""The space S: what layers make of their w, and pictures made of it."""

import pytest
import torch
from generators.networks import make_stylegan2, make_stylegan3
from generators.reference import dense

from clip2latent_kedro.generators.adapters import DecoderGenerator, StyleGANGenerator
from clip2latent_kedro.generators.stylegan2 import SynthesisNetwork
from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.generators.stylegan3 import StyleGAN3Synthesis
from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config
from clip2latent_kedro.interfaces import Identity, StyledGenerator

IDENTITY = Identity("random", "0" * 64)
NETWORKS = {
    "stylegan2": make_stylegan2,
    "stylegan2 resnet": lambda: make_stylegan2(architecture="resnet"),
    "stylegan3": make_stylegan3,
}


@pytest.fixture(params=NETWORKS)
def generator(request):
    return StyleGANGenerator(NETWORKS[request.param]().double(), IDENTITY)


def draw_w(generator, num=3):
    random = torch.Generator().manual_seed(2)
    shape = (num, generator.num_ws, generator.w_dim)
    return torch.randn(shape, generator=random, dtype=torch.float64)


def test_a_1024_px_stylegan2_has_the_styles_that_are_published():
    """StyleCLIP's sweep covers the layers of up to 128 pixels, without colours."""
    sizes = {"z_dim": 512, "w_dim": 512, "channel_base": 32768, "channel_max": 512}
    with torch.device("meta"):
        network = SynthesisNetwork(StyleGAN2Config(resolution=1024, **sizes))
    layers = network.style_layers
    features = [layer for layer in layers if layer.kind == "features"]
    small = [f for f in features if int(f.name[1:].split(".")[0]) <= 128]
    assert sum(layer.num_channels for layer in layers) == 9088
    assert sum(layer.num_channels for layer in features) == 6048
    assert sum(layer.num_channels for layer in small) == 5376
    names = [layer.name for layer in layers[:6]]
    assert names == [
        *("b4.conv1", "b4.torgb"),
        *("b8.conv0", "b8.conv1", "b8.torgb"),
        "b16.conv0",
    ]
    assert [layer.w_index for layer in layers[:6]] == [0, 1, 1, 2, 3, 3]
    assert layers[-1].w_index == 17


def test_a_stylegan3_has_a_pose_and_one_layer_for_each_row_of_w():
    with torch.device("meta"):
        network = StyleGAN3Synthesis(StyleGAN3Config(512, 0, 512, 256))
    layers = network.style_layers
    assert [layer.w_index for layer in layers] == list(range(16))
    assert (layers[0].kind, layers[0].num_channels) == ("pose", 4)
    assert layers[1].name == "L0_36_512"
    assert [layer.kind for layer in layers[1:]] == ["features"] * 14 + ["colours"]


def test_styles_are_the_affine_maps_of_each_layers_w(generator):
    w = draw_w(generator)
    weights = generator.network.synthesis.state_dict()
    parts = [
        dense(
            w[:, layer.w_index],
            weights[f"{layer.name}.affine.weight"],
            weights[f"{layer.name}.affine.bias"],
        )
        for layer in generator.style_layers
    ]
    assert [part.shape[1] for part in parts] == [
        layer.num_channels for layer in generator.style_layers
    ]
    torch.testing.assert_close(generator.styles(w), torch.cat(parts, dim=1))


def test_a_picture_of_w_is_the_picture_of_its_styles(generator):
    w = draw_w(generator)
    assert isinstance(generator, StyledGenerator)
    image = generator.synthesis_from_styles(generator.styles(w), noise_mode="none")
    assert torch.equal(generator.synthesis(w, noise_mode="none"), image)


def test_the_styles_of_a_row_do_what_the_row_does(generator):
    """So that no two layers' styles are swapped."""
    w = draw_w(generator)
    styles, others = generator.styles(w), generator.styles(w.flip(0))
    sizes = [layer.num_channels for layer in generator.style_layers]
    for index in range(generator.num_ws):
        mixed = w.clone()
        mixed[:, index] = w.flip(0)[:, index]
        parts = [
            theirs if layer.w_index == index else own
            for layer, own, theirs in zip(
                generator.style_layers,
                styles.split(sizes, 1),
                others.split(sizes, 1),
                strict=True,
            )
        ]
        image = generator.synthesis_from_styles(torch.cat(parts, dim=1))
        torch.testing.assert_close(image, generator.synthesis(mixed))


def test_styles_stay_in_full_precision():
    for make in (make_stylegan2, make_stylegan3):
        generator = StyleGANGenerator(make(), IDENTITY)
        w = draw_w(generator).float()
        exact = generator.styles(w)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(generator.styles(w), exact)


def test_a_decoder_has_no_styles():
    decoder = DecoderGenerator(
        torch.nn.Identity(), z_dim=2, resolution=4, identity=IDENTITY
    )
    assert not isinstance(decoder, StyledGenerator)
