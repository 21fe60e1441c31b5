"""StyleGAN2 and 3 as their programs compute them, from their own state, in float64.

Slow and literal: zeros are inserted, kernels are made for each sample, and filters
are convolutions by their definition. Written from the equations of the programs
(NVlabs/stylegan2, NVlabs/stylegan2-ada-pytorch, NVlabs/stylegan3 and
rosinality/stylegan2-pytorch), with nothing of the package under test.
"""

from math import log2, pi, sqrt

import numpy as np
import torch
from torch.nn import functional as F


def upfirdn(x, kernel, *, up=1, pad=(0, 0)):
    """Insert zeros after every sample, pad, convolve (not correlate)."""
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, h * up, w * up)
    wide[:, :, ::up, ::up] = x
    wide = F.pad(wide, (pad[0], pad[1], pad[0], pad[1]))
    kernel = kernel.flip(0, 1).expand(c, 1, *kernel.shape)
    return F.conv2d(wide, kernel, groups=c)


def outer(taps):
    """Return the filter [n, n] with sum 1."""
    taps = torch.tensor(list(taps), dtype=torch.float64)
    return torch.outer(taps, taps) / taps.sum() ** 2


def upsample(image, kernel):
    """Double the resolution by a filter of gain 4 (upfirdn2d.upsample2d, factor 2)."""
    num = len(kernel)
    pad = ((num + 1) // 2, (num - 2) // 2)
    return upfirdn(image, kernel, up=2, pad=pad)


def lrelu(x):
    return torch.where(x < 0, 0.2 * x, x) * sqrt(2)


def norm(x):
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def dense(x, weight, bias, lr=1.0):
    return x @ (weight * lr / sqrt(weight.shape[1])).T + bias * lr


def modulated(x, weight, style, *, demodulate=True, up=None):
    """Convolve each sample with its own kernels; up-sampling ones are transposed.

    Args:
        x: [n, i, h, w].
        weight: [o, i, k, k].
        style: [n, i].
        demodulate: To unit norm of each kernel.
        up: The filter [m, m], gain 4 included, if zeros are inserted, convolved (not
            correlated) and filtered.
    """
    images = []
    for sample, factors in zip(x, style, strict=True):
        kernel = weight * factors[None, :, None, None]
        if demodulate:
            power = kernel.square().sum((1, 2, 3), keepdim=True)
            kernel = kernel / (power + 1e-8).sqrt()
        padding = kernel.shape[-1] // 2
        if up is None:
            images.append(F.conv2d(sample[None], kernel, padding=padding))
            continue
        i, h, w = sample.shape
        wide = sample.new_zeros(1, i, 2 * h, 2 * w)
        wide[0, :, ::2, ::2] = sample
        # A transposed convolution is a full one of what has zeros inserted.
        wide = F.conv2d(F.pad(wide, (2, 1, 2, 1)), kernel.flip(2, 3))
        num = len(up)
        pad = ((num + 1) // 2 - 1, (num - 2) // 2)
        images.append(upfirdn(wide, up, pad=pad))
    return torch.cat(images)


class NvidiaReference:
    """stylegan2-ada-pytorch's generator, on a state dict in its names."""

    def __init__(self, tensors, config):
        self.t = {name: value.double() for name, value in tensors.items()}
        self.config = config
        self.filter = 4 * outer(config["resample_filter"])

    def mapping(self, z, c=None):
        lr = self.config["mapping_lr"]
        x = norm(z.double())
        if c is not None:
            embedded = dense(c.double(), *self._pair("mapping.embed"))
            x = torch.cat([x, norm(embedded)], 1)
        for index in range(self.config["mapping_layers"]):
            x = lrelu(dense(x, *self._pair(f"mapping.fc{index}"), lr))
        return x

    def synthesis(self, w):
        """Return the image with constant noise for w, [n, num_ws, w_dim]."""
        rows = iter(w.double().unbind(1))
        last, joins = self.config["resolution"], self.config["architecture"]
        x = image = None
        row = next(rows)
        for power in range(2, int(log2(last)) + 1):
            block = f"synthesis.b{2**power}"
            gain = sqrt(0.5) if joins == "resnet" and power > 2 else 1.0
            if power == 2:
                x = self.t[f"{block}.const"].expand(len(w), -1, -1, -1)
            else:
                before = x
                x = self._layer(f"{block}.conv0", x, row, up=True)
                row = next(rows)
            x = self._layer(f"{block}.conv1", x, row, gain=gain)
            row = next(rows)
            if gain != 1:
                skip = self.t[f"{block}.skip.weight"] / sqrt(before.shape[1])
                x = x + gain * upsample(F.conv2d(before, skip), self.filter)
            if image is not None:
                image = upsample(image, self.filter)
            if joins == "skip" or 2**power == last:
                colours = self._colours(f"{block}.torgb", x, row)
                image = colours if image is None else image + colours
        return image

    def style(self, name, w):
        """Return the factors of a layer's channels."""
        return dense(w, *self._pair(f"{name}.affine"))

    def _layer(self, name, x, w, *, up=False, gain=1.0):
        x = modulated(
            x,
            self.t[f"{name}.weight"],
            self.style(name, w),
            up=self.filter if up else None,
        )
        if f"{name}.noise_const" in self.t:
            x = x + self.t[f"{name}.noise_const"] * self.t[f"{name}.noise_strength"]
        x = lrelu(x + self.t[f"{name}.bias"][:, None, None]) * gain
        return self._clamped(x, gain)

    def _colours(self, name, x, w):
        style = self.style(name, w) / sqrt(x.shape[1])
        x = modulated(x, self.t[f"{name}.weight"], style, demodulate=False)
        return self._clamped(x + self.t[f"{name}.bias"][:, None, None], 1.0)

    def _clamped(self, x, gain):
        clamp = self.config["conv_clamp"]
        return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)

    def _pair(self, name):
        return self.t[f"{name}.weight"], self.t[f"{name}.bias"]


def resample(x, filter_, *, up=1, down=1, padding=(0, 0)):
    """Insert zeros, pad or cut, filter along one axis or both, throw samples away."""
    filter_ = x.new_ones(1) if filter_ is None else filter_
    kernels = [filter_[:, None], filter_[None]] if filter_.ndim == 1 else [filter_]
    for number, kernel in enumerate(kernels):
        kernel = up ** (2 / len(kernels)) * kernel
        first = {"up": up, "pad": padding} if number == 0 else {}
        x = upfirdn(x, kernel, **first)
    return x[:, :, ::down, ::down]


def filtered_lrelu(x, up_filter, down_filter, grid, clamp):
    """Return what stylegan3's filtered_lrelu does between grids of these sizes."""
    # Paddings as NVIDIA's release has them, for input and output of these sizes.
    total = (grid.size_out - 1) * grid.down + 1 - grid.size_in * grid.up
    total += grid.up_taps + grid.down_taps - 2
    before = (total + grid.up) // 2
    y = resample(x, up_filter, up=grid.up, padding=(before, total - before))
    y = lrelu(y)
    y = y if clamp is None else y.clamp(-clamp, clamp)
    return resample(y, down_filter, down=grid.down)


def fourier_features(state, w, signal):
    """Return stylegan3's SynthesisInput of w, [n, w_dim], from its state dict."""
    pose = dense(w, state["affine.weight"], state["affine.bias"])
    cos, sin, x, y = (pose / pose[:, :2].norm(dim=1, keepdim=True)).unbind(1)
    turn, move = (torch.eye(3).to(w).repeat(len(w), 1, 1) for _ in range(2))
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = cos, -sin, sin, cos
    move[:, 0, 2], move[:, 1, 2] = -x, -y
    plane = turn @ move @ state["transform"]
    place = (torch.arange(signal.size).to(w) + 0.5 - signal.size / 2) / signal.rate
    y, x = torch.meshgrid(place, place, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], -1)  # [size, size, 3]
    moved = torch.einsum("nij,hwj->nhwi", plane, points)[..., :2]
    waves = torch.sin(2 * pi * (moved @ state["freqs"].T + state["phases"]))
    seen = (state["freqs"] @ plane[:, :2, :2]).norm(dim=2)  # [n, channels]
    fade = 1 - (seen - signal.cutoff) / (signal.rate / 2 - signal.cutoff)
    waves = waves * fade.clamp(0, 1)[:, None, None]
    weight = state["weight"] / sqrt(signal.channels)
    return (waves @ weight.T).permute(0, 3, 1, 2)


