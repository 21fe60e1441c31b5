"""The StyleGAN2 generator network (Karras et al. 2020), in pure PyTorch.

Module and parameter names are those of NVIDIA's PyTorch release, so that its
weights load key by key. w becomes styles (the space S, see `interfaces.StyleLayer`),
and all that layers see are their styles. Styles and demodulation scale channels, which
commutes with a convolution: they scale the maps around a kernel that the whole batch
shares, or, of a single sample, the kernel if that is smaller. Styles and the image stay
in single precision under autocast.
"""

from collections.abc import Iterator
from math import sqrt

import torch
from torch import Tensor, nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.generators.stylegan2_layers import (
    FullyConnected,
    SkipConvolution,
    SynthesisLayer,
    ToRGB,
    fir_filter,
    leaky_relu,
    second_moment_norm,
    upsample,
)
from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config
from clip2latent_kedro.interfaces import NoiseMode, StyleLayer

MAX_ELEMENTS = 2**21  # of a feature map in the cache: 8 MiB in single precision

STYLED = ("conv0", "conv1", "torgb")  # the layers of a block that take a style

BlockOutput = tuple[Tensor, Tensor | None]  # features; the image so far


class MappingNetwork(nn.Module):
    """z -> w: normalisation to unit second moment, then fully connected layers.

    A label c becomes an embedding, normalised as z is, beside it.
    """

    w_avg: Tensor

    def __init__(self, config: StyleGAN2Config | StyleGAN3Config) -> None:
        """Build with random weights; StyleGAN3 has the same mapping network."""
        super().__init__()
        self.num_layers = config.mapping_layers
        self.num_ws = config.num_ws
        self.c_dim = config.c_dim
        dim_in = config.z_dim
        if config.c_dim:
            embed_features = config.embed_features or config.w_dim
            self.embed = FullyConnected(config.c_dim, embed_features)
            dim_in += embed_features
        hidden = config.mapping_features or config.w_dim
        dims = [dim_in, *[hidden] * (config.mapping_layers - 1), config.w_dim]
        for index in range(config.mapping_layers):
            layer = FullyConnected(dims[index], dims[index + 1], lr=config.mapping_lr)
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        c: Tensor | None = None,
    ) -> Tensor:
        """Return w, [n, num_ws, w_dim].

        Args:
            z: [n, z_dim].
            psi: Truncation towards `w_avg`.
            cutoff: Number of leading layers that are truncated; all if None.
            c: Labels, [n, c_dim], of a conditional generator; None of another.

        Raises:
            InputError: If c is missing, or given to an unconditional generator.
        """
        if (c is None) == bool(self.c_dim):
            got = "none" if c is None else list(c.shape)
            msg = f"A label c of {self.c_dim} channels is expected with z, got {got}."
            raise InputError(msg)
        x = second_moment_norm(z)
        if c is not None:
            x = torch.cat([x, second_moment_norm(self.embed(c))], dim=1)
        for index in range(self.num_layers):
            x = leaky_relu(self.get_submodule(f"fc{index}")(x))
        w = x[:, None].repeat(1, self.num_ws, 1)
        if psi != 1:
            w[:, :cutoff] = self.w_avg.lerp(w[:, :cutoff], psi)
        return w


