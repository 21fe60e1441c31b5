import pytest
import torch
from world import make_prior, make_sampling

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.sampling import (
    adapt_sampling,
    draw_noise,
    noise_streams,
    sample_from_noise,
    sample_prior,
)


def test_noise_is_standard_normal_and_a_stream_for_each_sample():
    noise = noise_streams(0, [(0, 0), (0, 1), (1, 0)], (2, 50))
    draws = torch.stack([next(noise) for _ in range(40)])  # [40, 3, 2, 50]
    assert abs(draws.mean()) < 4 / draws.numel() ** 0.5
    assert abs(draws.var() - 1) < 4 * (2 / draws.numel()) ** 0.5
    correlation = torch.corrcoef(draws.transpose(0, 1).flatten(1))
    assert (correlation - torch.eye(3)).abs().max() < 0.07
    alone = noise_streams(0, [(1, 0)], (2, 50))
    assert all(torch.equal(next(alone)[0], sample_w) for sample_w in draws[:, 2])


def test_a_distilled_prior_answers_in_one_step_whatever_the_settings():
    sampling = make_sampling(
        num_steps=20, guidance="cfgpp", guidance_scale=0.5, psi=0.7
    )
    assert adapt_sampling(make_prior(), sampling) is sampling
    suited = adapt_sampling(make_prior(condition_inputs=("guidance_scale",)), sampling)
    assert (suited.sampler, suited.num_steps, suited.guidance) == ("ddim", 1, "cfg")
    assert suited.psi == 0.7


def sample_w(prior, *, negative=None, **changes):
    condition = prior.join_condition(torch.ones(1, 3))
    return sample_prior(
        prior,
        condition,
        make_sampling(**changes),
        num_samples=2,
        seed=0,
        batch_size=8,
        negative=negative,
    )


def make_student():
    student = make_prior(0.5, condition_inputs=("guidance_scale",))
    student.guidance_range = (1.0, 3.0)
    return student


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "ddim", "num_steps": 2}, "got sampling.sampler: ddim with num_st"),
        ({"sampler": "ddim", "num_steps": 2, "spacing": "karras"}, "with num_steps: 2"),
        ({"sampler": "ddpm", "num_steps": 1}, "Set sampler: ddim and num_steps: 1"),
        ({"sampler": "unipc", "num_steps": 5}, "learned one step alone, from pure noi"),
        ({"sampler": "dpmpp_2m", "num_steps": 20}, "the prior that it was distilled f"),
        (
            {"guidance_scale": 4.0},
            "guidance_scale must be 1 to 3 for this prior, by the",
        ),
        ({"guidance_scale": 0.5}, "by the guidance_range of its training, got 0.5"),
        (
            {"guidance": "cfgpp", "guidance_scale": 0.5},
            "must be cfg for a distilled pri",
        ),
    ],
)
def test_a_distilled_prior_is_asked_for_nothing_that_it_has_not_learned(
    changes, message
):
    settings = {"sampler": "ddim", "num_steps": 1, "guidance_scale": 2.0}
    with pytest.raises(InputError, match=message):
        sample_w(make_student(), **{**settings, **changes})


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "unipc"])
def test_every_sampler_that_starts_at_pure_noise_takes_the_one_step(sampler):
    one = {"num_steps": 1, "guidance_scale": 2.0}
    expected = sample_w(make_student(), sampler="ddim", **one)
    torch.testing.assert_close(
        sample_w(make_student(), sampler=sampler, **one), expected
    )


def test_a_prior_that_always_saw_its_condition_cannot_be_guided_away_from_none():
    prior = make_prior(0.5)
    prior.guidance_range = (1.0, 1.0)
    sample_w(prior, guidance_scale=1.0)
    sample_w(prior, guidance_scale=2.0, negative=torch.zeros(1, 3))
    with pytest.raises(
        InputError, match="must be 1 to 1 for this prior, by the cond_d"
    ):
        sample_w(prior, guidance_scale=2.0)


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "unipc"])
def test_a_sample_comes_of_its_noise_again(sampler):
    prior = make_prior(0.5)
    sampling = make_sampling(sampler=sampler, guidance_scale=2.0)
    condition = prior.join_condition(torch.tensor([[1.0, 0, 0], [0, -1, 0.5]]))
    w = sample_prior(prior, condition, sampling, num_samples=3, seed=4, batch_size=1024)
    x_T = draw_noise(prior, 4, [(0, 2), (1, 0)])
    again = sample_from_noise(prior, x_T, condition, sampling)
    torch.testing.assert_close(again, torch.stack([w[0, 2], w[1, 0]]))


@pytest.mark.parametrize(
    "changes", [{"sampler": "ddpm"}, {"sampler": "ddim", "eta": 0.5}]
)
def test_a_noise_alone_does_not_decide_what_a_stochastic_sampler_draws(changes):
    prior = make_prior(0.5)
    condition, x_T = prior.join_condition(torch.ones(1, 3)), torch.zeros(1, 1, 3)
    with pytest.raises(InputError, match="x_T is all the noise that there is, got dd"):
        sample_from_noise(prior, x_T, condition, make_sampling(**changes))
    prior.guidance_range = (1.0, 1.0)
    guided = make_sampling(sampler="ddim", guidance_scale=2.0)
    with pytest.raises(InputError, match="must be 1 to 1 for this prior"):
        sample_from_noise(prior, x_T, condition, guided)
