from dataclasses import replace

import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.samplers import SAMPLERS, SamplingConfig, sample
from clip2latent_kedro.samplers.ddpm import sample_ddpm

CONFIG = SamplingConfig(
    sampler="ddpm",
    num_steps=4,
    guidance_scale=1.0,
    psi=1.0,
    truncation_centre="data_mean",
    mean_shift=0.0,
    eta=0.0,
    variance="upstream",
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("sampler", "visited"),
    [
        ("ddpm", [750, 500, 250, 0]),
        ("ddim", [999, 749, 499, 249]),
        ("dpmpp_2m", [999, 749, 499, 249]),
    ],
)
def test_each_sampler_visits_its_timesteps_once(gaussian, start, sampler, visited):
    seen = []

    sample(
        gaussian.denoise,
        start,
        gaussian.alpha_bar,
        replace(CONFIG, sampler=sampler),
        seeded(),
        on_step=lambda t, _x0: seen.append(t),
    )

    assert seen == visited


@pytest.mark.parametrize("variance", ["upstream", "corrected"])
def test_variance_reaches_ddpm(gaussian, start, variance):
    expected = sample_ddpm(
        gaussian.denoise,
        start,
        [750, 500, 250, 0],
        gaussian.alpha_bar,
        generator=seeded(),
        variance=variance,
    )

    found = sample(
        gaussian.denoise,
        start,
        gaussian.alpha_bar,
        replace(CONFIG, variance=variance),
        seeded(),
    )

    assert torch.equal(found, expected)


def test_eta_reaches_ddim(gaussian, start):
    """With eta the result depends on the generator, without it does not."""

    def draw(eta, seed):
        config = replace(CONFIG, sampler="ddim", eta=eta)
        return sample(gaussian.denoise, start, gaussian.alpha_bar, config, seeded(seed))

    assert torch.equal(draw(0.0, 1), draw(0.0, 2))
    assert not torch.equal(draw(1.0, 1), draw(1.0, 2))
    assert torch.equal(draw(1.0, 1), draw(1.0, 1))


def test_sampling_records_no_gradient(gaussian, start):
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)

    for sampler in SAMPLERS:
        x0 = sample(
            lambda x_t, _t: weight * x_t,
            start,
            gaussian.alpha_bar,
            replace(CONFIG, sampler=sampler),
            seeded(),
        )
        assert not x0.requires_grad


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        (
            "sampler",
            "euler",
            "sampler must be one of ddpm, ddim, dpmpp_2m, got 'euler'",
        ),
        ("variance", "full", "variance must be one of upstream, corrected"),
        ("truncation_centre", "zero", "truncation_centre must be one of data_mean"),
        ("num_steps", 0, "num_steps must be at least 1, got 0"),
        ("guidance_scale", -1.0, "guidance_scale must be at least 0, got -1.0"),
        ("guidance_scale", float("inf"), "guidance_scale must be at least 0, got inf"),
        ("psi", float("nan"), "psi must be at least 0, got nan"),
        ("mean_shift", 1.5, "mean_shift must be 0 to 1, got 1.5"),
        ("eta", -0.1, "eta must be 0 to 1, got -0.1"),
    ],
)
def test_settings_out_of_range_are_explained(setting, value, message):
    with pytest.raises(InputError, match=rf"sampling\.{message}"):
        replace(CONFIG, **{setting: value})


def test_steps_that_do_not_divide_are_explained(gaussian, start):
    with pytest.raises(InputError, match="must divide the 1000 timesteps"):
        sample(
            gaussian.denoise,
            start,
            gaussian.alpha_bar,
            replace(CONFIG, num_steps=7),
            seeded(),
        )
