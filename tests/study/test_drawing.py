import numpy as np
import pytest
import torch
from linear_models import (
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    make_model,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.methods.clip2latent import Clip2Latent
from clip2latent_kedro.methods.references import References
from clip2latent_kedro.study import draw_row


def draw(method, **changes):
    settings = {
        "encoder": ColourEncoder(),
        "judge": ColourJudge(),
        "num_samples": 4,
        "image_batch_size": 64,
        "stored_image_size": 64,
        "seed": 0,
    }
    return draw_row(method, make_queries(), **{**settings, **changes})


@pytest.mark.parametrize("image_batch_size", [1, 5, 12])
def test_answers_are_those_of_w_whatever_the_batches(image_batch_size):
    method = Clip2Latent(model=make_model(0.5), settings=make_sampling())
    drawn = draw(method, image_batch_size=image_batch_size)

    w = method.sample(make_queries(), num_samples=4, seed=0)
    assert np.array_equal(drawn.w, w.numpy())
    colour = w[:, :, 0].numpy()  # the image, and its embedding
    np.testing.assert_allclose(drawn.image_embedding, colour, atol=1e-6)
    assert np.array_equal(drawn.seen, colour[..., :2] > 0)
    images = image_to_uint8(ColourGenerator().synthesis(w.flatten(0, 1)))
    assert np.array_equal(drawn.images.reshape(12, 4, 4, 3), images)


def test_images_are_judged_before_they_are_shrunk_to_be_stored():
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 254  # averages to 127
    pictures = np.broadcast_to(checks[..., None], (3, 2, 8, 8, 3)).astype(np.uint8)

    class FirstPixel(ColourEncoder):
        def encode_image(self, image):
            return image[:, :, 0, 0]

    drawn = draw(References(images=pictures), encoder=FirstPixel(), stored_image_size=2)
    assert drawn.images.shape == (3, 2, 2, 2, 3)
    np.testing.assert_allclose(drawn.pixel_distance, 0)
    assert (drawn.images == 127).all()
    np.testing.assert_allclose(drawn.image_embedding, -1)
    assert drawn.w is None


@pytest.mark.parametrize("image_batch_size", [1, 3, 8, 64])
def test_images_are_compared_at_full_size_whatever_the_batches(image_batch_size):
    """Checks and their negative are one grey once they are shrunk."""
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 255
    pair = np.stack([checks, 255 - checks])[None, ..., None]  # [1, 2, 8, 8, 1]
    pictures = np.broadcast_to(pair, (3, 2, 8, 8, 3)).astype(np.uint8)
    drawn = draw(
        References(images=pictures),
        image_batch_size=image_batch_size,
        stored_image_size=2,
    )
    np.testing.assert_allclose(drawn.pixel_distance, [[[0, 1], [1, 0]]] * 3)


def test_a_domain_may_lack_a_judge():
    drawn = draw(Clip2Latent(model=make_model(), settings=make_sampling()), judge=None)
    assert drawn.seen.shape == (3, 4, 0)


def test_nothing_here_records_gradients():
    method = Clip2Latent(model=make_model(), settings=make_sampling())
    method.model.prior.network.spread.requires_grad_(True)
    assert not method.sample(make_queries(), num_samples=1, seed=0).requires_grad
    assert torch.is_grad_enabled()
