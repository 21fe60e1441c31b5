"""Draws portraits from attributes, batched in torch.

Layers of attribute values are weighted by `SoftAttributes.weights`, so that the
picture is a continuous function of z. Numbers are places and sizes in the face
coordinates of `canvas`.
"""

import torch
from torch import Tensor

from clip2latent_kedro.worlds.portraits.attributes import (
    SoftAttributes,
    attributes_from_labels,
    soft_attributes,
)
from clip2latent_kedro.worlds.portraits.canvas import Canvas, arc, box, ellipse

_DARK = (0.04, 0.04, 0.05)
_EYE_U, _EYE_V = 0.185, -0.06


def render(z: Tensor, *, resolution: int = 64) -> Tensor:
    """Return portraits, [n, 3, resolution, resolution] in [-1, 1], of z [n, Z_DIM]."""
    return render_attributes(soft_attributes(z), resolution=resolution)


def render_labels(labels: Tensor, layout: Tensor, *, resolution: int = 64) -> Tensor:
    """Return portraits of given labels [n, num_attributes] and layout [n, 4]."""
    return render_attributes(
        attributes_from_labels(labels, layout), resolution=resolution
    )


def render_attributes(attributes: SoftAttributes, *, resolution: int = 64) -> Tensor:
    """Return portraits, [n, 3, resolution, resolution] in [-1, 1]."""
    canvas = Canvas.blank(attributes, resolution)
    _paint_background(canvas)
    canvas.enter_face()
    _paint_hair_behind(canvas)
    _paint_body(canvas)
    _paint_head(canvas)
    _paint_eyes(canvas)
    _paint_mouth(canvas)
    _paint_beard(canvas)
    _paint_hair_in_front(canvas)
    _paint_eyewear(canvas)
    _paint_hat(canvas)
    light = (1 + 0.04 * attributes.layout[:, 3].clamp(-2, 2))[:, None, None, None]
    return (canvas.image * light).clamp(0, 1) * 2 - 1


def _paint_background(c: Canvas) -> None:
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
        trunk = c.inside(box(u - centre, v - 0.3, 0.07, 0.95))
        forest = over(forest, (0.33, 0.18, 0.07), trunk)
    for centre in (-0.9, -0.4, 0.15, 0.7):
        crown = c.inside(ellipse(u - centre, v + 0.98, 0.36, 0.30))
        forest = over(forest, (0.10, 0.40, 0.12), crown)

    night = gradient((0.02, 0.02, 0.12), (0.08, 0.08, 0.32))
    night = over(
        night, (0.98, 0.95, 0.76), c.inside(ellipse(u - 0.70, v + 0.70, 0.17, 0.17))
    )
    for x, y in ((-0.85, -0.8), (-0.6, -0.35), (-0.9, 0.1), (0.88, -0.1), (-0.3, -0.9)):
        star = c.inside(ellipse(u - x, v - y, 0.035, 0.035))
        night = over(night, (1.0, 1.0, 0.9), star)

    sunset = gradient((0.45, 0.18, 0.55), (1.00, 0.62, 0.25))
    sunset = over(
        sunset, (1.0, 0.90, 0.35), c.inside(ellipse(u - 0.68, v - 0.12, 0.22, 0.22))
    )
    sunset = over(sunset, (0.28, 0.08, 0.24), c.inside(-(v - 0.30)))

    weights = c.attributes.weights["background"]
    scenes = torch.cat([studio, beach, forest, night, sunset])  # [5, 3, h, w]
    c.image = torch.einsum("ns,schw->nchw", weights, scenes)


def _paint_hair_behind(c: Canvas) -> None:
    with c.having("hair_style", "long") as part:
        long = box(part.u, part.v - 0.06, 0.56, 0.64, rounding=0.42)
        shade = part.colour("hair_colour") * 0.88
        part.paint(shade, long, part.weight("hair_style", "long"))
    with c.having("hair_style", "afro") as part:
        afro = ellipse(part.u, part.v + 0.20, 0.70, 0.64)
        shade = part.colour("hair_colour") * 0.88
        part.paint(shade, afro, part.weight("hair_style", "afro"))


def _paint_body(c: Canvas) -> None:
    c = c.band(0.30, 1.2)
    skin = c.colour("skin") * 0.86
    neck = box(c.u, c.v - 0.55, 0.15, 0.22, rounding=0.05)
    c.paint(skin, neck)
    width = 0.68 + 0.14 * c.weight("gender", "man")
    shoulders = ellipse(c.u, c.v - 1.08, width, 0.44)
    c.paint(c.colour("shirt"), shoulders)
    collar = ellipse(c.u, c.v - 0.62, 0.19, 0.12)
    c.paint(skin, collar)


