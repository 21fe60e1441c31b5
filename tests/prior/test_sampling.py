import torch
from linear_models import make_prior, make_sampling

from clip2latent_kedro.prior.sampling import draw_noises, suit_sampling


def test_noise_is_standard_normal_and_a_stream_for_each_sample():
    noise = draw_noises(0, [(0, 0), (0, 1), (1, 0)], (2, 50))
    draws = torch.stack([next(noise) for _ in range(40)])  # [40, 3, 2, 50]
    assert abs(draws.mean()) < 4 / draws.numel() ** 0.5
    assert abs(draws.var() - 1) < 4 * (2 / draws.numel()) ** 0.5
    correlation = torch.corrcoef(draws.transpose(0, 1).flatten(1))
    assert (correlation - torch.eye(3)).abs().max() < 0.07
    alone = draw_noises(0, [(1, 0)], (2, 50))
    assert all(torch.equal(next(alone)[0], draw) for draw in draws[:, 2])


def test_a_distilled_prior_answers_in_one_step_whatever_the_settings():
    sampling = make_sampling(
        num_steps=20, guidance="cfgpp", guidance_scale=0.5, psi=0.7
    )
    assert suit_sampling(make_prior(), sampling) is sampling
    suited = suit_sampling(make_prior(condition_inputs=("guidance_scale",)), sampling)
    assert (suited.sampler, suited.num_steps, suited.guidance) == ("ddim", 1, "cfg")
    assert suited.psi == 0.7
