"""The samplers against those of diffusers, given the same levels and timesteps.

Theirs end at the clean x0 as ours do: `final_sigmas_type` zero, or an alpha_bar of 1
after the last timestep. Levels are put into their schedulers as they are, because
trained betas would be rounded to float32 first.
"""

from itertools import pairwise

import pytest
import torch
from world import seeded

from clip2latent_kedro.samplers.ddim import sample_ddim
from clip2latent_kedro.samplers.ddpm import sample_ddpm
from clip2latent_kedro.samplers.dpmpp import sample_dpmpp_2m
from clip2latent_kedro.samplers.unipc import sample_unipc
from clip2latent_kedro.schedules import karras_timesteps, respaced_timesteps

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")

COMMON = {"num_train_timesteps": 1000, "prediction_type": "sample"}
STEPS = [1, 2, 3, 4, 10, 25]


def run(scheduler, denoise, x_t, **options):
    for t in scheduler.timesteps:
        x0 = denoise(x_t, int(t))
        x_t = scheduler.step(x0, t, x_t, **options).prev_sample
    return x_t


def multistep_scheduler(kind, alpha_bar, timesteps, **settings):
    scheduler = kind(
        **COMMON,
        **settings,
        solver_order=2,
        lower_order_final=True,
        final_sigmas_type="zero",
    )
    scheduler.set_timesteps(len(timesteps))
    scheduler.timesteps = torch.tensor(timesteps)
    levels = alpha_bar[timesteps]
    sigmas = ((1 - levels) / levels).sqrt()
    scheduler.sigmas = torch.cat([sigmas, sigmas.new_zeros(1)])
    return scheduler


@pytest.fixture(params=["trailing", "karras"])
def plan(request, mixture):
    def timesteps(num_steps):
        if request.param == "karras":
            return karras_timesteps(mixture.alpha_bar, num_steps)
        return respaced_timesteps(1000, num_steps, spacing="trailing")

    return timesteps


@pytest.mark.parametrize("num_steps", STEPS)
@pytest.mark.parametrize(
    ("sampler", "kind", "settings", "atol"),
    [
        (sample_unipc, "UniPC", {"solver_type": "bh2"}, 1e-10),
        (  # theirs passes the sample through float32
            sample_dpmpp_2m,
            "DPMSolver",
            {"algorithm_type": "dpmsolver++", "solver_type": "midpoint"},
            1e-5,
        ),
    ],
)
def test_multistep(mixture, start, plan, num_steps, sampler, kind, settings, atol):
    timesteps, alpha_bar = plan(num_steps), mixture.alpha_bar
    kind = getattr(diffusers, f"{kind}MultistepScheduler")
    scheduler = multistep_scheduler(kind, alpha_bar, timesteps, **settings)

    found = sampler(mixture.denoise, start, timesteps, alpha_bar)

    expected = run(scheduler, mixture.denoise, start)
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("num_steps", [1, 2, 4, 10, 25])
def test_ddim(mixture, start, num_steps, eta):
    """Theirs steps by T / num_steps, whatever the timesteps are."""
    timesteps = respaced_timesteps(1000, num_steps, spacing="trailing")
    assert all(t - s == 1000 // num_steps for t, s in pairwise(timesteps))
    scheduler = diffusers.DDIMScheduler(
        **COMMON, clip_sample=False, set_alpha_to_one=True, timestep_spacing="trailing"
    )
    scheduler.alphas_cumprod = mixture.alpha_bar
    scheduler.set_timesteps(num_steps)
    assert scheduler.timesteps.tolist() == timesteps

    found = sample_ddim(
        mixture.denoise,
        start,
        timesteps,
        mixture.alpha_bar,
        generator=seeded(5),
        eta=eta,
    )

    expected = run(scheduler, mixture.denoise, start, eta=eta, generator=seeded(5))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("num_steps", [2, 4, 10, 25])
@pytest.mark.parametrize("spacing", ["leading", "karras"])
def test_ddpm(mixture, start, spacing, num_steps):
    timesteps = respaced_timesteps(1000, num_steps)
    if spacing == "karras":
        timesteps = karras_timesteps(mixture.alpha_bar, num_steps)
    assert timesteps[-1] == 0  # where theirs adds no noise
    scheduler = diffusers.DDPMScheduler(
        **COMMON, clip_sample=False, variance_type="fixed_small"
    )
    scheduler.alphas_cumprod = mixture.alpha_bar
    scheduler.one = torch.ones((), dtype=torch.float64)
    scheduler.set_timesteps(timesteps=timesteps)

    found = sample_ddpm(
        mixture.denoise, start, timesteps, mixture.alpha_bar, generator=seeded(5)
    )

    expected = run(scheduler, mixture.denoise, start, generator=seeded(5))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
