"""LAFITE's network against the equations of its program, and its warm start."""

import copy
from dataclasses import asdict

import pytest
import torch
from generators.networks import make_lafite, make_stylegan2, randomise
from generators.reference import NvidiaReference, dense, lrelu
from torch.nn import functional as F

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.lafite import Lafite, LafiteConfig
from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.interfaces import Identity

EVERY_WAY = {"4": "none", "8": "add", "16": "concatenate", "32": "scale"}
WAYS = [
    {str(r): way for r in (4, 8, 16)} for way in ("concatenate", "scale", "add", "none")
]


class Reference(NvidiaReference):
    """Lafite's training/networks.py in float64, on a state dict in its names."""

    def __init__(self, network, text):
        super().__init__(network.state_dict(), asdict(network.config))
        self.text = text.double()

    def style(self, name, w):
        way = self.config["text_layers"][name.split(".")[1][1:]]

        def last(part, x):
            return dense(x, *self._pair(f"{name}.{part}"))

        def features(part):
            x = self.text
            for index in range(2):
                pair = self._pair(f"{name}.{part}_{index}")
                x = lrelu(dense(x, *pair, self.config["text_lr"]))
            return x

        if way == "concatenate":
            return last("affine_0", torch.cat([features("pre"), w], dim=1))
        style = last("affine", w)
        if way == "add":
            return style + last("affine_0", features("pre"))
        if way == "scale":
            scale = last("scale_layer_2", features("scale_layer"))
            return scale * style + last("bias_layer_2", features("bias_layer"))
        return style


def draw_inputs(num=3, z_dim=6, text_dim=14):
    random = torch.Generator().manual_seed(1)
    z = torch.randn(num, z_dim, generator=random)
    return z, F.normalize(torch.randn(num, text_dim, generator=random))


@pytest.mark.parametrize(
    "changes",
    [
        *({"text_layers": ways} for ways in WAYS),
        {"resolution": 32, "channel_base": 128, "text_layers": EVERY_WAY},
        {"text_lr": 1.0},
    ],
    ids=str,
)
@torch.inference_mode()
def test_images_are_those_of_the_original_program(changes):
    network = make_lafite(**changes)
    z, text = draw_inputs()
    reference = Reference(network, text)
    w = reference.mapping(z)[:, None].expand(-1, network.config.num_ws, -1)
    expected = reference.synthesis(w)
    torch.testing.assert_close(network(z, text).double(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("ways", WAYS, ids=lambda ways: ways["4"])
def test_a_warm_start_draws_the_same_images_whatever_the_text(ways):
    source = make_stylegan2()
    network = make_lafite(seed=1, text_layers=ways)
    network.start_from(source)
    z, text = draw_inputs()
    expected = source.synthesis(source.mapping(z))
    for words in (text, -text, 7 * text):
        torch.testing.assert_close(network(z, words), expected)


@pytest.mark.parametrize("ways", WAYS[:3], ids=lambda ways: ways["4"])
def test_a_warm_start_can_learn_the_text(ways):
    network = make_lafite(seed=1, text_layers=ways)
    network.start_from(make_stylegan2())
    z, text = draw_inputs()
    network.requires_grad_(True)
    network(z, text).square().sum().backward()
    last = [
        layer
        for name, layer in network.named_modules()
        if name.endswith(("affine_0", "layer_2"))
    ]
    assert len(last) >= 8
    num_w = 10 if ways["4"] == "concatenate" else 0
    text_weights = [
        layer.weight.grad[:, : layer.weight.shape[1] - num_w] for layer in last
    ]
    assert all(gradient.abs().amax() > 0 for gradient in text_weights)


def test_published_files_use_the_text_as_their_paper_says():
    config = LafiteConfig(512, 512, 512, channel_base=32768, channel_max=512)
    assert config.mode(256) == "concatenate"
    assert config.mode(512) == "scale"
    with torch.device("meta"):
        state = Lafite(config).state_dict()
    shapes = {name: list(value.shape) for name, value in state.items()}
    assert shapes["synthesis.b8.conv0.affine_0.weight"] == [512, 1024]
    assert shapes["synthesis.b8.conv0.pre_1.weight"] == [512, 512]
    assert "synthesis.b8.conv0.affine.weight" not in shapes
    assert shapes["synthesis.b512.torgb.affine.weight"] == [64, 512]
    assert shapes["synthesis.b512.torgb.scale_layer_2.weight"] == [64, 512]


def test_copies_and_state_dicts_keep_the_published_names():
    network = make_lafite()
    twin = randomise(copy.deepcopy(network))
    holder = torch.nn.ModuleDict({"generator": twin})
    names = {f"generator.{name}" for name in network.state_dict()}
    assert holder.state_dict().keys() == names
    state = {f"generator.{name}": v for name, v in network.state_dict().items()}
    holder.load_state_dict(state)
    z, text = draw_inputs()
    torch.testing.assert_close(twin(z, text), network(z, text), rtol=0, atol=0)


def test_the_adapter_normalises_texts_and_gives_three_colours():
    network = make_lafite(img_channels=1)
    z, text = draw_inputs()
    sampler = TextGenerator(network, Identity("lafite", "0"))
    image = sampler.sample(z, 5 * text)
    assert image.shape == (3, 3, 16, 16)
    torch.testing.assert_close(image[:, :1], network(z, text))
    w = network.mapping(z, 0.5)
    half = sampler.sample(z, text, psi=0.5, noise_mode="none")
    torch.testing.assert_close(half[:, :1], network.synthesise(w, text, "none"))


def test_a_class_is_drawn_as_its_label():
    network = make_lafite(c_dim=3)
    z, text = draw_inputs()
    sampler = TextGenerator(network, Identity("lafite", "0"), class_label=2)
    label = torch.eye(3)[[2, 2, 2]]
    torch.testing.assert_close(sampler.sample(z, text), network(z, text, c=label))
    with pytest.raises(InputError, match="class_label must be left out"):
        TextGenerator(make_lafite(), Identity("lafite", "0"), class_label=2)


def test_a_text_of_another_encoder_is_refused():
    sampler = TextGenerator(make_lafite(), Identity("lafite", "0"))
    z, _ = draw_inputs()
    with pytest.raises(InputError, match=r"must have shape \[3, 14\] .* got \[3, 9\]"):
        sampler.sample(z, torch.randn(3, 9))
    sampler.check_encoder(Identity("any", "1"))  # nobody knows whose texts it wants
    own = make_lafite(text_encoder="clip@1")
    sampler = TextGenerator(own, Identity("lafite", "0"))
    sampler.check_encoder(Identity("clip", "1"))
    with pytest.raises(InputError, match=r"encoder clip@1, got other@1"):
        sampler.check_encoder(Identity("other", "1"))
