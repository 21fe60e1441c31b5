import numpy as np
import pytest
import torch
from world import TurnedEncoder, make_models

from clip2latent_kedro.metrics.frechet import frechet_distance
from clip2latent_kedro.metrics.mmd import clip_mmd, kernel_distance
from clip2latent_kedro.study.distances import (
    embed_generator_images,
    measure_distances,
)


def embed(psi=1.0, seed=3, **changes):
    return embed_generator_images(make_models(**changes), 500, psi=psi, seed=seed)


def test_features_are_those_of_w_as_the_pairs_were_drawn():
    found = embed(psi=0.5)
    assert list(found) == ["image_embedding"]
    image_embedding = found["image_embedding"]
    assert image_embedding.shape == (500, 3)
    # w = psi z / 4 is the embedding itself.
    assert image_embedding.std() == pytest.approx(0.125, rel=0.05)
    whole = embed(psi=0.5, image_batch_size=500)["image_embedding"]
    np.testing.assert_allclose(image_embedding, whole, rtol=0, atol=1e-6)
    other = embed(psi=0.5, seed=4)["image_embedding"]
    assert not np.isclose(image_embedding, other).all()


def test_the_held_out_features_are_of_the_same_images():
    both = embed(held_out=TurnedEncoder())
    turned = both["image_embedding"] @ TurnedEncoder.TURN.numpy()
    np.testing.assert_allclose(both["held_out_embedding"], turned, rtol=0, atol=1e-6)


def test_kid_is_of_all_images_and_the_others_of_as_many_in_every_row():
    rng = np.random.default_rng(0)
    features, reference = rng.standard_normal((4, 5, 3)), rng.standard_normal((30, 3))
    asked = {"num_prompts": 4, "num_samples": 2}
    found = measure_distances(features, reference, **asked)
    assert (found["num_images"], found["fid_images"]) == (20, 8)
    assert (found["kid"], found["kid_error"]) == kernel_distance(features, reference)
    rows = features[:, :2].reshape(8, 3)
    assert found["fid"] == frechet_distance(rows, reference)
    assert found["cmmd"] == clip_mmd(rows, reference)
    for few in (features[:3], features[:, :1]):
        left = measure_distances(few, reference, **asked)
        assert set(left) == {"num_images", "kid", "kid_error"}
    itself = measure_distances(
        reference[:, None], reference, num_prompts=30, num_samples=1
    )
    assert itself["fid"] == pytest.approx(0, abs=1e-9)
    assert torch.tensor(itself["cmmd"]).abs() < 1e-9
