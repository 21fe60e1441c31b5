"""The StyleGAN3 generator network (Karras et al. 2021), in pure PyTorch.

Module, parameter and buffer names are those of NVIDIA's release, so that its weights
load key by key. Both configurations are there: T (equivariant to translation) and R
(to rotation too). w becomes styles, and all that layers see are their styles.
"""

import torch
from torch import Tensor, nn

from clip2latent_kedro.generators.stylegan2 import MappingNetwork
from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config
from clip2latent_kedro.generators.stylegan3_layers import FourierInput, StyleGAN3Layer
from clip2latent_kedro.interfaces import NoiseMode, StyleLayer


class StyleGAN3Synthesis(nn.Module):
    """w -> styles -> image: Fourier features, layers of rising bandwidth, colours."""

    def __init__(self, config: StyleGAN3Config) -> None:
        """Build with random weights."""
        super().__init__()
        self.output_scale = config.output_scale
        signals = config.signals
        self.input = FourierInput(config.w_dim, signals[0])
        self.layer_names = []
        self.style_layers = [StyleLayer("input", self.input.num_styles, 0, "pose")]
        for index, target in enumerate(signals):
            layer = StyleGAN3Layer(
                signals[max(index - 1, 0)],
                target,
                config,
                critical=index >= config.num_layers - config.num_critical,
                colours=index == config.num_layers,
            )
            self.layer_names.append(f"L{index}_{target.size}_{target.channels}")
            self.add_module(self.layer_names[-1], layer)
            self.style_layers.append(
                StyleLayer(
                    self.layer_names[-1],
                    layer.num_styles,
                    index + 1,
                    "colours" if layer.colours else "features",
                )
            )

    def forward(self, w: Tensor, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images, [n, img_channels, resolution, resolution], about [-1, 1].

        Under `torch.autocast` the feature maps have its type; what places and scales
        them stays in full precision.

        Args:
            w: [n, num_ws, w_dim].
            noise_mode: Without effect; StyleGAN3 has no noise.
        """
        return self.from_styles(self.styles(w), noise_mode)

    def styles(self, w: Tensor) -> Tensor:
        """Return what the layers' affine maps make of w, [n, num_channels].

        Args:
            w: [n, num_ws, w_dim].
        """
        with torch.autocast(w.device.type, enabled=False):
            styles = [
                self.get_submodule(f"{layer.name}.affine")(w[:, layer.w_index])
                for layer in self.style_layers
            ]
        return torch.cat(styles, dim=1)

    def from_styles(self, styles: Tensor, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images of what `styles` returns; see `forward`."""
        device = styles.device.type
        lowered = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if lowered else styles.dtype
        sizes = [layer.num_channels for layer in self.style_layers]
        with torch.autocast(device, enabled=False):
            pose, *others = torch.split(styles, sizes, dim=1)
            x: Tensor = self.input(pose).to(dtype)
            for name, style in zip(self.layer_names, others, strict=True):
                x = self.get_submodule(name)(x, style)
            return x.to(styles.dtype) * self.output_scale


class StyleGAN3(nn.Module):
    """Mapping and synthesis together, as NVIDIA's `G_ema` holds them."""

    def __init__(self, config: StyleGAN3Config) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.synthesis = StyleGAN3Synthesis(config)
