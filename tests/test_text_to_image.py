"""The whole method on linear models, where every answer is known."""

import numpy as np
import pytest
import torch
from editing.edits import StyledColours
from torch.nn import functional
from world import (
    STATISTICS,
    ColourGenerator,
    make_model,
    make_prior,
    make_sampling,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentGaussian, Latents

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


BANK = np.random.default_rng(0).standard_normal((60, 3), np.float32)
RETRIEVAL = {
    "retrieval_share": 0.5,
    "retrieval_neighbours": 20,
    "retrieval_spread": 4,
    "retrieval_concentration": 0.5,
}


@pytest.mark.parametrize("retrieval", [{}, RETRIEVAL])
@pytest.mark.parametrize("latent_batch_size", [1, 5, 64])
def test_a_sample_depends_on_seed_prompt_and_number_alone(latent_batch_size, retrieval):
    sampling = make_sampling(sampler="ddpm", num_steps=20, **retrieval)
    text = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])

    def sample(model, text, **draws):
        condition = model.condition(text, sampling, **draws)
        return model.sample_w(condition, sampling, **draws)

    model = make_model(0.5, retrieval_bank=BANK)
    whole = sample(model, text, num_samples=4, seed=3)
    assert len(whole.flatten(0, 1).unique(dim=0)) == 12

    model = make_model(0.5, latent_batch_size=latent_batch_size, retrieval_bank=BANK)
    part = sample(model, text[:2], num_samples=3, seed=3)
    torch.testing.assert_close(part, whole[:2, :3], rtol=0, atol=1e-6)
    other = sample(model, text[:2], num_samples=3, seed=4)
    assert not torch.isclose(part, other).any()


