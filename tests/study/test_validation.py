"""Validation of linear models, whose scores and pictures are known."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from world import (
    STATISTICS,
    ColourGenerator,
    make_colour_pairs,
    make_models,
    make_prior,
    make_sampling,
)

from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.study.validation import (
    ValidationConfig,
    Validator,
    validated_steps,
)

PROMPTS = ["1 0 0", "0 -3 4", "0 0 1"]


def make_config(**changes):
    settings = {
        "num_images": 5,
        "num_prompts": 2,
        "num_samples": 3,
        "guidance_scales": [1.0, 2.5],
    }
    return ValidationConfig(**{**settings, **changes})


class LargeGenerator(ColourGenerator):
    def synthesis(self, w, *, noise_mode="const"):
        return super().synthesis(w).repeat(1, 1, 75, 75)


def make_validator(sampling=None, generator=None, **changes):
    w, embedding = make_colour_pairs(8).take(slice(None))
    return Validator(
        make_models(generator=generator or ColourGenerator(), image_batch_size=4),
        make_config(**changes),
        held_out=(torch.from_numpy(w), torch.from_numpy(embedding)),
        prompts=PROMPTS,
        sampling=sampling or make_sampling(),
        seed=0,
    )


def drawn_from(condition, scale=1.0):
    """Colours that the linear prior makes of a condition, [n, 3]."""
    return STATISTICS.mean + STATISTICS.std * scale * condition


@pytest.mark.parametrize("sampler", ["ddpm", "dpmpp_2m"])
def test_scores_are_mean_cosines_with_what_was_asked(sampler):
    sampling = make_sampling(sampler=sampler, guidance_scale=7.0, mean_shift=0.0)
    scores = make_validator(sampling)(make_prior(), 1).scores

    _, embedding = make_colour_pairs(8).take(slice(0, 5))
    given = torch.from_numpy(embedding)
    text = torch.tensor([[1, 0, 0], [0, -0.6, 0.8]])
    expected = {"image_similarity": (given, drawn_from(given))}
    for name, scale in (("text_score_g1", 1.0), ("text_score_g2.5", 2.5)):
        expected[name] = text, drawn_from(2.0 * text, scale)
    assert scores.keys() == expected.keys()
    for name, (asked, drawn) in expected.items():
        cosine = functional.cosine_similarity(asked, drawn).mean().item()
        assert scores[name] == pytest.approx(cosine, abs=1e-5), name


def test_guidance_is_plain_whatever_the_sampling():
    prior = make_prior()
    plain = make_validator()(prior, 1)
    sampling = make_sampling(sampler="ddim", guidance="cfgpp", guidance_scale=0.5)
    scores = make_validator(sampling)(prior, 1).scores
    assert scores == pytest.approx(plain.scores, abs=1e-5)


def test_the_same_prior_gets_the_same_scores_and_no_generator_moves():
    validator, prior = make_validator(make_sampling(num_steps=20)), make_prior(0.9)
    state = torch.get_rng_state()
    one, other = validator(prior, 1), validator(prior, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert one.scores == other.scores
    assert np.array_equal(one.picture, other.picture)
    # Those of a prior that draws at random are not those of one that does not.
    certain = validator(make_prior(0.0), 1).scores
    assert all(one.scores[name] != certain[name] for name in certain)


def test_image_embeddings_are_given_as_they_are_and_without_noise():
    """A noise level would multiply the condition by 1 + level, here 2."""
    noisy = make_prior(condition_inputs=("noise_level",), embed_noise_scale=1.0)
    scores = make_validator()(noisy, 1).scores
    plain = make_validator()(make_prior(), 1).scores
    assert scores["image_similarity"] == pytest.approx(plain["image_similarity"])
    text = torch.tensor([[1, 0, 0], [0, -0.6, 0.8]])
    drawn = drawn_from(2 * 2.0 * text)
    cosine = functional.cosine_similarity(text, drawn).mean().item()
    assert scores["text_score_g1"] == pytest.approx(cosine, abs=1e-5)


def test_picture_shows_texts_above_images():
    picture = make_validator()(make_prior(), 1).picture
    assert picture.dtype == np.uint8

    def cell(row, column, top):
        """Middle of a cell; 128 pixels an inch, 2.2 for texts, 0.45 for titles."""
        y, x = top + int(128 * (0.45 + row + 0.5)), int(128 * (2.2 + column + 0.5))
        return picture[y, x].astype(int)

    def colour(c):
        return image_to_uint8(c[..., None, None]).reshape(-1, 3)

    text = torch.tensor([[1, 0, 0], [0, -0.6, 0.8]])
    for first, scale in ((0, 1.0), (3, 2.5)):  # three samples of each scale
        for row, expected in enumerate(colour(drawn_from(2.0 * text, scale))):
            for column in range(first, first + 3):
                assert np.abs(cell(row, column, 0) - expected).max() <= 1

    _, embedding = make_colour_pairs(8).take(slice(0, 5))
    given = torch.from_numpy(embedding)
    below = int(128 * 2.45)  # two texts and their titles
    for column in range(5):
        for row, colours in enumerate((given, drawn_from(given))):
            expected = colour(colours)[column]
            assert np.abs(cell(row, column, below) - expected).max() <= 1
    assert (picture[below:, -1] == 255).all()  # five columns, not six


def test_large_images_are_shrunk_for_the_picture():
    small, large = (
        make_validator(generator=generator())(make_prior(), 1)
        for generator in (ColourGenerator, LargeGenerator)
    )
    assert large.scores == pytest.approx(small.scores)
    assert np.abs(large.picture.astype(int) - small.picture).max() <= 1


def test_there_may_be_no_images_and_no_texts():
    prior = make_prior()
    assert make_validator(num_images=0)(prior, 1).scores.keys() == {
        "text_score_g1",
        "text_score_g2.5",
    }
    assert make_validator(num_prompts=0)(prior, 1).scores.keys() == {"image_similarity"}
    without_texts = make_validator(guidance_scales=[])(prior, 1)
    assert without_texts.scores.keys() == {"image_similarity"}
    nothing = make_validator(num_images=0, num_prompts=0)(prior, 1)
    assert (nothing.scores, nothing.picture) == ({}, None)


def test_score_names_are_those_of_the_scores():
    scores = make_validator()(make_prior(), 1).scores
    assert make_config().score_names == ["validation_loss", *scores]


def test_steps_of_validations_are_the_rows_with_more_than_losses():
    history = [
        {"step": 5, "loss": 1.0, "validation_loss": 1.0},
        {"step": 7, "loss": 1.0, "image_similarity": 0.5},
        {"step": 9, "loss": 1.0, "validation_loss": 1.0, "text_score_g1": 0.5},
    ]
    assert validated_steps(history) == [7, 9]
