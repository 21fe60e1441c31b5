"""The mapping network of the domain: z -> attributes, written as its layers.

What z stands for is known in closed form (see `attributes`), so the mapping need not
be learnt. Its three layers compute, with d_ab the difference of two logits,

    s_ab = clamp(sharpness * d_ab + 1/2, 0, 1)        a beats b
    i_a  = relu(sum_b s_ab - (num_values - 2))        a beats all others
    w    = offset + scale * (i - 1 / num_values, layout) @ basis

with an orthonormal basis, so that attributes lie in orthogonal directions of W, and
an offset that keeps the last leaky ReLU linear. A mapping that was trained to tell
the attributes apart left the synthesis far behind one with these weights.
"""

from itertools import combinations
from math import sqrt

import torch
from torch import Tensor

from clip2latent_kedro.generators.stylegan2 import MappingNetwork
from clip2latent_kedro.generators.stylegan2_layers import FullyConnected
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTES,
    LAYOUT,
    Z_DIM,
    attribute_planes,
)

NUM_LAYERS = 3
_SHARPNESS = 50.0
_OFFSET = 2.0  # more than any coordinate of a code times its basis
_SLOPE = 0.2  # of the leaky ReLU, whose gain is sqrt(2)
_PAIRS = [
    (name, a, b)
    for name, values in ATTRIBUTES.items()
    for a, b in combinations(range(len(values)), 2)
]
# Two ramps for each pair, and the layout; each with its negative.
NUM_FEATURES = 2 * (2 * len(_PAIRS) + len(LAYOUT))
_CODE = [(name, a) for name, values in ATTRIBUTES.items() for a in range(len(values))]
# Rows of the code.
_NO_BEARD, *_WORN = (_CODE.index(("beard", a)) for a in range(3))
_MAN = _CODE.index(("gender", ATTRIBUTES["gender"].index("man")))
MIN_W_DIM = len(_CODE) + len(LAYOUT)


def write_mapping(mapping: MappingNetwork, generator: torch.Generator) -> None:
    """Give a mapping network of `NUM_LAYERS` layers the weights described above.

    Args:
        mapping: With `NUM_FEATURES` channels between its layers and at least
            `MIN_W_DIM` channels of w. Changed in place.
        generator: Draws the basis.
    """
    num_layout, num_pairs = len(LAYOUT), len(_PAIRS)
    layout_zeros = torch.zeros(num_layout)

    # First layer: both ramps of each pair, and the layout.
    planes, offsets = attribute_planes()
    difference = torch.stack([planes[n][a] - planes[n][b] for n, a, b in _PAIRS])
    bias = torch.stack([offsets[n][a] - offsets[n][b] for n, a, b in _PAIRS])
    rows = torch.cat([_SHARPNESS * difference] * 2 + [torch.eye(Z_DIM)[-num_layout:]])
    shift = _SHARPNESS * bias
    constants = torch.cat([shift + 0.5, shift - 0.5, layout_zeros])
    _set_layer(mapping, 0, torch.cat([rows, -rows]), torch.cat([constants, -constants]))

    # Second layer: who beats all others, from s = relu(ramp) - relu(ramp - 1).
    relu, identity = _read_pairs(len(rows))
    wins = relu[:num_pairs] - relu[num_pairs : 2 * num_pairs]  # [num_pairs, features]
    signs, constants = _count_wins()
    rows = torch.cat([signs @ wins, identity[-num_layout:]])
    constants = torch.cat([constants, layout_zeros])
    _set_layer(mapping, 1, torch.cat([rows, -rows]), torch.cat([constants, -constants]))

    # Third layer: the code in its basis, linear because of the offset.
    relu, identity = _read_pairs(len(rows))
    indicators = relu[:-num_layout]
    indicators[_NO_BEARD] = -indicators[_WORN].sum(0)
    code = torch.cat([indicators, 0.5 * identity[-num_layout:]])
    means = torch.tensor([1 / len(ATTRIBUTES[name]) for name, _ in _CODE])
    means[_NO_BEARD] -= 1  # none is 1 - moustache - beard
    constants = torch.cat([-means, layout_zeros])
    w_dim = len(mapping.w_avg)
    square = torch.randn(w_dim, w_dim, generator=generator)
    basis = torch.linalg.qr(square)[0][:MIN_W_DIM]  # [MIN_W_DIM, w_dim]
    _set_layer(mapping, NUM_LAYERS - 1, basis.T @ code, basis.T @ constants + _OFFSET)


def _count_wins() -> tuple[Tensor, Tensor]:
    """Return sum_b s_ab - (num_values - 2) as a map of the s of `_PAIRS`.

    Moustache and beard also need that the man wins.

    Returns:
        Signs, [num_code, num_pairs], and constants, [num_code]; s_ba is 1 - s_ab.
    """
    signs = torch.zeros(len(_CODE), len(_PAIRS))
    constants = torch.tensor([2.0 - len(ATTRIBUTES[name]) for name, _ in _CODE])
    for column, (name, a, b) in enumerate(_PAIRS):
        signs[_CODE.index((name, a)), column] = 1
        signs[_CODE.index((name, b)), column] = -1
        constants[_CODE.index((name, b))] += 1
    signs[_WORN] += signs[_MAN]
    constants[_WORN] += constants[_MAN] - 1
    return signs, constants


def _read_pairs(num: int) -> tuple[Tensor, Tensor]:
    """Return the matrices that make relu(x), and x, of the activations of (x, -x)."""
    relu = torch.eye(num) / (sqrt(2) * (1 - _SLOPE**2))
    identity = torch.eye(num) / (sqrt(2) * (1 + _SLOPE))
    return torch.cat([relu, _SLOPE * relu], 1), torch.cat([identity, -identity], 1)


def _set_layer(mapping: MappingNetwork, index: int, rows: Tensor, bias: Tensor) -> None:
    """Store the first outputs and inputs of a layer; the rest are zero."""
    layer = mapping.get_submodule(f"fc{index}")
    assert isinstance(layer, FullyConnected)
    weight = torch.zeros_like(layer.weight)
    weight[: len(rows), : rows.shape[1]] = rows / layer.weight_gain
    layer.weight.data.copy_(weight)
    layer.bias.data.zero_()
    layer.bias.data[: len(bias)] = bias / layer.bias_gain
