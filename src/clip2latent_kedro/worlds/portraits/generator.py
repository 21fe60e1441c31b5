"""Trains the domain's StyleGAN2 to be the renderer: regression from z to picture.

The renderer is a function of z, so the generator can learn it without an adversary.
What z stands for is in w from the start (see `mapping`); the synthesis learns the
pictures, first at half the resolution and then at the full one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.checked import Checked, PositiveFloat, PositiveInt, Rule
from clip2latent_kedro.generators.safetensors_files import stylegan2_weights
from clip2latent_kedro.generators.stylegan2 import StyleGAN2
from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.generators.stylegan2_layers import SynthesisLayer, ToRGB
from clip2latent_kedro.runtime import make_generator, seeded_weights
from clip2latent_kedro.training import Task, TrainingState
from clip2latent_kedro.training.optimizer import split_by_axes
from clip2latent_kedro.worlds.portraits.attributes import Z_DIM, sample_z
from clip2latent_kedro.worlds.portraits.mapping import (
    MIN_W_DIM,
    NUM_FEATURES,
    NUM_LAYERS,
    write_mapping,
)
from clip2latent_kedro.worlds.portraits.renderer import render
from clip2latent_kedro.worlds.training import regression_task

_RENDERS_AT_ONCE = 64


@dataclass(frozen=True)
class GeneratorConfig(Checked):
    """Size and training of the portraits generator.

    Attributes:
        resolution: Pixels a side of the pictures.
        w_dim: Channels of w.
        channel_base: Decides the width of layers (see `StyleGAN2Config`).
        channel_max: Most channels of a layer.
        steps: Training steps.
        coarse_steps: The first of those, at half the resolution.
        batch_size: Pictures a step; must divide 64.
        lr_weights: Peak learning rate of the synthesis weights (equalised, so that
            it is relative to their unit variance).
        lr_biases: Peak learning rate of the biases.
        save_every: Steps between two saved states.
    """

    resolution: PositiveInt
    w_dim: Annotated[int, Ge(MIN_W_DIM)]
    channel_base: PositiveInt
    channel_max: PositiveInt
    steps: PositiveInt
    coarse_steps: PositiveInt
    batch_size: PositiveInt
    lr_weights: PositiveFloat
    lr_biases: PositiveFloat
    save_every: PositiveInt

    def rules(self) -> Iterator[Rule]:
        """Yield that a step takes a whole share of the renders."""
        divides = _RENDERS_AT_ONCE % self.batch_size == 0
        yield divides, "batch_size", f"a divisor of {_RENDERS_AT_ONCE}"
        self.architecture()  # checks settings of the same names

    def architecture(self) -> StyleGAN2Config:
        """Return the network that is trained."""
        return StyleGAN2Config(
            z_dim=Z_DIM,
            w_dim=self.w_dim,
            resolution=self.resolution,
            channel_base=self.channel_base,
            channel_max=self.channel_max,
            mapping_layers=NUM_LAYERS,
            mapping_features=NUM_FEATURES,
            mapping_lr=1.0,
        )


def build_generator(config: StyleGAN2Config, seed: int) -> StyleGAN2:
    """Return the generator as training finds it.

    The mapping has its final weights and its mean. The synthesis is random; its
    noise stays off, since regression has no use for it.
    """
    with seeded_weights(seed):
        network = StyleGAN2(config)
    write_mapping(network.mapping, make_generator(seed, "mapping"))
    network.mapping.requires_grad_(False)
    z = sample_z(65_536, make_generator(seed, "w_avg"))
    network.mapping.w_avg.copy_(network.mapping(z)[:, 0].mean(0))
    for name, parameter in network.synthesis.named_parameters():
        if name.endswith("noise_strength"):
            parameter.requires_grad_(False)
    return network


def generator_task(config: GeneratorConfig, *, seed: int, device: str) -> Task:
    """Return the training of the synthesis on renders.

    It trains on w - w_avg: the mean of w, common to all, would dwarf what differs
    in the gradients of the styles. `averaged_generator` puts the mean back.
    """
    network = build_generator(config.architecture(), seed).to(device)

    @lru_cache(maxsize=1)
    def renders(block: int, resolution: int) -> tuple[Tensor, Tensor]:
        z = sample_z(_RENDERS_AT_ONCE, make_generator(seed, "generator", block))
        w: Tensor = network.mapping(z.to(device)) - network.mapping.w_avg
        return w, render(z.to(device), resolution=resolution)

    def loss(step: int) -> Tensor:
        is_coarse = step < config.coarse_steps
        resolution = config.resolution // 2 if is_coarse else config.resolution
        block, part = divmod(step, _RENDERS_AT_ONCE // config.batch_size)
        rows = slice(part * config.batch_size, (part + 1) * config.batch_size)
        w, target = (tensor[rows] for tensor in renders(block, resolution))
        return image_loss(network.synthesis(w, "none", last=resolution), target)

    learnt = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    weights, biases = split_by_axes(learnt, weight_decay=0.0)
    return regression_task(
        network,
        config,
        loss,
        rise=0.01,
        fall=0.8,
        ema_beta=0.998,
        lr_setting="portraits.generator.lr_weights or lr_biases",
        parameter_groups=[
            {**biases, "lr": config.lr_biases},
            {**weights, "lr": config.lr_weights},
        ],
    )


def image_loss(image: Tensor, target: Tensor) -> Tensor:
    """Return the weighted difference of two pictures.

    The absolute difference of pixels, of their gradients (edges) and of local means
    (tones), with up to four times the weight on the face.

    Args:
        image: [n, 3, h, w].
        target: The picture to come near to, [n, 3, h, w].
    """
    difference = (image - target) * face_weight(image)
    tones = F.avg_pool2d(difference, 4).abs().mean()
    rows = difference.diff(dim=2).abs().mean()
    columns = difference.diff(dim=3).abs().mean()
    return difference.abs().mean() + 0.5 * (rows + columns) + 0.5 * tones


def face_weight(image: Tensor) -> Tensor:
    """Return the weight of each pixel, [h, w]: 4 amid the face, 1 far from it."""
    height, width = image.shape[2:]
    u = torch.linspace(-1, 1, width).to(image)
    v = torch.linspace(-1, 1, height).to(image)[:, None]
    return 1 + 3 * torch.exp(-((u / 0.40).square() + ((v - 0.10) / 0.38).square()))


def averaged_generator(state: TrainingState, config: GeneratorConfig) -> StyleGAN2:
    """Return the averaged network, frozen, for w as the mapping gives it.

    A style is A (w - w_avg) + b, so its bias becomes b - A w_avg.
    """
    network = StyleGAN2(config.architecture())
    network.load_state_dict(state.ema)
    for module in network.synthesis.modules():
        if isinstance(module, SynthesisLayer | ToRGB):
            affine = module.affine
            mean_style = F.linear(network.mapping.w_avg, affine.weight)
            affine.bias.data.sub_(affine.weight_gain * mean_style)
    return network.eval().requires_grad_(False)


def export_generator(
    state: TrainingState, config: GeneratorConfig
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the averaged weights and metadata, as `load_stylegan` reads them."""
    return stylegan2_weights(averaged_generator(state, config))
