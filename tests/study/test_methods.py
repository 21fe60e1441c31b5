"""Each method against what it must answer in a world of three colours."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from linear_models import (
    ColourGenerator,
    make_colour_pairs,
    make_model,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.study import Clip2Latent, NearestPair, RandomW, References


def make_methods():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (3, 5, 4, 4, 3), dtype=np.uint8)
    return {
        "random_w": RandomW(ColourGenerator()),
        "reference": References(pictures),
        "nearest_pair": NearestPair(ColourGenerator(), make_colour_pairs(), [2]),
        "clip2latent": Clip2Latent(make_model(0.5), make_sampling(mean_shift=1.0)),
    }


@pytest.mark.parametrize("name", make_methods())
def test_an_answer_does_not_depend_on_the_others(name):
    method = make_methods()[name]
    whole = method.sample(make_queries(), num_samples=4, seed=1)
    part = method.sample(make_queries(num_prompts=2), num_samples=3, seed=1)
    assert whole.shape[:2] == (3, 4)
    torch.testing.assert_close(part, whole[:2, :3], rtol=0, atol=1e-6)


def test_retrieval_gives_the_pairs_closest_to_the_plain_text():
    pairs, queries = make_colour_pairs(), make_queries()
    w = NearestPair(ColourGenerator(), pairs, [2]).sample(
        queries, num_samples=5, seed=0
    )
    assert torch.equal(w[:, :, 0], w[:, :, 1])  # one latent for both layers
    cosine = torch.cosine_similarity(
        torch.from_numpy(pairs.clip_embedding)[None], queries.embedding[:, None], dim=2
    )
    nearest = cosine.argsort(dim=1, descending=True)[:, :5]
    assert torch.equal(w[:, :, 0], torch.from_numpy(pairs.w[:, 0])[nearest])


def test_retrieval_among_pairs_of_another_generator_is_refused():
    pairs = make_colour_pairs()
    other = replace(pairs, recipe={**pairs.recipe, "generator": "other@99"})
    with pytest.raises(InputError, match="made with the generator colours@00"):
        NearestPair(ColourGenerator(), other, [2])


def test_references_are_shown_as_they_are():
    pictures = np.arange(256, dtype=np.uint8).repeat(9).reshape(3, 4, 8, 8, 3)
    references = References(pictures)
    samples = references.sample(make_queries(), num_samples=16, seed=0)
    images = references.synthesise(samples.flatten(0, 1))
    assert np.array_equal(image_to_uint8(images), pictures.reshape(12, 8, 8, 3))


def test_random_w_ignores_the_text_and_follows_z():
    method = RandomW(ColourGenerator())
    w = method.sample(make_queries(), num_samples=300, seed=0)
    assert torch.equal(w[:, :, 0], w[:, :, 1])
    assert abs(4 * w[:, :, 0].mean()) < 4 / 2700**0.5
    assert abs(4 * w[:, :, 0].std() - 1) < 4 / 5400**0.5


def test_rows_of_clip2latent_share_their_noise():
    """With a prior that returns x_T times a factor, w - mean differ by a factor."""
    queries = make_queries()
    blind = make_sampling(sampler="ddim", guidance_scale=0.0)
    first, second = (
        Clip2Latent(make_model(1.0), replace(blind, num_steps=steps)).sample(
            queries, num_samples=2, seed=0
        )
        for steps in (5, 20)
    )
    mean = torch.tensor([0.1, -0.2, 0.3])
    ratio = (second - mean) / (first - mean)
    torch.testing.assert_close(ratio, ratio[0, 0, 0, 0].expand_as(ratio))


def test_guidance_can_be_changed_for_timing():
    method = Clip2Latent(make_model(), make_sampling(guidance_scale=1.5))
    assert method.guided_by(2.0).sampling == make_sampling(guidance_scale=2.0)
    scaled_to_1 = make_sampling(guidance="cfgpp", guidance_scale=0.5)
    assert Clip2Latent(make_model(), scaled_to_1).guided_by(2.0).sampling == scaled_to_1