class SynthesisBlock(nn.Module):
    """One resolution: two convolutions (the first block: one) and its colours.

    Colours are made by every block of architecture `skip`, of others by the last.
    """

    resample_filter: Tensor

    def __init__(self, resolution: int, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        channels = config.channels(resolution)
        self.num_elements = channels * resolution**2  # of a sample's feature map
        # Rows of its input that a row of its output is made of, to either side.
        self.margin = 2 + (len(config.resample_filter) - 1) // 4
        self.is_first = resolution == 4
        self.is_residual = config.architecture == "resnet" and not self.is_first
        # The sum of two branches keeps the variance of one.
        gain = sqrt(0.5) if self.is_residual else 1.0
        if self.is_first:
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        else:
            channels_in = config.channels(resolution // 2)
            self.conv0 = SynthesisLayer(
                channels_in, channels, config, resolution, up=True
            )
        self.conv1 = SynthesisLayer(channels, channels, config, resolution, gain=gain)
        is_last = resolution == config.resolution
        self.has_colours = is_last or config.architecture == "skip"
        if self.has_colours:
            self.torgb = ToRGB(channels, config)
        if self.is_residual:
            taps = config.resample_filter
            self.skip = SkipConvolution(channels_in, channels, taps)
        self.register_buffer("resample_filter", fir_filter(config.resample_filter))
        # Of the layers that take a style, in the order of use.
        self.num_styles = {
            name: layer.num_styles
            for name in STYLED
            if (layer := getattr(self, name, None)) is not None
        }

    def forward(
        self,
        x: Tensor | None,
        image: Tensor | None,
        styles: Tensor,
        noise_mode: NoiseMode,
        rows: slice = slice(None),
    ) -> BlockOutput:
        """Return features and the image so far, None before the first colours.

        Args:
            x: Features of the block before; None for the first.
            image: Its image; None if it has none.
            styles: Of the block's layers one after another, [n, num_channels].
            noise_mode: Which noise is added (see `SynthesisNetwork`).
            rows: Of the result, if x is a strip (see `forward_in_pieces`).
        """
        parts = torch.split(styles, list(self.num_styles.values()), dim=1)
        style = dict(zip(self.num_styles, parts, strict=True))
        if x is None:
            x = self.const.expand(len(styles), -1, -1, -1)
            if x.device.type == "cpu":  # the layout in which CPUs convolve fastest
                x = x.contiguous(memory_format=torch.channels_last)
            x = self.conv1(x, style["conv1"], noise_mode, rows)
        else:
            features = self.conv0(x, style["conv0"], noise_mode, rows)
            features = self.conv1(features, style["conv1"], noise_mode, rows)
            x = features + self.skip(x) * sqrt(0.5) if self.is_residual else features
        if image is not None:
            with torch.autocast(image.device.type, enabled=False):
                image = upsample(image, self.resample_filter)
        if self.has_colours:
            colours = self.torgb(x, style["torgb"])
            image = colours if image is None else image + colours
        return x, image

    def forward_in_pieces(
        self,
        x: Tensor | None,
        image: Tensor | None,
        styles: Tensor,
        noise_mode: NoiseMode,
    ) -> BlockOutput:
        """Return what `forward` does, made in pieces that stay in a processor's cache.

        At high resolutions a CPU spends more time on moving feature maps than on
        arithmetic. So it makes a few samples at a time and, where even one is too
        large, strips of its rows. Pieces are for calls without gradients, which would
        keep all of them anyway. Random noise is not cut into strips, which would not
        agree on it where their margins overlap.
        """
        is_whole = x is None or x.device.type != "cpu" or torch.is_grad_enabled()
        if is_whole or torch.compiler.is_compiling():
            whole: BlockOutput = self(x, image, styles, noise_mode)
            return whole
        assert x is not None
        batch, step = max(1, MAX_ELEMENTS // self.num_elements), x.shape[2]
        if self.num_elements > MAX_ELEMENTS and noise_mode != "random":
            step = max(4 * self.margin, step * MAX_ELEMENTS // self.num_elements)
        batches = []
        for first in range(0, len(x), batch):
            part = slice(first, first + batch)
            inputs = x[part], None if image is None else image[part], styles[part]
            strips = [
                self._forward_strip(*inputs, noise_mode, top, top + step)
                for top in range(0, x.shape[2], step)
            ]
            batches.append(_join(strips, dim=2))
        return _join(batches, dim=0)

    def _forward_strip(
        self,
        x: Tensor,
        image: Tensor | None,
        styles: Tensor,
        noise_mode: NoiseMode,
        top: int,
        bottom: int,
    ) -> BlockOutput:
        """Return the rows that are made of rows [top, bottom) of the input.

        It is read with a margin: what the padding at its cut edges spoils lies within
        the margin and is dropped.
        """
        bottom = min(bottom, x.shape[2])
        start, stop = max(top - self.margin, 0), min(bottom + self.margin, x.shape[2])
        features, colours = self(
            x[:, :, start:stop],
            None if image is None else image[:, :, start:stop],
            styles,
            noise_mode,
            slice(2 * start, 2 * stop),
        )
        kept = slice(2 * (top - start), 2 * (bottom - start))
        colours = None if colours is None else colours[:, :, kept]
        return features[:, :, kept], colours


def _join(pieces: list[BlockOutput], dim: int) -> BlockOutput:
    if len(pieces) == 1:
        return pieces[0]
    colours = [image for _, image in pieces if image is not None]
    features = torch.cat([x for x, _ in pieces], dim)
    return features, torch.cat(colours, dim) if colours else None


class SynthesisNetwork(nn.Module):
    """w -> styles -> image, the sum of the colours of all blocks that make some."""

    def __init__(self, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        if config.channels(config.resolution) < 1:
            msg = (
                f"channel_base must be the resolution ({config.resolution}) or more, "
                f"got {config.channel_base}, which leaves a block without channels."
            )
            raise InputError(msg)
        self.block_resolutions = config.block_resolutions
        for resolution in self.block_resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(resolution, config))
        self.style_layers = list(self._list_style_layers())

    def _list_style_layers(self) -> Iterator[StyleLayer]:
        """Yield the layers that take a style, in the order of use."""
        for index, resolution in enumerate(self.block_resolutions):
            # A block's colours share their w with the next block's first layer.
            rows = {"conv0": 2 * index - 1, "conv1": 2 * index, "torgb": 2 * index + 1}
            for name, num_styles in self._block(resolution).num_styles.items():
                yield StyleLayer(
                    f"b{resolution}.{name}",
                    num_styles,
                    rows[name],
                    "colours" if name == "torgb" else "features",
                )

    def _block(self, resolution: int) -> SynthesisBlock:
        block = self.get_submodule(f"b{resolution}")
        assert isinstance(block, SynthesisBlock)
        return block

    def forward(
        self, w: Tensor, noise_mode: NoiseMode = "const", last: int | None = None
    ) -> Tensor:
        """Return images, [n, img_channels, resolution, resolution], about [-1, 1].

        Args:
            w: [n, num_ws, w_dim].
            noise_mode: `const` (stored maps), `random` (new ones) or `none`.
            last: Stop at this resolution and return its image (architecture `skip`).
        """
        return self.from_styles(self.styles(w, last), noise_mode, last)

    def styles(self, w: Tensor, last: int | None = None) -> Tensor:
        """Return what the layers' affine maps make of w, [n, num_channels].

        Args:
            w: [n, num_ws, w_dim].
            last: Stop after the block of this resolution.
        """
        layers = self.style_layers
        if last is not None:
            made = self.block_resolutions[: self.block_resolutions.index(last) + 1]
            layers = layers[: sum(len(self._block(r).num_styles) for r in made)]
        with torch.autocast(w.device.type, enabled=False):
            styles = [
                self.get_submodule(f"{layer.name}.affine")(w[:, layer.w_index])
                for layer in layers
            ]
        return torch.cat(styles, dim=1)

    def from_styles(
        self, styles: Tensor, noise_mode: NoiseMode = "const", last: int | None = None
    ) -> Tensor:
        """Return images of what `styles` returns; see `forward`."""
        x: Tensor | None = None
        image: Tensor | None = None
        start = 0
        for resolution in self.block_resolutions:
            block = self._block(resolution)
            stop = start + sum(block.num_styles.values())
            own = styles[:, start:stop]
            x, image = block.forward_in_pieces(x, image, own, noise_mode)
            start = stop
            if resolution == last:
                break
        assert image is not None
        return image


class StyleGAN2(nn.Module):
    """Mapping and synthesis together, as NVIDIA's `G_ema` holds them."""

    def __init__(self, config: StyleGAN2Config) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.synthesis = SynthesisNetwork(config)
