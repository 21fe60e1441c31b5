from functools import partial

import numpy as np
import pytest
import torch

from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTE_NAMES,
    ATTRIBUTES,
    Z_DIM,
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.captions import held_out_prompts
from clip2latent_kedro.worlds.portraits.prompts import _fill_in, render_references
from clip2latent_kedro.worlds.portraits.quality import (
    accuracy_by_attribute,
    draw_comparison,
    measure_pictures,
)
from clip2latent_kedro.worlds.portraits.renderer import render


class RendererAsGenerator:
    """The renderer itself, which is what a perfect generator would be."""

    z_dim, w_dim, num_ws, resolution = Z_DIM, Z_DIM, 1, 64
    identity = Identity("renderer", "0" * 64)
    w_avg = torch.zeros(Z_DIM)

    def mapping(self, z, *, psi=1.0):
        return psi * z[:, None]

    def synthesis(self, w, *, noise_mode="const"):
        return render(w[:, 0])

    def to(self, device):
        return self


class BackgroundJudge:
    """Reads the background off one corner, and answers 0 to all else."""

    attributes = ATTRIBUTES
    identity = Identity("background", "0" * 64)

    def classify(self, image):
        answer = torch.zeros(len(image), len(ATTRIBUTES), dtype=torch.int64)
        corners = torch.stack([_corner(scene) for scene in range(5)])
        distance = (image[:, :, 5, 1][:, None] - corners).abs().sum(2)
        answer[:, ATTRIBUTE_NAMES.index("background")] = distance.argmin(1)
        return answer

    def to(self, device):
        return self


def _corner(scene: int) -> torch.Tensor:
    z = sample_z(512, make_generator(1))
    labels = labels_of(z)
    row = (labels[:, ATTRIBUTE_NAMES.index("background")] == scene).nonzero()[0]
    return render(z[row])[0, :, 5, 1]


def test_a_perfect_generator_is_as_accurate_as_the_renders():
    judge, generator = BackgroundJudge(), RendererAsGenerator()
    measure = partial(measure_pictures, judge=judge, seed=3, num=256)
    on_renders, infinite = measure(lambda z, image: image)
    on_made, psnr = measure(lambda z, image: generator.synthesis(generator.mapping(z)))
    assert on_made == on_renders
    assert psnr > 100
    assert infinite == float("inf")
    assert on_renders["background"] > 0.95
    assert on_renders["shirt"] == pytest.approx(1 / 7, abs=0.08)
    *shares, mean = on_renders.values()
    assert mean == pytest.approx(sum(shares) / 13)


def test_comparison_puts_renders_above_what_was_made():
    picture = draw_comparison(RendererAsGenerator(), seed=0)
    rows = picture.reshape(4, 2, 64, 12, 64, 3).swapaxes(2, 3)  # [4, 2, 12, h, w, 3]
    z = sample_z(48, make_generator(0, "pictures"))
    assert np.array_equal(rows[:, 0].reshape(48, 64, 64, 3), image_to_uint8(render(z)))
    assert np.array_equal(rows[:, 0], rows[:, 1])


def test_hidden_attributes_do_not_count():
    labels = torch.zeros(4, len(ATTRIBUTES), dtype=torch.int64)
    labels[:, ATTRIBUTE_NAMES.index("hair_style")] = 1
    labels[:2, ATTRIBUTE_NAMES.index("eyewear")] = 2
    predicted = labels.clone()
    predicted[:3, ATTRIBUTE_NAMES.index("eye_colour")] = 1
    accuracy = accuracy_by_attribute(predicted, labels)
    assert accuracy["eye_colour"] == 0.5
    assert accuracy["eyewear"] == 1.0


def test_references_show_what_their_prompt_states():
    captions = held_out_prompts(6, seed=0)
    for index, caption in enumerate(captions):
        stated = torch.tensor(caption.labels)
        labels, layout = _fill_in(stated, 5, make_generator(0, index))
        is_stated = stated >= 0
        assert labels.shape == (5, len(ATTRIBUTES))
        assert layout.shape == (5, 4)
        assert bool((labels[:, is_stated] == stated[is_stated]).all())
        assert bool(visible_mask(labels)[:, is_stated].all())
    pictures = render_references(captions[:2], 3, seed=0)
    assert pictures.shape == (2, 3, 64, 64, 3)
    assert len({picture.tobytes() for picture in pictures.reshape(6, -1)}) == 6


def test_what_is_drawn_again_is_compared_with_the_render():
    """Blanking the pictures leaves their mean square, and the judge's guess at grey."""
    judge = BackgroundJudge()
    accuracy, psnr = measure_pictures(
        lambda z, image: torch.zeros_like(image), judge, seed=3, num=200
    )
    z = sample_z(200, make_generator(3, "held_out_renders"))
    image = render(z)
    expected = 10 * torch.log10(4 / image.square().mean())
    assert psnr == pytest.approx(expected.item(), abs=1e-3)
    grey = judge.classify(torch.zeros_like(image))
    del accuracy["mean"]
    assert accuracy == pytest.approx(accuracy_by_attribute(grey, labels_of(z)))
