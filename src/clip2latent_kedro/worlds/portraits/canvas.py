"""What portraits are drawn on: pixels, coordinates and shapes.

Shapes are signed distances in face coordinates, u to the right and v down, one
image being [-1, 1] wide; paint covers the pixels where the distance is negative,
with an edge of one pixel.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from clip2latent_kedro.worlds.portraits.attributes import ATTRIBUTES, SoftAttributes

Colour = tuple[float, float, float]

PALETTES: dict[str, dict[str, Colour]] = {
    "skin": {
        "light": (0.98, 0.84, 0.74),
        "tan": (0.83, 0.60, 0.42),
        "dark": (0.50, 0.31, 0.20),
    },
    "hair_colour": {
        "black": (0.07, 0.06, 0.08),
        "brown": (0.36, 0.19, 0.07),
        "blonde": (0.95, 0.81, 0.36),
        "red": (0.85, 0.31, 0.07),
        "grey": (0.72, 0.73, 0.76),
        "pink": (0.98, 0.45, 0.70),
        "blue": (0.22, 0.35, 0.90),
    },
    "eye_colour": {
        "brown": (0.36, 0.17, 0.04),
        "blue": (0.10, 0.45, 1.00),
        "green": (0.05, 0.68, 0.18),
    },
    "shirt": {
        "white": (0.95, 0.95, 0.95),
        "black": (0.10, 0.10, 0.12),
        "red": (0.82, 0.10, 0.14),
        "blue": (0.12, 0.26, 0.78),
        "green": (0.10, 0.56, 0.26),
        "yellow": (0.98, 0.85, 0.12),
        "purple": (0.50, 0.16, 0.62),
    },
}


@dataclass
class Canvas:
    """The picture so far, the coordinates of its pixels and what is drawn on it."""

    attributes: SoftAttributes
    image: Tensor  # [n, 3, h, w] in [0, 1]
    u: Tensor  # [n or 1, h, w]
    v: Tensor
    pixel: float

    @classmethod
    def blank(cls, attributes: SoftAttributes, resolution: int) -> "Canvas":
        """Return a black picture in image coordinates."""
        layout = attributes.layout
        axis = (torch.arange(resolution).to(layout) + 0.5) / resolution * 2 - 1
        v, u = torch.meshgrid(axis, axis, indexing="ij")
        image = layout.new_zeros(len(layout), 3, resolution, resolution)
        return cls(attributes, image, u[None], v[None], 2 / resolution)

    def enter_face(self) -> None:
        """Change to the coordinates of the face: moved and scaled by the layout."""
        shift_x, shift_y, scale, _ = self.attributes.layout.clamp(-2, 2).unbind(1)
        size = (1 + 0.03 * scale)[:, None, None]
        self.u = (self.u - 0.025 * shift_x[:, None, None]) / size
        self.v = (self.v - 0.06 - 0.02 * shift_y[:, None, None]) / size

    def weight(self, name: str, value: str) -> Tensor:
        """Return how much each portrait has of a value, [n, 1, 1]."""
        index = ATTRIBUTES[name].index(value)
        return self.attributes.weights[name][:, index, None, None]

    def colour(self, name: str) -> Tensor:
        """Return the colour that an attribute asks for, [n, 3]."""
        weights = self.attributes.weights[name]
        return weights @ torch.tensor(list(PALETTES[name].values())).to(weights)

    def fixed(self, colour: Colour) -> Tensor:
        """Return one colour for all, [1, 3]."""
        return torch.tensor([colour]).to(self.image)

    def inside(self, distance: Tensor) -> Tensor:
        """Return the coverage, in [0, 1], of the pixels at a signed distance."""
        return (0.5 - distance / self.pixel).clamp(0, 1)

    def paint(
        self, colour: Tensor | Colour, distance: Tensor, share: float | Tensor = 1.0
    ) -> None:
        """Put a colour, [n, 3] or one for all, on a shape; `share` mixes it in."""
        if not isinstance(colour, Tensor):
            colour = self.fixed(colour)
        self.cover(colour, self.inside(distance) * share)

    def cover(self, colour: Tensor, coverage: Tensor) -> None:
        """Put a colour [n, 3] over what is there."""
        paint = colour[:, :, None, None].to(self.image).expand_as(self.image)
        self.image.lerp_(paint, coverage[:, None].expand_as(self.image))

    def band(self, top: float, bottom: float) -> "Canvas":
        """Return a view of the rows that can hold v in [top, bottom] of any face."""
        height = self.image.shape[2]
        first = max(0, int((top * 1.06 - 0.04 + 1) / 2 * height))
        last = min(height, int((bottom * 1.06 + 0.16 + 1) / 2 * height) + 1)
        rows = slice(first, last)
        return replace(
            self, image=self.image[:, :, rows], u=self.u[:, rows], v=self.v[:, rows]
        )

    @contextmanager
    def having(self, name: str, *values: str) -> Iterator["Canvas"]:
        """Give a canvas of those portraits that show one of an attribute's values."""
        shown = torch.cat([self.weight(name, value) for value in values], dim=1)
        chosen = shown[:, :, 0].amax(1).nonzero()[:, 0]
        part = replace(
            self,
            attributes=SoftAttributes(
                {key: rows[chosen] for key, rows in self.attributes.weights.items()},
                self.attributes.layout[chosen],
            ),
            image=self.image[chosen],
            u=self.u[chosen],
            v=self.v[chosen],
        )
        yield part
        self.image[chosen] = part.image

    def turned(self) -> Tensor:
        """Return u for the features of a face that looks left or right."""
        yaw = self.weight("pose", "right") - self.weight("pose", "left")
        return self.u - 0.15 * yaw

    def mouth(self, expression: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return u, v around the mouth and the weight of an expression."""
        return self.turned(), self.v - 0.30, self.weight("expression", expression)

    def lips(self) -> Tensor:
        """Return the colour of the lips, [n, 3]: red for women."""
        is_woman = self.weight("gender", "woman")[:, :, 0]
        red = self.fixed((0.84, 0.08, 0.18))
        return torch.lerp(self.colour("skin") * 0.55, red, is_woman)


def ellipse(u: Tensor, v: Tensor, a: float | Tensor, b: float | Tensor) -> Tensor:
    """Return the distance to an ellipse with half axes a and b, to first order."""
    radius = torch.sqrt((u / a).square() + (v / b).square() + 1e-9)
    smaller = torch.minimum(torch.as_tensor(a), torch.as_tensor(b))
    return (radius - 1) * smaller


def box(u: Tensor, v: Tensor, a: float, b: float, rounding: float = 0.0) -> Tensor:
    """Return the distance to a box with half sides a and b and round corners."""
    du = u.abs() - (a - rounding)
    dv = v.abs() - (b - rounding)
    outside = torch.sqrt(du.clamp_min(0).square() + dv.clamp_min(0).square() + 1e-9)
    return outside + torch.maximum(du, dv).clamp_max(0) - rounding


def arc(u: Tensor, v: Tensor, half: float, bend: float, thick: float) -> Tensor:
    """Distance to a stroke, 2 * half long, whose ends lie `bend` below its middle."""
    curve = bend * (u / half).square()
    return torch.maximum((v - curve).abs() - thick, u.abs() - half)