@pytest.mark.parametrize("latent_batch_size", [1, 5, 64])
def test_samples_take_their_own_conditions(latent_batch_size):
    """w = mean + std * c without spread, for c of each sample."""
    model = make_model(latent_batch_size=latent_batch_size, retrieval_bank=BANK)
    sampling, draws = make_sampling(**RETRIEVAL), {"num_samples": 3, "seed": 3}
    condition = model.condition(torch.eye(3), sampling, **draws)
    assert condition.shape == (3, 3, 3)
    w = model.sample_w(condition, sampling, **draws)
    expected = STATISTICS.mean + STATISTICS.std * condition
    torch.testing.assert_close(w[:, :, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("image_batch_size", [1, 2, 64])
def test_the_closest_image_comes_first(image_batch_size):
    sampling = make_sampling(sampler="ddim")
    model = make_model(1.0, image_batch_size=image_batch_size)
    unranked = {"score": False, "rank": False}
    plain = model(PROMPTS, sampling, num_samples=6, seed=0, **unranked)
    ranked = model(PROMPTS, sampling, num_samples=6, seed=0)
    assert plain.scores is None
    assert (np.diff(ranked.scores, axis=1) <= 0).all()

    text = torch.tensor([[1, 0, 0], [0, -0.6, 0.8]])
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


def test_models_that_do_not_belong_together_are_refused():
    prior = make_prior(encoder_identity=Identity("other-clip", "99"))
    with pytest.raises(InputError, match="trained for the encoder other-clip"):
        make_model(prior=prior)
    with pytest.raises(InputError, match=r"latent_repeats must have 1 numbers.*\[1\]"):
        make_model(latent_repeats=[1])
    with pytest.raises(InputError, match="add up to the 2 layers"):
        make_model(latent_repeats=[1, 1])


@pytest.mark.parametrize("retrieval", [{}, RETRIEVAL])
@pytest.mark.parametrize("negative", [["0 0 1"], ["0 0 1", "0 2 0"]])
def test_guidance_leads_away_from_what_is_not_wanted(negative, retrieval):
    """x0 = u + (c - u) * scale with u of the negative query, for a linear prior."""
    model = make_model(retrieval_bank=BANK, latent_batch_size=3)
    sampling = make_sampling(guidance_scale=2.5, **retrieval)
    draws = {"num_samples": 3, "seed": 5}
    found = model(PROMPTS, sampling, negative=negative, rank=False, **draws).w

    plain = make_sampling(**retrieval)
    wanted = model(PROMPTS, plain, rank=False, **draws).w
    unwanted = model(negative, plain, rank=False, **draws).w
    expected = unwanted + 2.5 * (wanted - unwanted)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_as_many_negatives_as_queries_or_one():
    with pytest.raises(InputError, match="one for all or 2, got 3"):
        make_model()(
            PROMPTS, make_sampling(), num_samples=1, seed=0, negative=["1 0 0"] * 3
        )


def test_images_and_mixtures_are_queries_too():
    picture = torch.tensor([0.2, 0.4, -0.4])[:, None, None].expand(3, 4, 4)
    queries = [picture, [("1 0 0", 1.0), ("0 1 0", -1.0)]]
    result = make_model()(queries, make_sampling(), num_samples=2, seed=0)

    mixture = 2 * functional.normalize(torch.tensor([1.0, -1, 0]), dim=0)
    x0 = torch.stack([picture[:, 0, 0], mixture])
    w = STATISTICS.mean + STATISTICS.std * x0
    torch.testing.assert_close(result.w[:, 1, 1], w, rtol=1e-4, atol=1e-5)
    directions = functional.normalize(x0, dim=1)
    scores = (directions * functional.normalize(w, dim=1)).sum(dim=1)
    np.testing.assert_allclose(result.scores[:, 0], scores, atol=1e-5)


def test_a_distilled_prior_is_guided_by_its_input():
    """Its linear network multiplies the condition by the scale, as guidance would."""
    sampling = make_sampling(sampler="ddim", num_steps=1, guidance_scale=2.5)
    prior = make_prior(0.5, condition_inputs=("guidance_scale",))
    draws = {"num_samples": 3, "seed": 5, "rank": False}
    student = make_model(prior=prior)(PROMPTS, sampling, **draws).w
    torch.testing.assert_close(student, make_model(0.5)(PROMPTS, sampling, **draws).w)


def test_a_distilled_prior_has_no_unconditional_branch():
    model = make_model(prior=make_prior(condition_inputs=("guidance_scale",)))
    cfgpp = make_sampling(guidance="cfgpp", guidance_scale=0.5)
    with pytest.raises(InputError, match="guidance must be cfg for a distilled prior"):
        model(PROMPTS, cfgpp, num_samples=1, seed=0)
    one = make_sampling(sampler="ddim", num_steps=1)
    with pytest.raises(InputError, match="A negative condition needs a prior that is"):
        model(PROMPTS, one, num_samples=1, seed=0, negative=["1 0 0"])


def test_auto_truncation_keeps_samples_within_the_gaussian():
    radii = torch.full((101,), 1.4)
    axes = torch.eye(3)[None]
    gaussian = LatentGaussian(STATISTICS.mean, axes, torch.ones(1, 3), radii)
    model = make_model(prior=make_prior(1.0, gaussian=gaussian))
    auto = make_sampling(sampler="ddim", truncation="auto")
    free = make_sampling(sampler="ddim")
    draws = {"num_samples": 40, "seed": 0, "rank": False}
    distance, before = (
        gaussian.distance(model(PROMPTS, sampling, **draws).w.flatten(0, 1)[:, :1])
        for sampling in (auto, free)
    )
    torch.testing.assert_close(distance, before.clamp_max(1.4))
    assert (before < 1.4).any()
    assert (before > 1.4).any()


def test_scores_without_ranking_and_another_form_of_image():
    model, sampling = make_model(1.0), make_sampling(sampler="ddim")
    draws = {"num_samples": 6, "seed": 0}
    ranked = model(PROMPTS, sampling, **draws)
    found = model(
        PROMPTS, sampling, **draws, rank=False, keep=lambda image: image.numpy()
    )
    np.testing.assert_array_equal(-np.sort(-found.scores, axis=1), ranked.scores)
    np.testing.assert_allclose(found.images[..., 0, 0], found.w.mean(dim=2), atol=1e-6)


def test_a_source_has_what_each_sample_was_drawn_from():
    """w = mean + std * (c + spread * sqrt(alpha_bar_T) * x_T) after one step."""
    model, one = make_model(0.5), make_sampling(sampler="ddim", num_steps=1)
    drawn = model.draw(PROMPTS, one, num_samples=3, seed=4)
    source = drawn.source
    assert torch.equal(source.latents.w, drawn.w.flatten(0, 1))
    alpha_bar = model.prior.alpha_bar[-1].float()
    x0 = source.condition[:, None] + 0.5 * alpha_bar.sqrt() * source.x_T
    expected = (STATISTICS.mean + STATISTICS.std * x0).expand(6, 2, 3)
    torch.testing.assert_close(source.latents.w, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(drawn.direction[1], torch.tensor([0, -0.6, 0.8]))


def test_a_source_has_a_condition_for_each_sample():
    model = make_model(0.5, retrieval_bank=BANK)
    sampling, draws = make_sampling(**RETRIEVAL), {"num_samples": 3, "seed": 4}
    drawn = model.draw(["1 0 0", "0 1 0"], sampling, **draws)
    expected = model.condition(torch.eye(3)[:2], sampling, **draws)
    torch.testing.assert_close(drawn.source.condition, expected.flatten(0, 1))


def test_an_edit_is_applied_before_synthesis_and_ranking():
    model, sampling = make_model(1.0), make_sampling(sampler="ddim")
    draws = {"num_samples": 4, "seed": 0}
    away = torch.tensor([0.3, -0.1, 0.2])

    def edit(source):
        assert source.condition.shape == (8, 3)
        return Latents(source.latents.w + away)

    plain = model(PROMPTS, sampling, **draws, rank=False)
    edited = model(PROMPTS, sampling, **draws, rank=False, edit=edit)
    torch.testing.assert_close(edited.w, plain.w + away)
    np.testing.assert_array_equal(edited.images[..., 0, 0, :], _levels(edited.w))
    ranked = model(PROMPTS, sampling, **draws, edit=edit)
    order = np.argsort(-edited.scores, axis=1)
    np.testing.assert_allclose(
        ranked.scores, np.take_along_axis(edited.scores, order, axis=1)
    )


def _levels(w):
    return image_to_uint8(w.mean(dim=2)[..., None, None])[..., 0, 0, :]


def test_an_edit_of_styles_goes_with_its_image():
    model = make_model(1.0, generator=StyledColours(), image_batch_size=3)
    moves = torch.randn(8, 3)

    def edit(source):
        return Latents(source.latents.w, moves)

    sampling, draws = make_sampling(sampler="ddim"), {"num_samples": 4, "seed": 0}
    found = model(PROMPTS, sampling, **draws, edit=edit, keep=lambda i: i.numpy())
    colour = found.w.mean(dim=2) + found.style_offset
    np.testing.assert_allclose(found.images[..., 0, 0], colour, atol=1e-6)
    np.testing.assert_array_equal(
        np.sort(found.style_offset[0], axis=0), np.sort(moves[:4], axis=0)
    )
    assert (np.diff(found.scores, axis=1) <= 0).all()


def test_an_edit_of_styles_takes_a_generator_that_has_them():
    def edit(source):
        return Latents(source.latents.w, torch.zeros(2, 3))

    with pytest.raises(InputError, match="space S needs a StyleGAN2 or StyleGAN3"):
        make_model()(PROMPTS, make_sampling(), num_samples=1, seed=0, edit=edit)


def test_images_may_be_scored_towards_something_else():
    model, draws = make_model(1.0), {"num_samples": 2, "seed": 0, "rank": False}
    toward = torch.tensor([0.0, 0, 2])
    found = model(["1 0 0"], make_sampling(), **draws, toward=toward)
    asked = torch.tensor([1.0, 0, 2])
    cosine = functional.cosine_similarity(found.w[0, :, 0], asked[None])
    np.testing.assert_allclose(found.scores[0], cosine, atol=1e-6)


def test_w_that_has_no_image_is_told():
    w = torch.zeros(2, 2, 3)
    w[1, 0, 0] = float("inf")
    with pytest.raises(InputError, match="draw finite numbers, got others"):
        make_model().synthesise(w)