def _head_distance(c: Canvas) -> Tensor:
    """Distance to the head: an oval, with a broad jaw for men."""
    is_man = c.weight("gender", "man")
    lower = c.v.clamp_min(0)
    width = 0.435 + 0.09 * is_man * lower / 0.5
    return ellipse(c.u, c.v, width, 0.53)


def _paint_head(c: Canvas) -> None:
    skin = c.colour("skin")
    sides = c.band(-0.15, 0.27)
    for side in (-1, 1):
        ear = ellipse(sides.u - side * 0.45, sides.v, 0.07, 0.11)
        sides.paint(skin * 0.90, ear)
    with sides.having("gender", "woman") as part:
        gold = part.fixed((1.0, 0.80, 0.10))
        for side in (-1, 1):
            ring = ellipse(part.u - side * 0.47, part.v - 0.17, 0.05, 0.065)
            part.paint(gold, ring, part.weight("gender", "woman"))
    head = c.band(-0.56, 0.56)
    head.paint(skin, _head_distance(head))
    with c.band(-0.40, 0.38).having("age", "old") as part:
        _paint_wrinkles(part)
    middle = c.band(0.02, 0.22)
    nose = ellipse(middle.turned(), middle.v - 0.12, 0.048, 0.075)
    middle.paint(skin * 0.80, nose)


def _paint_wrinkles(c: Canvas) -> None:
    u, is_old = c.turned(), c.weight("age", "old")
    crease = c.colour("skin") * 0.62
    for height in (-0.33, -0.26):
        c.paint(crease, arc(u, c.v - height, 0.20, 0.015, 0.014), is_old)
    for side in (-1, 1):
        fold = (u - side * (0.17 + 0.30 * (c.v - 0.16))).abs() - 0.018
        fold = torch.maximum(fold, (c.v - 0.25).abs() - 0.09)
        c.paint(crease, fold, is_old)
        bag = arc(u - side * _EYE_U, c.v - 0.085, 0.09, -0.03, 0.014)
        c.paint(crease, bag, is_old)


def _paint_eyes(c: Canvas) -> None:
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
        lashes = ellipse(x - side * 0.015, y + 0.025, 0.145, 0.115)
        c.paint(dark, lashes, is_woman)
        c.paint(white, ellipse(x, y, 0.125, 0.098))
        gaze = x - 0.035 * yaw
        c.paint(iris, ellipse(gaze, y, 0.084, 0.088))
        c.paint(dark, ellipse(gaze, y, 0.030, 0.032))
        # Brows rise in surprise and slant to the outside when sad.
        lifted = y + 0.155 + 0.055 * is_surprised - 0.35 * is_sad * side * x
        slim = arc(x, lifted, 0.12, 0.015, 0.020)
        thick = arc(x, lifted, 0.14, 0.015, 0.036)
        stroke = torch.lerp(c.inside(thick), c.inside(slim), is_woman)
        c.cover(brow_colour, stroke)


def _paint_mouth(c: Canvas) -> None:
    c = c.band(0.14, 0.50)
    white, hole = (1.0, 1.0, 1.0), (0.18, 0.02, 0.05)
    with c.having("expression", "smiling") as part:
        u, v, shown = part.mouth("smiling")
        jaw = torch.maximum(ellipse(u, v + 0.05, 0.20, 0.17), -(v + 0.045))
        part.paint(part.lips(), jaw, shown)
        teeth = torch.maximum(ellipse(u, v + 0.03, 0.155, 0.10), -(v + 0.018))
        part.paint(white, teeth, shown)
    with c.having("expression", "neutral") as part:
        u, v, shown = part.mouth("neutral")
        flat = box(u, v, 0.13, 0.030, rounding=0.02)
        part.paint(part.lips(), flat, shown)
    with c.having("expression", "sad") as part:
        u, v, shown = part.mouth("sad")
        frown = arc(u, v + 0.035, 0.16, 0.10, 0.034)
        part.paint(part.lips(), frown, shown)
    with c.having("expression", "surprised") as part:
        u, v, shown = part.mouth("surprised")
        lips = ellipse(u, v - 0.02, 0.105, 0.125)
        part.paint(part.lips(), lips, shown)
        opening = ellipse(u, v - 0.02, 0.065, 0.085)
        part.paint(hole, opening, shown)


