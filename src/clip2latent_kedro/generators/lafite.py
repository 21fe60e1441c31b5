"""LAFITE's generator (Zhou et al. 2021, arXiv 2111.13792): StyleGAN2 that sees a text.

Each layer's affine map from w to its style is replaced by one from w and the text's
embedding; all else is StyleGAN2's. A block does it in one of four ways, with a the
affine map and u, s, b small networks on the text (drboog/Lafite,
training/networks.py):

    concatenate    style = a(u(text), w)                 up to 256 pixels
    scale          style = s(text) * a(w) + b(text)      above
    add            style = a(w) + a'(u(text))
    none           style = a(w)
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from clip2latent_kedro.checked import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rule,
)
from clip2latent_kedro.generators.stylegan2 import (
    STYLED,
    MappingNetwork,
    StyleGAN2,
    SynthesisNetwork,
)
from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.generators.stylegan2_layers import FullyConnected, leaky_relu
from clip2latent_kedro.interfaces import NoiseMode

TextLayers = Literal["concatenate", "scale", "add", "none"]

_LARGEST_CONCATENATED = 256
_PARTS = r"affine|affine_0|pre_\d|scale_layer_\d|bias_layer_\d"


@dataclass(frozen=True)
class LafiteConfig(StyleGAN2Config):
    """Architecture of a LAFITE generator: StyleGAN2's, and how it sees a text.

    Attributes:
        text_dim: Channels of the text's embedding.
        text_features: Channels that the small networks make of it.
        text_lr: Learning-rate multiplier of their hidden layers, part of the weights.
        text_layers: How the block of each resolution (its digits are the key) uses
            the text; one that is not named does as the published generators do.
        text_encoder: Name and digest of the encoder of its texts, NAME@DIGEST; None
            where nobody knows.
        training_seconds: Time that the training took; None where nobody knows.
        training_images: Real images that the training has seen, one as often as it
            was seen; None where nobody knows.
    """

    text_dim: PositiveInt = 512
    text_features: PositiveInt = 512
    text_lr: PositiveFloat = 0.01
    text_layers: Mapping[str, TextLayers] | None = None
    text_encoder: str | None = None
    training_seconds: NonNegativeFloat | None = None
    training_images: NonNegativeInt | None = None

    def __post_init__(self) -> None:
        """Check the additions too, and name every block in `text_layers`."""
        super().__post_init__()
        modes: dict[str, TextLayers] = {
            str(r): "concatenate" if r <= _LARGEST_CONCATENATED else "scale"
            for r in self.block_resolutions
        }
        object.__setattr__(self, "text_layers", modes | dict(self.text_layers or {}))

    def rules(self) -> Iterator[Rule]:
        """Yield that only blocks use the text that there are."""
        yield from super().rules()
        known = list(map(str, self.block_resolutions))
        expected = f"ways by resolution, among {', '.join(known)}"
        yield set(self.text_layers or {}) <= set(known), "text_layers", expected

    def mode(self, resolution: int) -> TextLayers:
        """Return how the block of a resolution uses the text."""
        assert self.text_layers is not None
        return self.text_layers[str(resolution)]

    @property
    def text_hidden(self) -> int:
        """Return the channels between the layers of the small networks."""
        return (self.text_dim + self.text_features) // 2


class TextStyle(nn.Module):
    """(w, text) -> the style of one layer, where StyleGAN2 has an affine map of w."""

    scale_layer_2: FullyConnected
    bias_layer_2: FullyConnected

    def __init__(self, channels: int, mode: TextLayers, config: LafiteConfig) -> None:
        """Build with random weights.

        Args:
            channels: Channels of the style.
            mode: See the module's description.
            config: Sizes of the generator.
        """
        super().__init__()
        self.mode = mode
        self.w_dim = config.w_dim
        dims = (config.text_dim, config.text_hidden, config.text_features)
        w_dim, features, lr = config.w_dim, config.text_features, config.text_lr
        if mode != "concatenate":
            self.affine = FullyConnected(w_dim, channels, bias_init=1.0)
        if mode in ("concatenate", "add"):
            self.pre_0 = FullyConnected(dims[0], dims[1], lr=lr)
            self.pre_1 = FullyConnected(dims[1], dims[2], lr=lr)
            num_in = features + (w_dim if mode == "concatenate" else 0)
            self.affine_0 = FullyConnected(num_in, channels, bias_init=1.0)
        elif mode == "scale":
            for name in ("scale_layer", "bias_layer"):
                for index in range(2):
                    layer = FullyConnected(dims[index], dims[index + 1], lr=lr)
                    self.add_module(f"{name}_{index}", layer)
                self.add_module(f"{name}_2", FullyConnected(features, channels))

    def forward(self, w_and_text: Tensor) -> Tensor:
        """Return styles, [n, channels], of [n, w_dim + text_dim]."""
        w, text = w_and_text[:, : self.w_dim], w_and_text[:, self.w_dim :]
        if self.mode == "concatenate":
            features = torch.cat([self._features("pre", text), w], dim=1)
            style: Tensor = self.affine_0(features)
            return style
        style = self.affine(w)
        if self.mode == "add":
            style = style + self.affine_0(self._features("pre", text))
        elif self.mode == "scale":
            scale = self.scale_layer_2(self._features("scale_layer", text))
            bias = self.bias_layer_2(self._features("bias_layer", text))
            style = style * scale + bias
        return style

    def _features(self, name: str, text: Tensor) -> Tensor:
        for index in range(2):
            text = leaky_relu(self.get_submodule(f"{name}_{index}")(text))
        return text

    @torch.no_grad()
    def start_from(self, affine: FullyConnected) -> None:
        """Make the style that of an affine map of w, whatever the text is.

        What the text adds has the weight 0 and can be learnt from there.
        """
        if self.mode == "concatenate":
            num = self.w_dim
            gain = affine.weight_gain / self.affine_0.weight_gain
            self.affine_0.weight[:, :-num] = 0
            self.affine_0.weight[:, -num:] = affine.weight * gain
            self.affine_0.bias.copy_(affine.bias)
            return
        self.affine.load_state_dict(affine.state_dict())
        if self.mode == "add":
            nn.init.zeros_(self.affine_0.weight)
            nn.init.zeros_(self.affine_0.bias)
        elif self.mode == "scale":
            for layer in (self.scale_layer_2, self.bias_layer_2):
                nn.init.zeros_(layer.weight)
            nn.init.ones_(self.scale_layer_2.bias)
            nn.init.zeros_(self.bias_layer_2.bias)


class Lafite(nn.Module):
    """Mapping and text-conditioned synthesis, as LAFITE's `G_ema` holds them.

    The state dict has the names of the published files, in which the parts of a
    `TextStyle` lie beside the other weights of its layer.
    """

    def __init__(self, config: LafiteConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.synthesis = SynthesisNetwork(config)
        for resolution, _, layer in self._styled_layers():
            mode = config.mode(resolution)
            layer.affine = TextStyle(layer.num_styles, mode, config)
        self.register_state_dict_post_hook(_publish_names)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_accept_published_names)  # type: ignore[no-untyped-call]

    def synthesise(
        self, w: Tensor, text: Tensor, noise_mode: NoiseMode = "const"
    ) -> Tensor:
        """Return images, [n, img_channels, resolution, resolution], about [-1, 1].

        Args:
            w: [n, num_ws, w_dim].
            text: Embeddings of unit length, [n, text_dim].
            noise_mode: Which noise is added (see `SynthesisNetwork`).
        """
        text = text[:, None].expand(-1, w.shape[1], -1)
        image: Tensor = self.synthesis(torch.cat([w, text], dim=2), noise_mode)
        return image

    def forward(
        self, z: Tensor, text: Tensor, psi: float = 1.0, c: Tensor | None = None
    ) -> Tensor:
        """Return images of z, [n, z_dim], and texts, with constant noise.

        Args:
            z: [n, z_dim].
            text: Embeddings of unit length, [n, text_dim].
            psi: Truncation of w.
            c: Labels of a conditional generator.
        """
        return self.synthesise(self.mapping(z, psi, c=c), text)

    def start_from(self, network: StyleGAN2) -> None:
        """Take over the weights of a StyleGAN2, whose images no text then changes."""
        own, others = self.state_dict(), network.state_dict()
        shared = {name: value for name, value in others.items() if name in own}
        self.load_state_dict({**own, **shared})
        for resolution, name, layer in self._styled_layers():
            source = network.synthesis.get_submodule(f"b{resolution}.{name}")
            layer.affine.start_from(source.affine)

    def _styled_layers(self) -> list[tuple[int, str, Any]]:
        """Return (resolution, name, layer) of every layer that takes a style."""
        return [
            (resolution, name, layer)
            for resolution in self.config.block_resolutions
            for name, layer in self.synthesis.get_submodule(
                f"b{resolution}"
            ).named_children()
            if name in STYLED
        ]


def _publish_names(
    module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any
) -> None:
    """Leave out, in place, the level of `TextStyle` in a state dict's names."""
    layer = rf"({re.escape(prefix)}synthesis\.b\d+\.\w+)"
    _rename(state, rf"{layer}\.affine\.(\w+\.\w+)", r"\1.\2")


def _accept_published_names(
    module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any
) -> None:
    """Put back, in place, what `_publish_names` leaves out."""
    layer = rf"({re.escape(prefix)}synthesis\.b\d+\.\w+)"
    _rename(state, rf"{layer}\.((?:{_PARTS})\.\w+)", r"\1.affine.\2")


def _rename(state: dict[str, Tensor], pattern: str, replacement: str) -> None:
    for name in list(state):
        state[re.sub(f"^{pattern}$", replacement, name)] = state.pop(name)
