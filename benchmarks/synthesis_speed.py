"""Seconds per image of the StyleGAN synthesis networks, beside plain references.

    python benchmarks/synthesis_speed.py --resolution 256 --batch 4
    python benchmarks/synthesis_speed.py --device cuda --resolution 1024 --dtype float16

The references have the same weights and draw the same images in the arithmetic that
NVIDIA's releases fall back to without their compiled plug-ins: one kernel per sample in
a grouped convolution, filters as convolutions of their own, zeros inserted before
up-sampling filters. Weights are random, since no time depends on them. The networks
take turns, so that a slow spell of the machine hits all of them; the first turn does
not count. Prints one JSON object.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.generators.stylegan2 import StyleGAN2
from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.generators.stylegan3 import StyleGAN3
from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config
from clip2latent_kedro.runtime import describe_machine, pick_device

Draw = Callable[[], Tensor]

W_DIM = 512


def main() -> None:
    """Time each network in turn and report seconds and ratios."""
    options = _parse_arguments()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    clock = time.process_time if options.cpu_seconds else time.perf_counter
    candidates: dict[str, Draw] = {}
    for kind in options.networks:
        ours, reference = CANDIDATES[kind](options, device)
        candidates[kind] = ours
        if options.reference:
            candidates[f"{kind}, reference"] = reference

    times: dict[str, list[float]] = {name: [] for name in candidates}
    memory: dict[str, float] = {}
    images: dict[str, Tensor] = {}
    for repeat in range(options.repeats + 1):
        for name, draw in candidates.items():
            if device != "cpu":
                torch.cuda.reset_peak_memory_stats()
            began = clock()
            image = _draw(draw, options, device)
            seconds = clock() - began
            if repeat:
                times[name].append(seconds / options.batch)
                continue
            images[name] = image
            if device != "cpu":
                memory[name] = torch.cuda.max_memory_allocated() / 2**30

    print(json.dumps(_report(times, memory, images, options, device), indent=2))


def stylegan2_candidates(options: argparse.Namespace, device: str) -> tuple[Draw, Draw]:
    """Return our StyleGAN2 and its reference, each drawing one batch."""
    config = StyleGAN2Config(
        W_DIM, W_DIM, options.resolution, options.channel_base, options.channel_max
    )
    network, draw, w = _prepare(StyleGAN2(config), config.num_ws, options, device)
    return draw, lambda: plain_stylegan2(network, w)


def stylegan3_candidates(options: argparse.Namespace, device: str) -> tuple[Draw, Draw]:
    """Return our StyleGAN3-T and its reference, each drawing one batch."""
    config = StyleGAN3Config(
        W_DIM, 0, W_DIM, options.resolution, channel_base=options.channel_base
    )
    network, draw, w = _prepare(StyleGAN3(config), config.num_ws, options, device)
    return draw, lambda: plain_stylegan3(network, w)


CANDIDATES = {"stylegan2": stylegan2_candidates, "stylegan3-t": stylegan3_candidates}


def plain_stylegan2(network: nn.Module, w: Tensor) -> Tensor:
    """Return images of w, [n, num_ws, w_dim], by StyleGAN2's definitions."""
    x = image = None
    index = 0
    for resolution in network.config.block_resolutions:
        block = network.synthesis.get_submodule(f"b{resolution}")
        if x is None:
            x = block.const.expand(len(w), -1, -1, -1)
        else:
            x = _plain_layer(block.conv0, x, w[:, index], up=True)
            index += 1
        x = _plain_layer(block.conv1, x, w[:, index])
        index += 1
        rgb = block.torgb
        style = rgb.affine(w[:, index]) * rgb.weight_gain
        colours = grouped_convolution(x, rgb.weight, style, demodulate=False)
        colours = colours + rgb.bias[:, None, None]
        if image is not None:
            image = resample(image, block.resample_filter, up=2, padding=(2, 1))
        image = colours if image is None else image + colours
    return image


def _plain_layer(layer: nn.Module, x: Tensor, w: Tensor, *, up: bool = False) -> Tensor:
    style = layer.affine(w)
    x = grouped_convolution(x, layer.weight, style, padding=1, transposed=up)
    if up:
        x = resample(x, 4 * layer.resample_filter, padding=(1, 1))
    x = x + layer.noise_const * layer.noise_strength
    return F.leaky_relu(x + layer.bias[:, None, None], 0.2) * sqrt(2)


