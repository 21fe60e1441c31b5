import numpy as np
import pytest
import torch
from world import (
    ColourEncoder,
    ColourGenerator,
    make_method,
    make_models,
    make_queries,
)

from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.methods.references import References
from clip2latent_kedro.study.samples import sample_images


def sample(method, models=None, *, stored_image_size=64, **changes):
    return sample_images(
        method,
        make_queries(),
        models or make_models(**changes),
        num_samples=4,
        seed=0,
        stored_image_size=stored_image_size,
    )


@pytest.mark.parametrize("image_batch_size", [1, 5, 12])
def test_arrays_are_those_of_w_whatever_the_batches(image_batch_size):
    method = make_method(make_models(0.5))
    found = sample(method, image_batch_size=image_batch_size)

    w = method.sample(make_queries(), num_samples=4, seed=0)
    assert np.array_equal(found["w"], w.numpy())
    colour = w[:, :, 0].numpy()  # the image, and its embedding
    np.testing.assert_allclose(found["image_embedding"], colour, atol=1e-6)
    assert np.array_equal(found["seen"], colour[..., :2] > 0)
    images = image_to_uint8(ColourGenerator().synthesis(w.flatten(0, 1)))
    assert np.array_equal(found["images"].reshape(12, 4, 4, 3), images)


@pytest.mark.parametrize("image_batch_size", [1, 3, 64])
def test_images_are_judged_and_compared_before_they_are_shrunk(image_batch_size):
    """Checks and their negative are one grey once they are shrunk."""
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 255
    pair = np.stack([checks, 255 - checks])[None, ..., None]  # [1, 2, 8, 8, 1]
    pictures = np.broadcast_to(pair, (3, 2, 8, 8, 3)).astype(np.uint8)

    class FirstPixel(ColourEncoder):
        def encode_image(self, image):
            return image[:, :, 0, 0]

    found = sample(
        References(images=pictures),
        encoder=FirstPixel(),
        image_batch_size=image_batch_size,
        stored_image_size=2,
    )
    assert found["images"].shape == (3, 2, 2, 2, 3)
    assert np.ptp(found["images"]) == 0
    np.testing.assert_allclose(found["pixel_distance"], [[[0, 1], [1, 0]]] * 3)
    np.testing.assert_allclose(found["image_embedding"][:, :, 0], [[-1, 1]] * 3)
    assert "w" not in found


def test_a_domain_may_lack_a_judge_and_an_encoder_that_only_scores():
    found = sample(make_method(), judge=None)
    assert found["seen"].shape == (3, 4, 0)
    assert "held_out_embedding" not in found


def test_nothing_here_records_gradients():
    method = make_method()
    method.model.prior.network.spread.requires_grad_(True)
    assert not sample(method)["w"].dtype.hasobject
    assert not method.sample(make_queries(), num_samples=1, seed=0).requires_grad
    assert torch.is_grad_enabled()
