import numpy as np
import pytest
import torch

from clip2latent_kedro.images import image_to_uint8, uint8_to_image


@pytest.mark.parametrize(
    ("value", "level"), [(-1, 0), (0, 128), (1, 255), (-7, 0), (7, 255)]
)
def test_levels_are_rounded_and_clipped(value, level):
    image = torch.full((2, 3, 4, 5), float(value))
    u8 = image_to_uint8(image)
    assert u8.dtype == np.uint8
    assert u8.shape == (2, 4, 5, 3)
    assert (u8 == level).all()


def test_every_level_survives_the_way_there_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16, 1).repeat(3, axis=4)
    assert (image_to_uint8(uint8_to_image(torch.from_numpy(levels))) == levels).all()
