"""The mapping networks of StyleCLIP's latent mapper, one for each level.

Facts are from the authors' code (orpatashnik/StyleCLIP, mapper/latent_mappers.py and
models/stylegan2/model.py): a norm, then four equalised linear layers with a learning
rate of 0.01 and leaky ReLU. Names of parameters are ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from clip2latent_kedro.checked import Checked, PositiveInt, Rule
from clip2latent_kedro.editing.layers import LayerGroup, read_layers
from clip2latent_kedro.generators.stylegan2_layers import FullyConnected, leaky_relu
from clip2latent_kedro.interfaces import Generator

LevelName = LayerGroup
LEVEL_NAMES: tuple[LevelName, ...] = ("coarse", "middle", "fine")
NormAxis = Literal["channels", "rows"]

STEP = 0.1  # of M(w), at strength 1
DEPTH = 4
_LR = 0.01  # the multiplier of a layer's learning rate


@dataclass(frozen=True)
class MapperShape(Checked):
    """What decides the form of the networks.

    Attributes:
        w_dim: Channels of w.
        ends: Row of w after the last of each level, rising; null for the last row.
        moved: Levels that have a network; the others stay as they are.
        norm_axis: What is brought to unit mean square. `channels`: each row of w, as
            StyleGAN's mapping has it. `rows`: each channel over the rows of a level,
            as the authors' code has it: their norm takes the second axis, which is
            that of the rows. Where these are equal it leaves signs alone.
    """

    w_dim: PositiveInt
    ends: list[int | None]
    moved: list[LevelName]
    norm_axis: NormAxis = "channels"

    def levels(self, num_ws: int) -> Mapping[LevelName, slice]:
        """Return the rows of each level, of so many."""
        ends = [num_ws if end is None else min(end, num_ws) for end in self.ends]
        rows = [slice(*pair) for pair in pairwise([0, *ends])]
        return dict(zip(LEVEL_NAMES, rows, strict=True))

    def rules(self) -> Iterator[Rule]:
        """Yield that there are three levels, one after another."""
        yield len(self.ends) == len(LEVEL_NAMES), "ends", "three rows of w"
        known = [end for end in self.ends if end is not None]
        is_rising = known == sorted(known) and min(known, default=0) >= 0
        yield is_rising, "ends", "rows of w that rise"


def shape_of(generator: Generator, moved: Sequence[LevelName]) -> MapperShape:
    """Return the form of a mapper for a generator, of the levels that style mixing has.

    All rows of a generator that has fewer than three are coarse. A level without rows
    has no network.

    Args:
        generator: Whose w is mapped.
        moved: Levels that are to move.
    """
    num_ws = generator.num_ws
    ends = [num_ws] * len(LEVEL_NAMES)
    if num_ws >= len(LEVEL_NAMES):
        ends = [read_layers(name, generator)[-1] + 1 for name in LEVEL_NAMES]
    sizes = [end - start for start, end in pairwise([0, *ends])]
    named = zip(LEVEL_NAMES, sizes, strict=True)
    return MapperShape(
        w_dim=generator.w_dim,
        ends=list(ends),
        moved=[name for name, size in named if size and name in moved],
    )


class LevelNetwork(nn.Module):
    """Norm, and four times: linear, leaky ReLU with gain."""

    def __init__(self, w_dim: int, norm_axis: NormAxis) -> None:
        """Build with random weights."""
        super().__init__()
        self.axis = {"channels": 2, "rows": 1}[norm_axis]
        self.layers = nn.ModuleList(
            FullyConnected(w_dim, w_dim, lr=_LR) for _ in range(DEPTH)
        )

    def forward(self, w: Tensor) -> Tensor:
        """Return what w, [n, num_rows, w_dim], is to be moved by, before the step."""
        square = w.square().mean(dim=self.axis, keepdim=True)
        x = w * (square + 1e-8).rsqrt()
        for layer in self.layers:
            x = leaky_relu(layer(x))
        return x


class LevelsMapper(nn.Module):
    """M: a network for each level that moves, shared by the level's rows."""

    def __init__(self, shape: MapperShape) -> None:
        """Build with random weights."""
        super().__init__()
        self.shape = shape
        self.networks = nn.ModuleDict(
            {name: LevelNetwork(shape.w_dim, shape.norm_axis) for name in shape.moved}
        )

    def forward(self, w: Tensor) -> Tensor:
        """Return M(w), zero in rows of levels that stay, of w [n, num_ws, w_dim]."""
        parts = [
            self.networks[name](w[:, rows])
            if name in self.networks
            else torch.zeros_like(w[:, rows])
            for name, rows in self.shape.levels(w.shape[1]).items()
        ]
        return torch.cat(parts, dim=1)