def _paint_beard(c: Canvas) -> None:
    with c.band(0.08, 0.62).having("beard", "moustache", "beard") as part:
        u, v = part.turned(), part.v
        colour = part.colour("hair_colour")
        full = part.weight("beard", "beard")
        either = part.weight("beard", "moustache") + full
        moustache = torch.maximum(
            ellipse(u, v - 0.235, 0.19, 0.060), -ellipse(u, v - 0.33, 0.20, 0.075)
        )
        part.paint(colour, moustache, either)
        jaw = torch.maximum(_head_distance(part) - 0.035, -(v - 0.12 - 0.1 * u.abs()))
        opening = ellipse(u, v - 0.27, 0.235, 0.165)
        part.paint(colour, torch.maximum(jaw, -opening), full)


def _paint_hair_in_front(c: Canvas) -> None:
    with c.band(-0.62, 0.05).having("hair_style", "short") as part:
        # A cap whose hairline comes down at the temples.
        u, v, shown = part.u, part.v, part.weight("hair_style", "short")
        hairline = v + 0.36 - 1.7 * (u.abs() - 0.24).clamp_min(0)
        short = torch.maximum(ellipse(u, v + 0.02, 0.475, 0.575), hairline)
        part.paint(part.colour("hair_colour"), short, shown)
    with c.band(-0.64, 0.56).having("hair_style", "long") as part:
        # Curtains from a parting, down both cheeks.
        u, v, shown = part.u, part.v, part.weight("hair_style", "long")
        face = ellipse(u, v - 0.10, 0.375, 0.50)
        curtain = torch.maximum(ellipse(u, v - 0.02, 0.53, 0.62), -face)
        curtain = torch.maximum(curtain, v - 0.52)
        part.paint(part.colour("hair_colour"), curtain, shown)
    with c.band(-0.84, 0.02).having("hair_style", "afro") as part:
        # A round hairline high on the forehead.
        u, v, shown = part.u, part.v, part.weight("hair_style", "afro")
        face = ellipse(u, v - 0.06, 0.43, 0.46)
        afro = torch.maximum(ellipse(u, v + 0.20, 0.66, 0.60), -face)
        afro = torch.maximum(afro, v + 0.02)
        part.paint(part.colour("hair_colour"), afro, shown)
    with c.band(-0.48, -0.33).having("hair_style", "bald") as part:
        shine = ellipse(part.u + 0.12, part.v + 0.40, 0.085, 0.045)
        light = part.colour("skin") * 0.6 + 0.4
        part.paint(light, shine, part.weight("hair_style", "bald"))


def _paint_eyewear(c: Canvas) -> None:
    with c.band(-0.24, 0.12).having("eyewear", "glasses", "sunglasses") as part:
        u, v = part.turned(), part.v - _EYE_V
        dark = part.fixed(_DARK)
        glasses = part.weight("eyewear", "glasses")
        shades = part.weight("eyewear", "sunglasses")
        for side in (-1, 1):
            rim = ellipse(u - side * _EYE_U, v, 0.165, 0.150)
            part.paint(dark, (rim + 0.012).abs() - 0.020, glasses)
            lens = ellipse(u - side * 0.19, v - 0.01, 0.185, 0.150)
            part.paint(dark, lens, shades)
            glint = ellipse(u - side * 0.19 + 0.06, v + 0.05, 0.045, 0.030)
            part.paint((0.45, 0.50, 0.60), glint, shades)
        bridge = box(u, v, 0.05, 0.022)
        temples = torch.maximum(box(part.u, v, 0.46, 0.022), 0.33 - u.abs())
        frame = torch.maximum(part.inside(bridge), part.inside(temples))
        part.cover(dark, frame * (glasses + shades).clamp_max(1))


def _paint_hat(c: Canvas) -> None:
    with c.band(-1.0, -0.26).having("hat", "beanie") as part:
        u, v, shown = part.u, part.v, part.weight("hat", "beanie")
        orange = part.fixed((0.98, 0.55, 0.20))
        dome = torch.maximum(ellipse(u, v + 0.34, 0.50, 0.44), v + 0.36)
        part.paint((0.10, 0.60, 0.62), dome, shown)
        band = box(u, v + 0.37, 0.50, 0.075, rounding=0.05)
        part.paint(orange, band, shown)
        pompom = ellipse(u, v + 0.82, 0.11, 0.10)
        part.paint(orange, pompom, shown)
    with c.band(-1.0, -0.26).having("hat", "fedora") as part:
        u, v, shown = part.u, part.v, part.weight("hat", "fedora")
        felt = part.fixed((0.42, 0.27, 0.14))
        crown = box(u, v + 0.62, 0.36, 0.28, rounding=0.10)
        part.paint(felt, crown, shown)
        ribbon = box(u, v + 0.455, 0.36, 0.06)
        part.paint((0.12, 0.07, 0.05), ribbon, shown)
        brim = ellipse(u, v + 0.375, 0.74, 0.075)
        part.paint(felt * 0.85, brim, shown)
