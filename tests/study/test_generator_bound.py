import numpy as np
import torch
from linear_models import ColourGenerator, make_queries

from clip2latent_kedro.study import GeneratorBound

Z = np.random.default_rng(0).standard_normal((3, 4, 3)).astype(np.float32)


def test_w_are_those_of_the_given_z():
    bound = GeneratorBound(ColourGenerator(), Z)
    w = bound.sample(make_queries(2), num_samples=3, seed=0)
    np.testing.assert_array_equal(w, np.repeat(Z[:2, :3, None] / 4, 2, axis=2))
    image = bound.synthesise(w.flatten(0, 1))
    assert torch.equal(image[:, :, 0, 0], w[:, :, 0].flatten(0, 1))
    assert bound.sample(make_queries(), num_samples=9, seed=1).shape[:2] == (3, 4)
