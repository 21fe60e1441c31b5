import re

import numpy as np
import pytest
import torch
from linear_models import ColourGenerator, make_queries

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.evaluation import GeneratorBound

Z = np.random.default_rng(0).standard_normal((3, 4, 3)).astype(np.float32)


def test_w_are_those_of_the_given_z():
    bound = GeneratorBound(ColourGenerator(), Z)
    w = bound.sample(make_queries(2), num_samples=3, seed=0)
    np.testing.assert_array_equal(w, np.repeat(Z[:2, :3, None] / 4, 2, axis=2))
    image = bound.synthesise(w.flatten(0, 1))
    assert torch.equal(image[:, :, 0, 0], w[:, :, 0].flatten(0, 1))
    assert bound.sample(make_queries(), num_samples=9, seed=1).shape[:2] == (3, 4)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 4, 3), "reference_z must hold z of all 3 prompts, got 2"),
        ((3, 4, 5), "must have shape [num_prompts, num_references, 3], got [3, 4, 5]"),
        ((12, 3), "must have shape [num_prompts, num_references, 3], got [12, 3]"),
    ],
)
def test_z_of_other_prompts_or_another_generator_are_refused(shape, message):
    with pytest.raises(InputError, match=re.escape(message)):
        GeneratorBound(ColourGenerator(), np.zeros(shape, np.float32)).sample(
            make_queries(), num_samples=2, seed=0
        )
