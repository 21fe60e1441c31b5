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

from clip2latent_kedro.generators.stylegan2 import FullyConnected, MappingNetwork
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
_NO_BEARD = ATTRIBUTES["beard"].index("none")
_MAN = ATTRIBUTES["gender"].index("man")
MIN_W_DIM = len(_CODE) + len(LAYOUT)


def write_mapping(mapping: MappingNetwork, generator: torch.Generator) -> None:
    """Give a mapping network of `NUM_LAYERS` layers the weights described above.

    Args:
        mapping: With `NUM_FEATURES` channels between its layers and at least
            `MIN_W_DIM` channels of w. Changed in place.
        generator: Draws the basis.
    """
    num_layout = len(LAYOUT)

    # First layer: both ramps of each pair, and the layout.
    planes, offsets = attribute_planes()
    difference = torch.stack([planes[n][a] - planes[n][b] for n, a, b in _PAIRS])
    bias = torch.stack([offsets[n][a] - offsets[n][b] for n, a, b in _PAIRS])
    rows = torch.cat([_SHARPNESS * difference] * 2 + [torch.eye(Z_DIM)[-num_layout:]])
    shift = _SHARPNESS * bias
    constants = torch.cat([shift + 0.5, shift - 0.5, torch.zeros(num_layout)])
    _set_layer(mapping, 0, torch.cat([rows, -rows]), torch.cat([constants, -constants]))

    # Second layer: who beats all others, from s = relu(ramp) - relu(ramp - 1).
    relu, identity = _relu_of_pair(len(rows)), _identity_of_pair(len(rows))
    num = len(_PAIRS)
    wins = relu[:num] - relu[num : 2 * num]  # [num_pairs, features]
    rows, constants = _count_wins(wins)
    rows = torch.cat([rows, identity[-num_layout:]])
    constants = torch.cat([constants, torch.zeros(num_layout)])
    _set_layer(mapping, 1, torch.cat([rows, -rows]), torch.cat([constants, -constants]))

    # Third layer: the code in its basis, linear because of the offset.
    relu, identity = _relu_of_pair(len(rows)), _identity_of_pair(len(rows))
    indicators = relu[:-num_layout]
    worn = [_CODE.index(("beard", a)) for a in range(3) if a != _NO_BEARD]
    indicators[_CODE.index(("beard", _NO_BEARD))] = -indicators[worn].sum(0)
    code = torch.cat([indicators, 0.5 * identity[-num_layout:]])
    means = torch.tensor([1 / len(ATTRIBUTES[name]) for name, _ in _CODE])
    means[_CODE.index(("beard", _NO_BEARD))] -= 1  # none is 1 - moustache - beard
    constants = torch.cat([-means, torch.zeros(num_layout)])
    w_dim = len(mapping.w_avg)
    square = torch.randn(w_dim, w_dim, generator=generator)
    basis = torch.linalg.qr(square)[0][:MIN_W_DIM]  # [MIN_W_DIM, w_dim]
    _set_layer(mapping, NUM_LAYERS - 1, basis.T @ code, basis.T @ constants + _OFFSET)


def _count_wins(wins: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows and constants of sum_b s_ab - (num_values - 2), [num_code, ...].

    Moustache and beard also need that the man wins.
    """
    pair = {key: index for index, key in enumerate(_PAIRS)}
    rows, constants = [], []

    def beats(name: str, a: int, b: int) -> tuple[Tensor, float]:
        if a < b:
            return wins[pair[name, a, b]], 0.0
        return -wins[pair[name, b, a]], 1.0

    for name, a in _CODE:
        others = [b for b in range(len(ATTRIBUTES[name])) if b != a]
        against = [beats(name, a, b) for b in others]
        row = torch.stack([row for row, _ in against]).sum(0)
        constant = sum(constant for _, constant in against) - (len(others) - 1)
        if name == "beard" and a != _NO_BEARD:
            man, constant_man = beats("gender", _MAN, 1 - _MAN)
            row, constant = row + man, constant + constant_man - 1
        rows.append(row)
        constants.append(constant)
    return torch.stack(rows), torch.tensor(constants)


def _relu_of_pair(num: int) -> Tensor:
    """Return the matrix that makes relu(x) of the activations of (x, -x)."""
    eye = torch.eye(num) / (sqrt(2) * (1 - _SLOPE**2))
    return torch.cat([eye, _SLOPE * eye], dim=1)


def _identity_of_pair(num: int) -> Tensor:
    """Return the matrix that makes x of the activations of (x, -x)."""
    eye = torch.eye(num) / (sqrt(2) * (1 + _SLOPE))
    return torch.cat([eye, -eye], dim=1)


def _set_layer(mapping: MappingNetwork, index: int, rows: Tensor, bias: Tensor) -> None:
    """Store the first outputs and inputs of a layer; the rest are zero."""
    layer = mapping.get_submodule(f"fc{index}")
    assert isinstance(layer, FullyConnected)
    weight = torch.zeros_like(layer.weight)
    weight[: len(rows), : rows.shape[1]] = rows / layer.weight_gain
    layer.weight.data.copy_(weight)
    layer.bias.data.zero_()
    layer.bias.data[: len(bias)] = bias / layer.bias_gain