def plain_stylegan3(network: nn.Module, w: Tensor) -> Tensor:
    """Return images of w, [n, num_ws, w_dim], by StyleGAN3's definitions."""
    synthesis = network.synthesis
    x = synthesis.input(w[:, 0])
    for index, name in enumerate(synthesis.layer_names):
        layer = synthesis.get_submodule(name)
        style = layer.affine(w[:, index + 1]) * layer.magnitude_ema.rsqrt()
        if layer.colours:
            style = style / sqrt(x.shape[1])
            x = grouped_convolution(x, layer.weight, style, demodulate=False)
            x = x + layer.bias[:, None, None]
            return x.clamp(-layer.clamp, layer.clamp) * synthesis.output_scale
        x = grouped_convolution(x, layer.weight, style, padding=2)
        x = x + layer.bias[:, None, None]
        grid = layer.grid
        before = grid.up_taps - 1 - grid.start
        total = grid.size_between + grid.up_taps - 1 - grid.size_in * grid.up
        padding = (before, total - before)
        x = resample(x, layer.up_filter, up=grid.up, padding=padding)
        x = F.leaky_relu(x, 0.2) * sqrt(2)
        x = x.clamp(-layer.clamp, layer.clamp)
        x = resample(x, layer.down_filter, down=grid.down)
    return x


def grouped_convolution(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    *,
    padding: int = 0,
    demodulate: bool = True,
    transposed: bool = False,
) -> Tensor:
    """Return the convolution with a kernel for each sample, as groups of one sample."""
    n, channels_in, *size = x.shape
    kernels = weight * style[:, None, :, None, None]  # [n, out, in, k, k]
    if demodulate:
        energy = kernels.square().sum((2, 3, 4), keepdim=True)
        kernels = kernels * (energy + 1e-8).rsqrt()
    x = x.reshape(1, n * channels_in, *size)
    if transposed:
        kernels = kernels.transpose(1, 2).flatten(0, 1)
        x = F.conv_transpose2d(x, kernels, stride=2, groups=n)
    else:
        x = F.conv2d(x, kernels.flatten(0, 1), padding=padding, groups=n)
    return x.reshape(n, -1, *x.shape[2:])


def resample(
    x: Tensor,
    filter_: Tensor,
    *,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int] = (0, 0),
) -> Tensor:
    """Return x with zeros inserted, padded or cut, filtered, and samples dropped."""
    n, c, h, w = x.shape
    x = F.pad(x[:, :, :, None, :, None], (0, up - 1, 0, 0, 0, up - 1))
    x = F.pad(x.reshape(n, c, h * up, w * up), (*padding, *padding))
    kernels = [filter_[:, None], filter_[None]] if filter_.ndim == 1 else [filter_]
    for kernel in kernels:
        kernel = (up ** (2 / len(kernels)) * kernel).flip(0, 1)
        x = F.conv2d(x, kernel.expand(c, 1, -1, -1), groups=c)
    return x[:, :, ::down, ::down]


def _prepare(
    network: nn.Module, num_ws: int, options: argparse.Namespace, device: str
) -> tuple[nn.Module, Draw, Tensor]:
    """Return a frozen network, what draws with its own synthesis, and w."""
    network = network.eval().requires_grad_(False).to(device)
    w = torch.randn(options.batch, num_ws, W_DIM, device=device)
    synthesis = network.synthesis
    if options.channels_last:
        synthesis = synthesis.to(memory_format=torch.channels_last)
    if options.compile:
        synthesis = torch.compile(synthesis)
    return network, lambda: synthesis(w), w


def _draw(draw: Draw, options: argparse.Namespace, device: str) -> Tensor:
    dtype = getattr(torch, options.dtype)
    lowered = options.dtype != "float32"
    precision = torch.autocast(device, dtype) if lowered else nullcontext()
    with torch.inference_mode(), precision:
        return draw().float().cpu()  # waits for the GPU


def _report(
    times: dict[str, list[float]],
    memory: dict[str, float],
    images: dict[str, Tensor],
    options: argparse.Namespace,
    device: str,
) -> dict[str, object]:
    networks = {}
    for name, values in times.items():
        seconds = statistics.median(values)
        networks[name] = {
            "seconds_per_image": round(seconds, 5),
            "fastest": round(min(values), 5),
            "slowest": round(max(values), 5),
        }
        reference = f"{name}, reference"
        if reference in times:
            difference = images[name] - images[reference]
            networks[name] |= {
                "faster_than_reference": round(
                    statistics.median(times[reference]) / seconds, 2
                ),
                "difference_from_reference": float(
                    difference.std() / images[reference].std()
                ),
            }
        if name in memory:
            networks[name]["peak_memory_gib"] = round(memory[name], 2)
    return {
        "networks": networks,
        "settings": vars(options)
        | {"device": device, "tf32": torch.backends.cudnn.allow_tf32},
        "machine": describe_machine(),
    }


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--networks", nargs="+", choices=CANDIDATES, default=list(CANDIDATES)
    )
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--channel-base", type=int, default=32768)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float32"
    )
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true", help="ours only")
    parser.add_argument(
        "--reference", action=argparse.BooleanOptionalAction, default=True
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--cpu-seconds",
        action="store_true",
        help="of all threads, for a CPU that others use as well",
    )
    parser.add_argument("--channel-max", type=int, default=512)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