def rosinality_image(state, z, num_layers):
    """Return the image of z with the stored noise, of a state dict of model.py."""
    t = {name: value.double() for name, value in state.items()}

    def convolved(name, x, w, **others):
        weight = t[f"{name}.conv.weight"][0]
        modulation = (
            t[f"{name}.conv.modulation.{part}"] for part in ("weight", "bias")
        )
        style, scale = dense(w, *modulation), 1 / sqrt(weight[0].numel())
        return modulated(x, scale * weight, style, **others)

    def styled(name, x, w, noise):
        x = convolved(name, x, w, up=t.get(f"{name}.conv.blur.kernel"))
        x = x + t[f"{name}.noise.weight"] * t[f"noises.noise_{noise}"]
        return lrelu(x + t[f"{name}.activate.bias"][None, :, None, None])

    def colours(name, x, w, image):
        made = convolved(name, x, w, demodulate=False) + t[f"{name}.bias"]
        if image is None:
            return made
        return made + upsample(image, t[f"{name}.upsample.kernel"])

    w = norm(z.double())
    for index in range(1, num_layers + 1):
        weight, bias = t[f"style.{index}.weight"], t[f"style.{index}.bias"]
        w = lrelu(dense(w, weight, bias, 0.01))
    x = styled("conv1", t["input.input"].expand(len(w), -1, -1, -1), w, 0)
    image = colours("to_rgb1", x, w, None)
    block = 0
    while f"convs.{2 * block}.conv.weight" in t:
        x = styled(f"convs.{2 * block}", x, w, 2 * block + 1)
        x = styled(f"convs.{2 * block + 1}", x, w, 2 * block + 2)
        image = colours(f"to_rgbs.{block}", x, w, image)
        block += 1
    return image


