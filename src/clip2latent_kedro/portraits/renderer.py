"""Draws portraits from attributes, batched in torch.

Shapes are signed distances in face coordinates, u to the right and v down, one
image being [-1, 1] wide; a layer covers the pixels where its distance is
negative, with an edge of one pixel. Layers of attribute values are weighted by
`SoftAttributes.weights`, so that the picture is a continuous function of z.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from clip2latent_kedro.portraits.attributes import (
    ATTRIBUTES,
    SoftAttributes,
    attributes_from_labels,
    soft_attributes,
)

_PALETTES: dict[str, dict[str, tuple[float, float, float]]] = {
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
_DARK = (0.04, 0.04, 0.05)
_EYE_U, _EYE_V = 0.185, -0.06


def render(z: Tensor, *, resolution: int = 64) -> Tensor:
    """Return portraits, [n, 3, resolution, resolution] in [-1, 1], of z [n, Z_DIM]."""
    return draw(soft_attributes(z), resolution=resolution)


def render_labels(labels: Tensor, layout: Tensor, *, resolution: int = 64) -> Tensor:
    """Return portraits of given labels [n, num_attributes] and layout [n, 4]."""
    return draw(attributes_from_labels(labels, layout), resolution=resolution)


def draw(attributes: SoftAttributes, *, resolution: int = 64) -> Tensor:
    """Return portraits, [n, 3, resolution, resolution] in [-1, 1]."""
    canvas = _Canvas.blank(attributes, resolution)
    _draw_background(canvas)
    canvas.enter_face()
    _draw_hair_behind(canvas)
    _draw_body(canvas)
    _draw_head(canvas)
    _draw_eyes(canvas)
    _draw_mouth(canvas)
    _draw_beard(canvas)
    _draw_hair_in_front(canvas)
    _draw_eyewear(canvas)
    _draw_hat(canvas)
    light = (1 + 0.04 * attributes.layout[:, 3].clamp(-2, 2))[:, None, None, None]
    return (canvas.image * light).clamp(0, 1) * 2 - 1


@dataclass
class _Canvas:
    """The picture so far, the coordinates of its pixels and what is drawn on it."""

    attributes: SoftAttributes
    image: Tensor  # [n, 3, h, w] in [0, 1]
    u: Tensor  # [n or 1, h, w]
    v: Tensor
    pixel: float

    @classmethod
    def blank(cls, attributes: SoftAttributes, resolution: int) -> "_Canvas":
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
        return weights @ torch.tensor(list(_PALETTES[name].values())).to(weights)

    def fixed(self, colour: tuple[float, float, float]) -> Tensor:
        """Return one colour for all, [1, 3]."""
        return torch.tensor([colour]).to(self.image)

    def inside(self, distance: Tensor) -> Tensor:
        """Return the coverage, in [0, 1], of the pixels at a signed distance."""
        return (0.5 - distance / self.pixel).clamp(0, 1)

    def paint(self, colour: Tensor, coverage: Tensor) -> None:
        """Put a colour [n, 3] over what is there."""
        paint = colour[:, :, None, None].to(self.image).expand_as(self.image)
        self.image.lerp_(paint, coverage[:, None].expand_as(self.image))

    def band(self, top: float, bottom: float) -> "_Canvas":
        """Return a view of the rows that can hold v in [top, bottom] of any face."""
        height = self.image.shape[2]
        first = max(0, int((top * 1.06 - 0.04 + 1) / 2 * height))
        last = min(height, int((bottom * 1.06 + 0.16 + 1) / 2 * height) + 1)
        rows = slice(first, last)
        return replace(
            self, image=self.image[:, :, rows], u=self.u[:, rows], v=self.v[:, rows]
        )

    @contextmanager
    def having(self, name: str, *values: str) -> Iterator["_Canvas"]:
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


def _ellipse(u: Tensor, v: Tensor, a: float | Tensor, b: float | Tensor) -> Tensor:
    radius = torch.sqrt((u / a).square() + (v / b).square() + 1e-9)
    smaller = torch.minimum(torch.as_tensor(a), torch.as_tensor(b))
    return (radius - 1) * smaller


def _box(u: Tensor, v: Tensor, a: float, b: float, rounding: float = 0.0) -> Tensor:
    du = u.abs() - (a - rounding)
    dv = v.abs() - (b - rounding)
    outside = torch.sqrt(du.clamp_min(0).square() + dv.clamp_min(0).square() + 1e-9)
    return outside + torch.maximum(du, dv).clamp_max(0) - rounding


def _arc(u: Tensor, v: Tensor, half: float, bend: float, thick: float) -> Tensor:
    """Distance to a stroke, 2 * half long, whose ends lie `bend` below its middle."""
    curve = bend * (u / half).square()
    return torch.maximum((v - curve).abs() - thick, u.abs() - half)


def _draw_background(c: _Canvas) -> None:
    u, v = c.u, c.v
    height = (v + 1) / 2

    def gradient(top: tuple[float, ...], bottom: tuple[float, ...]) -> Tensor:
        ends = torch.tensor([top, bottom]).to(c.image)[:, :, None, None]
        return torch.lerp(ends[:1], ends[1:], height[:, None])

    def over(scene: Tensor, colour: tuple[float, ...], coverage: Tensor) -> Tensor:
        paint = torch.tensor(colour).to(c.image)[None, :, None, None]
        return torch.lerp(scene, paint, coverage[:, None])

    studio = gradient((0.86, 0.86, 0.88), (0.60, 0.60, 0.64))

    beach = gradient((0.40, 0.72, 0.98), (0.86, 0.96, 1.00))
    beach = over(beach, (0.05, 0.42, 0.72), c.inside(-(v - 0.12)))
    beach = over(beach, (0.95, 0.84, 0.58), c.inside(-(v - 0.46)))

    forest = gradient((0.16, 0.50, 0.18), (0.05, 0.26, 0.08))
    for centre in (-0.82, -0.45, 0.50, 0.86):
        trunk = c.inside(_box(u - centre, v - 0.3, 0.07, 0.95))
        forest = over(forest, (0.33, 0.18, 0.07), trunk)
    for centre in (-0.9, -0.4, 0.15, 0.7):
        crown = c.inside(_ellipse(u - centre, v + 0.98, 0.36, 0.30))
        forest = over(forest, (0.10, 0.40, 0.12), crown)

    night = gradient((0.02, 0.02, 0.12), (0.08, 0.08, 0.32))
    night = over(
        night, (0.98, 0.95, 0.76), c.inside(_ellipse(u - 0.70, v + 0.70, 0.17, 0.17))
    )
    for x, y in ((-0.85, -0.8), (-0.6, -0.35), (-0.9, 0.1), (0.88, -0.1), (-0.3, -0.9)):
        star = c.inside(_ellipse(u - x, v - y, 0.035, 0.035))
        night = over(night, (1.0, 1.0, 0.9), star)

    sunset = gradient((0.45, 0.18, 0.55), (1.00, 0.62, 0.25))
    sunset = over(
        sunset, (1.0, 0.90, 0.35), c.inside(_ellipse(u - 0.68, v - 0.12, 0.22, 0.22))
    )
    sunset = over(sunset, (0.28, 0.08, 0.24), c.inside(-(v - 0.30)))

    weights = c.attributes.weights["background"]
    scenes = torch.cat([studio, beach, forest, night, sunset])  # [5, 3, h, w]
    c.image = torch.einsum("ns,schw->nchw", weights, scenes)


def _draw_hair_behind(c: _Canvas) -> None:
    with c.having("hair_style", "long") as part:
        long = _box(part.u, part.v - 0.06, 0.56, 0.64, rounding=0.42)
        shade = part.colour("hair_colour") * 0.88
        part.paint(shade, part.inside(long) * part.weight("hair_style", "long"))
    with c.having("hair_style", "afro") as part:
        afro = _ellipse(part.u, part.v + 0.20, 0.70, 0.64)
        shade = part.colour("hair_colour") * 0.88
        part.paint(shade, part.inside(afro) * part.weight("hair_style", "afro"))


def _draw_body(c: _Canvas) -> None:
    c = c.band(0.30, 1.2)
    skin = c.colour("skin") * 0.86
    neck = _box(c.u, c.v - 0.55, 0.15, 0.22, rounding=0.05)
    c.paint(skin, c.inside(neck))
    width = 0.68 + 0.14 * c.weight("gender", "man")
    shoulders = _ellipse(c.u, c.v - 1.08, width, 0.44)
    c.paint(c.colour("shirt"), c.inside(shoulders))
    collar = _ellipse(c.u, c.v - 0.62, 0.19, 0.12)
    c.paint(skin, c.inside(collar))


def _head_distance(c: _Canvas) -> Tensor:
    """Distance to the head: an oval, with a broad jaw for men."""
    is_man = c.weight("gender", "man")
    lower = c.v.clamp_min(0)
    width = 0.435 + 0.09 * is_man * lower / 0.5
    return _ellipse(c.u, c.v, width, 0.53)


def _draw_head(c: _Canvas) -> None:
    skin = c.colour("skin")
    sides = c.band(-0.15, 0.27)
    for side in (-1, 1):
        ear = _ellipse(sides.u - side * 0.45, sides.v, 0.07, 0.11)
        sides.paint(skin * 0.90, sides.inside(ear))
    with sides.having("gender", "woman") as part:
        gold = part.fixed((1.0, 0.80, 0.10))
        for side in (-1, 1):
            ring = _ellipse(part.u - side * 0.47, part.v - 0.17, 0.05, 0.065)
            part.paint(gold, part.inside(ring) * part.weight("gender", "woman"))
    head = c.band(-0.56, 0.56)
    head.paint(skin, head.inside(_head_distance(head)))
    with c.band(-0.40, 0.38).having("age", "old") as part:
        _draw_wrinkles(part)
    middle = c.band(0.02, 0.22)
    nose = _ellipse(middle.turned(), middle.v - 0.12, 0.048, 0.075)
    middle.paint(skin * 0.80, middle.inside(nose))


def _draw_wrinkles(c: _Canvas) -> None:
    u, is_old = c.turned(), c.weight("age", "old")
    crease = c.colour("skin") * 0.62
    for height in (-0.33, -0.26):
        c.paint(crease, c.inside(_arc(u, c.v - height, 0.20, 0.015, 0.014)) * is_old)
    for side in (-1, 1):
        fold = (u - side * (0.17 + 0.30 * (c.v - 0.16))).abs() - 0.018
        fold = torch.maximum(fold, (c.v - 0.25).abs() - 0.09)
        c.paint(crease, c.inside(fold) * is_old)
        bag = _arc(u - side * _EYE_U, c.v - 0.085, 0.09, -0.03, 0.014)
        c.paint(crease, c.inside(bag) * is_old)


def _draw_eyes(c: _Canvas) -> None:
    c = c.band(-0.36, 0.08)
    u, v = c.turned(), c.v
    yaw = c.weight("pose", "right") - c.weight("pose", "left")
    is_woman = c.weight("gender", "woman")
    is_surprised = c.weight("expression", "surprised")
    is_sad = c.weight("expression", "sad")
    iris = c.colour("eye_colour")
    dark = c.fixed(_DARK)
    white = c.fixed((1.0, 1.0, 1.0))
    brow_colour = torch.lerp(
        c.colour("hair_colour") * 0.7,
        c.fixed((0.93, 0.93, 0.93)),
        c.weight("age", "old")[:, :, 0],
    )
    for side in (-1, 1):
        x, y = u - side * _EYE_U, v - _EYE_V
        lashes = _ellipse(x - side * 0.015, y + 0.025, 0.145, 0.115)
        c.paint(dark, c.inside(lashes) * is_woman)
        c.paint(white, c.inside(_ellipse(x, y, 0.125, 0.098)))
        gaze = x - 0.035 * yaw
        c.paint(iris, c.inside(_ellipse(gaze, y, 0.084, 0.088)))
        c.paint(dark, c.inside(_ellipse(gaze, y, 0.030, 0.032)))
        # Brows rise in surprise and slant to the outside when sad.
        lifted = y + 0.155 + 0.055 * is_surprised - 0.35 * is_sad * side * x
        slim = _arc(x, lifted, 0.12, 0.015, 0.020)
        thick = _arc(x, lifted, 0.14, 0.015, 0.036)
        stroke = torch.lerp(c.inside(thick), c.inside(slim), is_woman)
        c.paint(brow_colour, stroke)


def _draw_mouth(c: _Canvas) -> None:
    c = c.band(0.14, 0.50)
    white, hole = (1.0, 1.0, 1.0), (0.18, 0.02, 0.05)
    with c.having("expression", "smiling") as part:
        u, v, shown = part.mouth("smiling")
        jaw = torch.maximum(_ellipse(u, v + 0.05, 0.20, 0.17), -(v + 0.045))
        part.paint(part.lips(), part.inside(jaw) * shown)
        teeth = torch.maximum(_ellipse(u, v + 0.03, 0.155, 0.10), -(v + 0.018))
        part.paint(part.fixed(white), part.inside(teeth) * shown)
    with c.having("expression", "neutral") as part:
        u, v, shown = part.mouth("neutral")
        flat = _box(u, v, 0.13, 0.030, rounding=0.02)
        part.paint(part.lips(), part.inside(flat) * shown)
    with c.having("expression", "sad") as part:
        u, v, shown = part.mouth("sad")
        frown = _arc(u, v + 0.035, 0.16, 0.10, 0.034)
        part.paint(part.lips(), part.inside(frown) * shown)
    with c.having("expression", "surprised") as part:
        u, v, shown = part.mouth("surprised")
        lips = _ellipse(u, v - 0.02, 0.105, 0.125)
        part.paint(part.lips(), part.inside(lips) * shown)
        opening = _ellipse(u, v - 0.02, 0.065, 0.085)
        part.paint(part.fixed(hole), part.inside(opening) * shown)


def _draw_beard(c: _Canvas) -> None:
    with c.band(0.08, 0.62).having("beard", "moustache", "beard") as part:
        u, v = part.turned(), part.v
        colour = part.colour("hair_colour")
        full = part.weight("beard", "beard")
        either = part.weight("beard", "moustache") + full
        moustache = torch.maximum(
            _ellipse(u, v - 0.235, 0.19, 0.060), -_ellipse(u, v - 0.33, 0.20, 0.075)
        )
        part.paint(colour, part.inside(moustache) * either)
        jaw = torch.maximum(
            _head_distance(part) - 0.035, -(v - 0.12 - 0.1 * u.abs())
        )
        opening = _ellipse(u, v - 0.27, 0.235, 0.165)
        part.paint(colour, part.inside(torch.maximum(jaw, -opening)) * full)


def _draw_hair_in_front(c: _Canvas) -> None:
    with c.band(-0.62, 0.05).having("hair_style", "short") as part:
        # A cap whose hairline comes down at the temples.
        u, v, shown = part.u, part.v, part.weight("hair_style", "short")
        hairline = v + 0.36 - 1.7 * (u.abs() - 0.24).clamp_min(0)
        short = torch.maximum(_ellipse(u, v + 0.02, 0.475, 0.575), hairline)
        part.paint(part.colour("hair_colour"), part.inside(short) * shown)
    with c.band(-0.64, 0.56).having("hair_style", "long") as part:
        # Curtains from a parting, down both cheeks.
        u, v, shown = part.u, part.v, part.weight("hair_style", "long")
        face = _ellipse(u, v - 0.10, 0.375, 0.50)
        curtain = torch.maximum(_ellipse(u, v - 0.02, 0.53, 0.62), -face)
        curtain = torch.maximum(curtain, v - 0.52)
        part.paint(part.colour("hair_colour"), part.inside(curtain) * shown)
    with c.band(-0.84, 0.02).having("hair_style", "afro") as part:
        # A round hairline high on the forehead.
        u, v, shown = part.u, part.v, part.weight("hair_style", "afro")
        face = _ellipse(u, v - 0.06, 0.43, 0.46)
        afro = torch.maximum(_ellipse(u, v + 0.20, 0.66, 0.60), -face)
        afro = torch.maximum(afro, v + 0.02)
        part.paint(part.colour("hair_colour"), part.inside(afro) * shown)
    with c.band(-0.48, -0.33).having("hair_style", "bald") as part:
        shine = _ellipse(part.u + 0.12, part.v + 0.40, 0.085, 0.045)
        light = part.colour("skin") * 0.6 + 0.4
        part.paint(light, part.inside(shine) * part.weight("hair_style", "bald"))


def _draw_eyewear(c: _Canvas) -> None:
    with c.band(-0.24, 0.12).having("eyewear", "glasses", "sunglasses") as part:
        u, v = part.turned(), part.v - _EYE_V
        dark = part.fixed(_DARK)
        glasses = part.weight("eyewear", "glasses")
        shades = part.weight("eyewear", "sunglasses")
        for side in (-1, 1):
            rim = _ellipse(u - side * _EYE_U, v, 0.165, 0.150)
            part.paint(dark, part.inside((rim + 0.012).abs() - 0.020) * glasses)
            lens = _ellipse(u - side * 0.19, v - 0.01, 0.185, 0.150)
            part.paint(dark, part.inside(lens) * shades)
            glint = _ellipse(u - side * 0.19 + 0.06, v + 0.05, 0.045, 0.030)
            part.paint(part.fixed((0.45, 0.50, 0.60)), part.inside(glint) * shades)
        bridge = _box(u, v, 0.05, 0.022)
        temples = torch.maximum(_box(part.u, v, 0.46, 0.022), 0.33 - u.abs())
        frame = torch.maximum(part.inside(bridge), part.inside(temples))
        part.paint(dark, frame * (glasses + shades).clamp_max(1))


def _draw_hat(c: _Canvas) -> None:
    with c.band(-1.0, -0.26).having("hat", "beanie") as part:
        u, v, shown = part.u, part.v, part.weight("hat", "beanie")
        orange = part.fixed((0.98, 0.55, 0.20))
        dome = torch.maximum(_ellipse(u, v + 0.34, 0.50, 0.44), v + 0.36)
        part.paint(part.fixed((0.10, 0.60, 0.62)), part.inside(dome) * shown)
        band = _box(u, v + 0.37, 0.50, 0.075, rounding=0.05)
        part.paint(orange, part.inside(band) * shown)
        pompom = _ellipse(u, v + 0.82, 0.11, 0.10)
        part.paint(orange, part.inside(pompom) * shown)
    with c.band(-1.0, -0.26).having("hat", "fedora") as part:
        u, v, shown = part.u, part.v, part.weight("hat", "fedora")
        felt = part.fixed((0.42, 0.27, 0.14))
        crown = _box(u, v + 0.62, 0.36, 0.28, rounding=0.10)
        part.paint(felt, part.inside(crown) * shown)
        ribbon = _box(u, v + 0.455, 0.36, 0.06)
        part.paint(part.fixed((0.12, 0.07, 0.05)), part.inside(ribbon) * shown)
        brim = _ellipse(u, v + 0.375, 0.74, 0.075)
        part.paint(felt * 0.85, part.inside(brim) * shown)
