"""Trains the domain's StyleGAN2 to be the renderer: regression from z to picture.

The renderer is a function of z, so the generator can learn it without an
adversary. First the mapping alone learns a w from which the attributes can be read
linearly: as long as it confuses them, the synthesis can only learn their average.
Then mapping and synthesis learn the pictures, at half the resolution and at last at
the full one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

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
_STYLE_SCALE = 0.15  # of the first weights from w to styles
_PROBE_WEIGHT = 0.02  # keeps the attributes readable while the pictures are learnt


@dataclass(frozen=True)
class GeneratorConfig:
    """Size and training of the portraits generator.

    Attributes:
        resolution: Of the pictures.
        w_dim: Channels of w.
        channel_base: See `StyleGAN2Config`.
        channel_max: See `StyleGAN2Config`.
        mapping_layers: Layers from z to w.
        mapping_steps: Steps of the mapping alone, before all others; 512 z each.
        steps: Steps of mapping and synthesis together.
        coarse_steps: The first of those, at half the resolution.
        batch_size: Pictures a step; must divide 64.
        lr_weights: Peak learning rate of the synthesis weights (equalised, so that
            it is relative to their unit variance).
        lr_styles: The same of the layers from w to styles.
        lr_biases: The same of all biases of the synthesis.
        lr_mapping: The same of the mapping network, while it learns alone; a tenth
            of it after that.
        save_every: Steps between two saved states.
    """

    resolution: int
    w_dim: int
    channel_base: int
    channel_max: int
    mapping_layers: int
    mapping_steps: int
    steps: int
    coarse_steps: int
    batch_size: int
    lr_weights: float
    lr_styles: float
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
        """Build with random weights and styles close to 1, from where it learns fast.

        Noise stays off, regression cannot use it.
        """
        super().__init__()
        self.generator = StyleGAN2(config)
        num_values = sum(len(values) for values in ATTRIBUTES.values())
        self.probe = nn.Linear(config.w_dim, num_values + len(LAYOUT))
        for name, parameter in self.named_parameters():
            if name.endswith("noise_strength"):
                parameter.requires_grad_(False)
            elif name.endswith("affine.weight"):
                parameter.data.mul_(_STYLE_SCALE)

    def probe_loss(self, z: Tensor, w: Tensor) -> Tensor:
        """Return the loss of reading attributes and layout from w, [n, w_dim]."""
        sizes = [len(values) for values in ATTRIBUTES.values()]
        *logits, layout = self.probe(w).split([*sizes, len(LAYOUT)], dim=1)
        labels = labels_of(z)
        readings = [
            F.cross_entropy(rows, labels[:, i]) for i, rows in enumerate(logits)
        ]
        unit_z = z * z.square().mean(1, keepdim=True).rsqrt()
        return torch.stack(readings).sum() + F.mse_loss(
            layout, unit_z[:, -len(LAYOUT) :]
        )

    def parameter_groups(self, config: GeneratorConfig) -> list[dict[str, Any]]:
        """Return the parameters with their learning rates, as AdamW takes them."""
        rates: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad:
                continue
            if not name.startswith("generator.synthesis"):
                rate = 0.1 * config.lr_mapping
            elif name.endswith("affine.weight"):
                rate = config.lr_styles
            else:
                rate = config.lr_weights if parameter.ndim > 1 else config.lr_biases
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
    if state is None:
        _learn_mapping(model, config, seed, device)

    @lru_cache(maxsize=1)
    def renders(block: int, resolution: int) -> tuple[Tensor, Tensor]:
        z = sample_z(_RENDERS_AT_ONCE, make_generator(seed, "generator", block))
        return z.to(device), render(z.to(device), resolution=resolution)

    def loss_at(step: int) -> Tensor:
        is_coarse = step < config.coarse_steps
        resolution = config.resolution // 2 if is_coarse else config.resolution
        block, part = divmod(step, _RENDERS_AT_ONCE // config.batch_size)
        rows = slice(part * config.batch_size, (part + 1) * config.batch_size)
        z, target = (tensor[rows] for tensor in renders(block, resolution))
        w = model.generator.mapping(z)
        image = model.generator.synthesis(w, "none", last=resolution)
        return image_loss(image, target) + _PROBE_WEIGHT * model.probe_loss(z, w[:, 0])

    yield from fit(
        model,
        model.parameter_groups(config),
        loss_at,
        Schedule(config.steps, warmup=0.01, decay=0.7, ema_beta=0.998),
        save_every=config.save_every,
        state=state,
        description="generator",
        betas=(0.5, 0.99),
    )


def _learn_mapping(
    model: GeneratorWithProbe, config: GeneratorConfig, seed: int, device: str
) -> None:
    """Train mapping and probe in place."""

    def loss_at(step: int) -> Tensor:
        z = sample_z(512, make_generator(seed, "mapping", step)).to(device)
        return model.probe_loss(z, model.generator.mapping(z)[:, 0])

    part = nn.ModuleList([model.generator.mapping, model.probe])
    states = fit(
        part,
        [{"params": part.parameters(), "lr": config.lr_mapping, "weight_decay": 0.0}],
        loss_at,
        Schedule(config.mapping_steps, warmup=0.05, decay=0.6, ema_beta=0.0),
        save_every=config.mapping_steps,
        description="mapping",
    )
    for _ in states:
        pass


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
