import pytest
import torch

from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTE_NAMES,
    ATTRIBUTES,
    sample_z,
)
from clip2latent_kedro.worlds.portraits.renderer import render, render_labels


def _draw(resolution: int = 64, **values: str) -> torch.Tensor:
    chosen = {name: options[0] for name, options in ATTRIBUTES.items()} | values
    labels = [[ATTRIBUTES[name].index(chosen[name]) for name in ATTRIBUTE_NAMES]]
    layout = torch.zeros(1, 4)
    return render_labels(torch.tensor(labels), layout, resolution=resolution)[0]


def _colour_at(image: torch.Tensor, u: float, v: float) -> list[float]:
    size = image.shape[1]
    row, column = int((v + 1) / 2 * size), int((u + 1) / 2 * size)
    return [round(x, 2) for x in ((image[:, row, column] + 1) / 2).tolist()]


def test_a_portrait_does_not_depend_on_its_batch():
    z = sample_z(24, torch.Generator().manual_seed(0))
    one_by_one = torch.cat([render(row[None]) for row in z])
    torch.testing.assert_close(render(z), one_by_one, rtol=0, atol=1e-5)


def test_pictures_stay_in_range_and_leave_z_alone():
    z = sample_z(64, torch.Generator().manual_seed(0))
    before = z.clone()
    image = render(z)
    assert image.shape == (64, 3, 64, 64)
    assert image.min() >= -1
    assert image.max() <= 1
    torch.testing.assert_close(z, before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("values", "place", "colour"),
    [
        ({"shirt": "yellow"}, (0.3, 0.95), [0.98, 0.85, 0.12]),
        ({"skin": "dark", "beard": "none"}, (0.0, 0.5), [0.50, 0.31, 0.20]),
        (
            {"hair_style": "afro", "hair_colour": "pink"},
            (-0.5, -0.35),
            [0.98, 0.45, 0.70],
        ),
        ({"hat": "beanie"}, (0.0, -0.45), [0.10, 0.60, 0.62]),
        ({"eyewear": "sunglasses", "pose": "front"}, (0.25, 0.05), [0.04, 0.04, 0.05]),
        ({"background": "beach"}, (-0.95, 0.3), [0.05, 0.42, 0.72]),
    ],
)
def test_what_is_asked_for_is_there(values, place, colour):
    assert _colour_at(_draw(resolution=128, **values), *place) == pytest.approx(
        colour, abs=0.03
    )


@pytest.mark.parametrize("name", ATTRIBUTE_NAMES)
def test_every_value_changes_the_picture(name):
    worn = {"gender": "man", "hair_style": "short", "pose": "front", "beard": "beard"}
    pictures = [_draw(**{**worn, name: value}) for value in ATTRIBUTES[name]]
    for i, first in enumerate(pictures):
        for second in pictures[i + 1 :]:
            # At least a dozen pixels differ clearly.
            assert ((first - second).abs().amax(0) > 0.25).sum() >= 12
