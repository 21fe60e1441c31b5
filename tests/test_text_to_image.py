"""The whole method on linear models, where every answer is known."""

import numpy as np
import pytest
import torch
from linear_models import (
    IMAGE_MEAN,
    STATISTICS,
    ColourGenerator,
    make_model,
    make_prior,
    make_sampling,
)
from torch.nn import functional

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics
from clip2latent_kedro.text_to_image import draw_noises, mean_direction

PROMPTS = ["1 0 0", "0 -3 4"]


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp_2m"])
@pytest.mark.parametrize("guidance_scale", [1.0, 2.5])
def test_a_prior_that_only_reads_the_text_gives_known_images(sampler, guidance_scale):
    """x0 = scale * e', w = mean + std * x0, and the image is w."""
    sampling = make_sampling(sampler=sampler, guidance_scale=guidance_scale)
    result = make_model()(PROMPTS, sampling, num_samples=3, seed=0)

    direction = torch.tensor([[1, 0, 0], [0, -0.6, 0.8]])
    w = STATISTICS.mean + STATISTICS.std * guidance_scale * 2.0 * direction
    expected = w[:, None, None].expand(2, 3, 2, 3)  # all samples, both layers
    torch.testing.assert_close(result.w, expected, rtol=1e-4, atol=1e-5)
    u8 = image_to_uint8(w[:, :, None, None])[:, 0, 0]  # [2, 3]
    assert result.images.shape == (2, 3, 4, 4, 3)
    assert np.abs(result.images.astype(int) - u8[:, None, None, None]).max() <= 1


def test_shift_moves_the_text_by_the_difference_of_the_means():
    text, text_mean = torch.tensor([[3.0, 0, 4]]), torch.tensor([0.2, -0.4, 0.5])
    moved = make_model().condition(text, 0.5, text_mean)
    direction = torch.tensor([[0.6, 0, 0.8]]) + 0.5 * (IMAGE_MEAN - text_mean)
    torch.testing.assert_close(moved, 2 * functional.normalize(direction))


def test_condition_has_the_length_of_image_embeddings_and_forgets_that_of_texts():
    text = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    model, text_mean = make_model(), torch.tensor([0.2, 0.1, 0.0])
    condition = model.condition(text, 1.0, text_mean)
    torch.testing.assert_close(condition.norm(dim=1), torch.full((5,), 2.0))
    torch.testing.assert_close(model.condition(7 * text, 1.0, text_mean), condition)


def test_texts_that_are_images_moved_by_a_constant_come_back_to_the_images():
    images = functional.normalize(torch.tensor([[1.0, 1, 0], [1, -1, 0]]), dim=1)
    texts = images * torch.tensor([-1, 1, 1])  # which moves both by the same
    statistics = EmbeddingStatistics(images.mean(dim=0), 2.0)
    model = make_model(prior=make_prior(embedding_statistics=statistics))
    moved = model.condition(texts, 1.0, mean_direction(texts))
    torch.testing.assert_close(moved, 2 * images)


@pytest.mark.parametrize("latent_batch_size", [1, 5, 64])
def test_a_sample_depends_on_seed_prompt_and_number_alone(latent_batch_size):
    sampling = make_sampling(sampler="ddpm", num_steps=20)
    condition = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    whole = make_model(0.5).sample_w(condition, sampling, num_samples=4, seed=3)
    assert len(whole.flatten(0, 1).unique(dim=0)) == 12

    model = make_model(0.5, latent_batch_size=latent_batch_size)
    part = model.sample_w(condition[:2], sampling, num_samples=3, seed=3)
    assert torch.equal(part, whole[:2, :3])
    other = model.sample_w(condition[:2], sampling, num_samples=3, seed=4)
    assert not torch.isclose(part, other).any()


@pytest.mark.parametrize("image_batch_size", [1, 2, 64])
def test_the_closest_image_comes_first(image_batch_size):
    sampling = make_sampling(sampler="ddim")
    model = make_model(1.0, image_batch_size=image_batch_size)
    plain = model(PROMPTS, sampling, num_samples=6, seed=0, rank=False)
    ranked = model(PROMPTS, sampling, num_samples=6, seed=0)
    assert plain.scores is None
    assert (np.diff(ranked.scores, axis=1) <= 0).all()

    text = functional.normalize(model.embed(PROMPTS), dim=1)
    for prompt in range(2):
        cosine = functional.normalize(plain.w[prompt, :, 0], dim=1) @ text[prompt]
        order = cosine.argsort(descending=True)
        np.testing.assert_allclose(ranked.scores[prompt], cosine[order], atol=1e-6)
        torch.testing.assert_close(ranked.w[prompt], plain.w[prompt, order])
        assert np.array_equal(ranked.images[prompt], plain.images[prompt, order])


@pytest.mark.parametrize(
    ("name", "centre"),
    [("data_mean", STATISTICS.mean), ("w_avg", ColourGenerator.w_avg)],
)
def test_truncation_pulls_towards_the_chosen_centre(name, centre):
    condition = torch.tensor([[1.0, 0, 0]])
    whole, half, none = (
        make_model(0.5).sample_w(
            condition,
            make_sampling(psi=psi, truncation_centre=name),
            num_samples=2,
            seed=0,
        )
        for psi in (1.0, 0.5, 0.0)
    )
    torch.testing.assert_close(none, centre.expand_as(none))
    torch.testing.assert_close(half, (whole + centre) / 2)


def test_noise_is_standard_normal_and_a_stream_for_each_sample():
    noise = draw_noises(0, [(0, 0), (0, 1), (1, 0)], (2, 50))
    draws = torch.stack([next(noise) for _ in range(40)])  # [40, 3, 2, 50]
    assert abs(draws.mean()) < 4 / draws.numel() ** 0.5
    assert abs(draws.var() - 1) < 4 * (2 / draws.numel()) ** 0.5
    assert abs(torch.corrcoef(draws.transpose(0, 1).flatten(1))[0, 1]) < 0.07
    alone = draw_noises(0, [(1, 0)], (2, 50))
    assert all(torch.equal(next(alone)[0], draw) for draw in draws[:, 2])


def test_models_that_do_not_belong_together_are_refused():
    prior = make_prior(encoder_identity=Identity("other-clip", "99"))
    with pytest.raises(InputError, match="trained for the encoder other-clip"):
        make_model(prior=prior)
    with pytest.raises(InputError, match=r"latent_repeats must have 1 numbers.*\[1\]"):
        make_model(latent_repeats=[1])
    with pytest.raises(InputError, match="add up to the 2 layers"):
        make_model(latent_repeats=[1, 1])


def test_a_shift_needs_both_means():
    text = torch.tensor([[3.0, 0, 4]])
    with pytest.raises(InputError, match="mean of the text embeddings is not known"):
        make_model().condition(text, 1.0, None)
    unknown = make_model(prior=make_prior(embedding_statistics=None))
    with pytest.raises(InputError, match="mean of the image embeddings is not known"):
        unknown.condition(text, 1.0, text[0])
    assert torch.equal(unknown.condition(text, 0.0, None), text)
