import pytest
import torch

from clip2latent_kedro.worlds.faces.emotion import EMOTIONS
from clip2latent_kedro.worlds.faces.measures import (
    measure_background,
    measure_light,
    measure_tone,
)
from clip2latent_kedro.worlds.faces.pose import turned_probabilities
from clip2latent_kedro.worlds.faces.reader import join_emotions


def plain(red, green, blue, size=64):
    colour = torch.tensor([red, green, blue], dtype=torch.float64) * 2 - 1
    return colour[None, :, None, None].expand(1, 3, size, size).clone()


def test_grey_at_the_threshold_is_neither_dim_nor_bright():
    torch.testing.assert_close(
        measure_light(plain(0.31, 0.31, 0.31)), torch.full((1, 2), 0.5).double()
    )
    # One width above it: the logistic function of 1.
    bright = measure_light(plain(0.36, 0.36, 0.36))[0, 1].item()
    assert bright == pytest.approx(1 / (1 + 2.718281828**-1))


@pytest.mark.parametrize("size", [16, 64, 128])
def test_only_the_face_decides_light_and_only_the_sides_the_background(size):
    image = plain(0.9, 0.9, 0.9, size)
    inner = slice(size // 4, 3 * size // 4)
    image[:, :, inner, inner] = -1.0  # black
    assert measure_light(image).argmax() == 0
    assert measure_background(image).argmax() == 1


def test_tone_is_the_ratio_of_red_and_blue():
    assert measure_tone(plain(0.6, 0.4, 0.2)).argmax() == 1
    assert measure_tone(plain(0.3, 0.3, 0.3)).argmax() == 0
    swapped = measure_tone(plain(0.2, 0.9, 0.6))
    torch.testing.assert_close(swapped, measure_tone(plain(0.2, 0.1, 0.6)))


def test_blue_beside_the_face_is_told_from_dark_and_light():
    table = torch.cat(
        [
            measure_background(plain(0.2, 0.3, 0.6)),
            *map(measure_background, (plain(0.1, 0.1, 0.1), plain(0.9, 0.9, 0.9))),
        ]
    )
    assert table.argmax(1).tolist() == [2, 0, 1]
    torch.testing.assert_close(table.sum(1), torch.ones(3).double())


def test_a_turned_nose_is_a_turned_head():
    table = turned_probabilities(torch.tensor([-0.3, -0.1, 0.0, 0.1, 0.3]))
    assert table.argmax(1)[[0, 2, 4]].tolist() == [0, 1, 2]
    torch.testing.assert_close(table.sum(1), torch.ones(5))
    torch.testing.assert_close(table.flip(0).flip(1), table)
    assert table[1, 0].item() == pytest.approx(table[1, 1].item(), abs=0.01)


def test_emotions_are_joined_to_three_expressions():
    table = torch.eye(len(EMOTIONS), dtype=torch.float64)
    joined = join_emotions(table)
    torch.testing.assert_close(joined.sum(1), torch.ones(7).double())
    assert joined.argmax(1).tolist() == [1, 1, 2, 0, 1, 2, 1]
