"""Trains the domain's StyleGAN2 to be the renderer: regression from z to picture.

The renderer is a function of z, so the generator can learn it without an
adversary. First the mapping alone learns a w from which the attributes can be read
linearly; then mapping and synthesis learn the pictures, at half the resolution and
at last at the full one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.generators.adapters import stylegan2_weights
from clip2latent_kedro.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from clip2latent_kedro.portraits.attributes import (
    ATTRIBUTES,
    LAYOUT,
    Z_DIM,
    labels_of,
    sample_z,
)
from clip2latent_kedro.portraits.fitting import FitState, Schedule, fit
from clip2latent_kedro.portraits.renderer import render
from clip2latent_kedro.runtime import make_generator

_RENDERS_AT_ONCE = 64


@dataclass(frozen=True)
class GeneratorConfig:
    """Size and training of the portraits generator.

    Attributes:
        resolution: Of the pictures.
        w_dim: Channels of w.
        channel_base: See `StyleGAN2Config`.
        channel_max: See `StyleGAN2Config`.
        mapping_layers: Layers from z to w.
        mapping_steps: First steps, for the mapping alone, of 1,024 z each.
        coarse_steps: Steps after those, at half the resolution.
        steps: All steps.
        batch_size: Pictures a step; must divide 64.
        lr_weights: Peak learning rate of the synthesis weights (equalised, so that
            it is relative to their unit variance).
        lr_biases: The same of its biases.
        lr_mapping: The same of the mapping network.
        save_every: Steps between two saved states.
    """

    resolution: int
    w_dim: int
    channel_base: int
    channel_max: int
    mapping_layers: int
    mapping_steps: int
    coarse_steps: int
    steps: int
    batch_size: int
    lr_weights: float
    lr_biases: float
    lr_mapping: float
    save_every: int

    def architecture(self) -> StyleGAN2Config:
        """Return the network that is trained."""
        return StyleGAN2Config(
            z_dim=Z_DIM,
            w_dim=self.w_dim,
            resolution=self.resolution,
            channel_base=self.channel_base,
            channel_max=self.channel_max,
            mapping_layers=self.mapping_layers,
            mapping_lr=1.0,
        )


class GeneratorWithProbe(nn.Module):
    """The generator and a linear reading of attributes and layout from its w."""

    def __init__(self, config: StyleGAN2Config) -> None:
        """Build with random weights; noise stays off, regression cannot use it."""
        super().__init__()
        self.generator = StyleGAN2(config)
        num_values = sum(len(values) for values in ATTRIBUTES.values())
        self.probe = nn.Linear(config.w_dim, num_values + len(LAYOUT))
        for name, parameter in self.named_parameters():
            if name.endswith("noise_strength"):
                parameter.requires_grad_(False)

    def probe_loss(self, z: Tensor, w: Tensor) -> Tensor:
        """Return the loss of reading attributes and layout from w, [n, w_dim]."""
        sizes = [len(values) for values in ATTRIBUTES.values()]
        *logits, layout = self.probe(w).split([*sizes, len(LAYOUT)], dim=1)
        labels = labels_of(z)
        readings = [F.cross_entropy(rows, labels[:, i]) for i, rows in enumerate(logits)]
        unit_z = z * z.square().mean(1, keepdim=True).rsqrt()
        return torch.stack(readings).sum() + F.mse_loss(layout, unit_z[:, -len(LAYOUT) :])

    def parameter_groups(self, config: GeneratorConfig) -> list[dict[str, object]]:
        """Return the parameters with their learning rates, as AdamW takes them."""
        rates: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad:
                continue
            if not name.startswith("generator.synthesis"):
                rate = config.lr_mapping
            else:
                is_weight = parameter.ndim >= 2
                rate = config.lr_weights if is_weight else config.lr_biases
            rates.setdefault(rate, []).append(parameter)
        return [
            {"params": parameters, "lr": rate, "weight_decay": 0.0}
            for rate, parameters in rates.items()
        ]


def train_generator(
    config: GeneratorConfig, seed: int, device: str, state: FitState | None = None
) -> Iterator[FitState]:
    """Train the generator and yield its states (see `fit`)."""
    torch.manual_seed(seed)
    model = GeneratorWithProbe(config.architecture()).to(device)

    @lru_cache(maxsize=1)
    def renders(block: int, resolution: int) -> tuple[Tensor, Tensor]:
        z = sample_z(_RENDERS_AT_ONCE, make_generator(seed, "generator", block))
        return z, render(z, resolution=resolution)

    def loss_at(step: int) -> Tensor:
        if step < config.mapping_steps:
            z = sample_z(1024, make_generator(seed, "mapping", step)).to(device)
            return model.probe_loss(z, model.generator.mapping(z)[:, 0])
        coarse = step < config.mapping_steps + config.coarse_steps
        resolution = config.resolution // 2 if coarse else config.resolution
        per_block = _RENDERS_AT_ONCE // config.batch_size
        zs, images = renders(step // per_block, resolution)
        first = step % per_block * config.batch_size
        z = zs[first : first + config.batch_size].to(device)
        target = images[first : first + config.batch_size].to(device)
        w = model.generator.mapping(z)
        image = model.generator.synthesis(w, "none", last=resolution)
        return image_loss(image, target) + 0.002 * model.probe_loss(z, w[:, 0])

    schedule = Schedule(config.steps, warmup=0.005, decay=0.6, ema_beta=0.998)
    yield from fit(
        model,
        model.parameter_groups(config),
        loss_at,
        schedule,
        save_every=config.save_every,
        state=state,
        description="generator",
    )


def image_loss(image: Tensor, target: Tensor) -> Tensor:
    """Return the weighted difference of two pictures.

    The absolute difference of pixels, of their gradients (edges) and of local means
    (tones), with up to four times the weight on the face.

    Args:
        image: [n, 3, h, w].
        target: The same.
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


def averaged_generator(state: FitState, config: GeneratorConfig) -> StyleGAN2:
    """Return the averaged network with its `w_avg` measured over 65,536 z."""
    model = GeneratorWithProbe(config.architecture())
    model.load_state_dict(state.weights())
    network = model.generator.eval().requires_grad_(False)
    z = sample_z(65_536, make_generator(0, "w_avg"))
    network.mapping.w_avg.copy_(network.mapping(z)[:, 0].mean(0))
    return network


def export_generator(
    state: FitState, config: GeneratorConfig
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return averaged weights in half precision and metadata, for `load_stylegan2`."""
    return stylegan2_weights(averaged_generator(state, config))
