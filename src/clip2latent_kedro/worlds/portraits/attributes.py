"""What a portrait is made of: named attributes as a fixed function of z.

z is standard normal, [n, Z_DIM], and normalised to unit mean square, as
StyleGAN's mapping network does. Each attribute with k values owns k - 1
coordinates of it. The logits of its values are their projections on the k
corners of a regular simplex, so that attributes are independent of each other
and equally many coordinates make equally many decisions. The last coordinates
move, scale and light the portrait.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "gender": ("woman", "man"),
    "age": ("young", "old"),
    "skin": ("light", "tan", "dark"),
    "hair_colour": ("black", "brown", "blonde", "red", "grey", "pink", "blue"),
    "hair_style": ("bald", "short", "long", "afro"),
    "eye_colour": ("brown", "blue", "green"),
    "eyewear": ("none", "glasses", "sunglasses"),
    "beard": ("none", "moustache", "beard"),
    "hat": ("none", "beanie", "fedora"),
    "expression": ("smiling", "neutral", "sad", "surprised"),
    "pose": ("left", "front", "right"),
    "background": ("studio", "beach", "forest", "night", "sunset"),
    "shirt": ("white", "black", "red", "blue", "green", "yellow", "purple"),
}
ATTRIBUTE_NAMES = tuple(ATTRIBUTES)
LAYOUT = ("shift_x", "shift_y", "scale", "light")
Z_DIM = sum(len(values) - 1 for values in ATTRIBUTES.values()) + len(LAYOUT)

# Added to the logits of the value `none`, so that about half of the portraits go
# without; bald heads are made rarer in the same way.
_LOGIT_BIAS = {
    ("eyewear", "none"): 0.7,
    ("beard", "none"): -0.3,
    ("hat", "none"): 1.1,
    ("hair_style", "bald"): -0.3,
}
# Width of the edge between two values. Wider ones draw half-hats and ghosts.
_SOFTNESS = 0.004


@dataclass(frozen=True)
class SoftAttributes:
    """Attributes of n portraits as mixing weights, plus their layout.

    Attributes:
        weights: For each attribute [n, num_values], rows summing to 1 and almost
            everywhere one-hot.
        layout: [n, 4] normal coordinates in the order of `LAYOUT`.
    """

    weights: dict[str, Tensor]
    layout: Tensor


def sample_z(num: int, generator: torch.Generator) -> Tensor:
    """Return standard normal z, [num, Z_DIM], on the generator's device."""
    return torch.randn(num, Z_DIM, generator=generator, device=generator.device)


def soft_attributes(z: Tensor) -> SoftAttributes:
    """Return what z stands for as continuous mixing weights.

    Args:
        z: [n, Z_DIM].
    """
    logits, layout = _logits(z)
    weights = {name: (rows / _SOFTNESS).softmax(1) for name, rows in logits.items()}
    is_man = weights["gender"][:, 1:]
    bearded = weights["beard"][:, 1:] * is_man
    weights["beard"] = torch.cat([1 - bearded.sum(1, keepdim=True), bearded], dim=1)
    return SoftAttributes(weights, layout)


def labels_of(z: Tensor) -> Tensor:
    """Return value indices, [n, num_attributes] int64, that z stands for."""
    weights = soft_attributes(z).weights
    return torch.stack([rows.argmax(1) for rows in weights.values()], dim=1)


def attributes_from_labels(labels: Tensor, layout: Tensor) -> SoftAttributes:
    """Return exact attributes for given labels (see `labels_of`).

    Args:
        labels: [n, num_attributes] int64.
        layout: [n, 4] normal coordinates.
    """
    weights = {
        name: torch.nn.functional.one_hot(labels[:, column], len(values)).to(layout)
        for column, (name, values) in enumerate(ATTRIBUTES.items())
    }
    return SoftAttributes(weights, layout)


def visible_mask(labels: Tensor) -> Tensor:
    """Return which attributes can be seen, [n, num_attributes] bool.

    Hair colour cannot on a bald head without a beard, nor eyes behind sunglasses.
    """
    column = {name: labels[:, i] for i, name in enumerate(ATTRIBUTE_NAMES)}
    visible = torch.ones_like(labels, dtype=torch.bool)
    hairless = (column["hair_style"] == 0) & (column["beard"] == 0)
    visible[:, ATTRIBUTE_NAMES.index("hair_colour")] = ~hairless
    visible[:, ATTRIBUTE_NAMES.index("eye_colour")] = column["eyewear"] != 2
    return visible


def attribute_planes() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the logits' weights, [num_values, Z_DIM], and biases, [num_values]."""
    planes, biases = {}, {}
    start = 0
    for name, values in ATTRIBUTES.items():
        stop = start + len(values) - 1
        planes[name] = torch.zeros(len(values), Z_DIM)
        planes[name][:, start:stop] = _simplex(len(values))
        biases[name] = torch.tensor([_LOGIT_BIAS.get((name, v), 0.0) for v in values])
        start = stop
    return planes, biases


def _logits(z: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    z = z * z.square().mean(1, keepdim=True).add(1e-8).rsqrt()
    planes, biases = attribute_planes()
    logits = {
        name: z @ planes[name].to(z).T + biases[name].to(z) for name in ATTRIBUTES
    }
    return logits, z[:, -len(LAYOUT) :]


def _simplex(num: int) -> Tensor:
    """Return the corners of a regular simplex around 0, [num, num - 1], unit norm."""
    centred = torch.eye(num, dtype=torch.float64) - 1 / num
    # The rows of `centred` span num - 1 dimensions; express them in Helmert's basis.
    basis = torch.zeros(num - 1, num, dtype=torch.float64)
    for row in range(1, num):
        basis[row - 1, :row] = 1
        basis[row - 1, row] = -row
    basis = torch.nn.functional.normalize(basis, dim=1)
    return torch.nn.functional.normalize(centred @ basis.T, dim=1)