def tensorflow_image(variables, z, resolution, architecture="skip", taps=(1, 3, 3, 1)):
    """Return the image of z with the stored noise, of variables of NVlabs/stylegan2."""
    v = {
        name: torch.from_numpy(np.asarray(value, dtype=np.float64))
        for name, value in variables.items()
    }

    kernel = 4 * outer(taps)

    def matrix(name):
        return v[name] / sqrt(v[name].shape[0])

    def styled(name, x, w, *, up=False, demodulate=True):
        weight = v[f"{name}/weight"]  # [k, k, in, out]
        weight = weight / sqrt(weight[..., 0].numel())
        if up:  # upsample_conv_2d mirrors the kernel, then transposes the convolution
            weight = weight.flip(0, 1)
        style = w @ matrix(f"{name}/mod_weight") + v[f"{name}/mod_bias"] + 1
        return modulated(
            x,
            weight.permute(3, 2, 0, 1),
            style,
            demodulate=demodulate,
            up=kernel if up else None,
        )

    def layer(name, x, w, noise, *, up=False):
        x = styled(name, x, w, up=up)
        x = x + v[f"synthesis/noise{noise}"] * v[f"{name}/noise_strength"]
        return lrelu(x + v[f"{name}/bias"][None, :, None, None])

    def colours(name, x, w):
        made = styled(f"{name}/ToRGB", x, w, demodulate=False)
        return made + v[f"{name}/ToRGB/bias"][None, :, None, None]

    w = norm(z.double())
    index = 0
    while f"mapping/Dense{index}/weight" in v:
        dense_layer = matrix(f"mapping/Dense{index}/weight") * 0.01
        w = lrelu(w @ dense_layer + v[f"mapping/Dense{index}/bias"] * 0.01)
        index += 1
    name = "synthesis/4x4"
    x = v[f"{name}/Const/const"].expand(len(w), -1, -1, -1)
    x = layer(f"{name}/Conv", x, w, 0)
    image = colours(name, x, w) if architecture == "skip" else None
    for power in range(3, int(log2(resolution)) + 1):
        name = f"synthesis/{2**power}x{2**power}"
        before = x
        x = layer(f"{name}/Conv0_up", x, w, 2 * power - 5, up=True)
        x = layer(f"{name}/Conv1", x, w, 2 * power - 4)
        if architecture == "resnet":
            skip = v[f"{name}/Skip/weight"][0, 0].T[:, :, None, None]
            branch = upsample(F.conv2d(before, skip / sqrt(skip.shape[1])), kernel)
            x = (x + branch) / sqrt(2)
        if image is not None:
            image = upsample(image, kernel)
        if architecture == "skip" or 2**power == resolution:
            made = colours(name, x, w)
            image = made if image is None else image + made
    return image
