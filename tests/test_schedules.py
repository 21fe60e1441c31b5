import math
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.schedules import (
    SCHEDULES,
    cosine_alpha_bar,
    karras_timesteps,
    linear_alpha_bar,
    respaced_timesteps,
    visited_levels,
)

CHECKPOINT = Path(__file__).parents[2] / "shared" / "conformance" / "prior_small64.ckpt"


@pytest.mark.skipif(not CHECKPOINT.exists(), reason="no conformance files")
def test_cosine_is_the_schedule_of_published_checkpoints():
    state = torch.load(CHECKPOINT, weights_only=True)["state_dict"]
    stored = state["ema_diffusion_prior.ema_model.alphas_cumprod"]

    # Made on another machine: the last bit of a float32 may be another one.
    torch.testing.assert_close(
        cosine_alpha_bar(1000).float(), stored, rtol=2.0**-22, atol=0
    )


def test_cosine_follows_its_formula_until_the_clipped_last_step():
    alpha_bar = cosine_alpha_bar(1000)

    def f(t):
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    expected = torch.tensor([f(t + 1) / f(0) for t in range(999)], dtype=torch.float64)
    torch.testing.assert_close(alpha_bar[:-1], expected)
    torch.testing.assert_close(alpha_bar[-1], alpha_bar[-2] * 0.001)


def test_linear_is_the_product_of_its_betas():
    alpha_bar = linear_alpha_bar(1000)

    betas = 1 - alpha_bar[1:] / alpha_bar[:-1]

    torch.testing.assert_close(
        alpha_bar[0], torch.tensor(1 - 1e-4, dtype=torch.float64)
    )
    torch.testing.assert_close(betas[-1], torch.tensor(0.02, dtype=torch.float64))
    steps = betas.diff()
    torch.testing.assert_close(steps, steps.mean().expand_as(steps))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("num_timesteps", [25, 1000])
def test_signal_falls_within_zero_and_one(name, num_timesteps):
    alpha_bar = SCHEDULES[name](num_timesteps)

    assert alpha_bar.shape == (num_timesteps,)
    assert alpha_bar.dtype == torch.float64
    assert (alpha_bar.diff() < 0).all()
    assert 0 < alpha_bar[-1] < alpha_bar[0] < 1


FULL = list(range(999, -1, -1))


@pytest.mark.parametrize(
    ("num_steps", "leading", "trailing"),
    [(4, [750, 500, 250, 0], [999, 749, 499, 249]), (1000, FULL, FULL)],
)
def test_respacing_by_hand(num_steps, leading, trailing):
    assert respaced_timesteps(1000, num_steps) == leading
    assert respaced_timesteps(1000, num_steps, spacing="trailing") == trailing


@pytest.mark.parametrize("num_timesteps", [1, 2, 20, 1000])
@pytest.mark.parametrize("spacing", ["trailing", *SCHEDULES])
def test_any_number_of_distinct_steps_is_visited(spacing, num_timesteps):
    """Trailing, or by Karras on each schedule: from pure noise downwards."""
    visit = partial(respaced_timesteps, num_timesteps, spacing="trailing")
    if spacing in SCHEDULES:
        alpha_bar = SCHEDULES[spacing](max(20, num_timesteps))[:num_timesteps]
        visit = partial(karras_timesteps, alpha_bar)
    for num_steps in {1, 2, 3, 7, 333, num_timesteps - 1, num_timesteps}:
        if not 1 <= num_steps <= num_timesteps:
            continue
        timesteps = visit(num_steps)
        assert len(timesteps) == num_steps
        assert timesteps[0] == num_timesteps - 1
        assert timesteps[-1] >= 0
        assert all(t > later for t, later in pairwise(timesteps))


def test_steps_that_do_not_divide_are_explained():
    with pytest.raises(
        InputError, match=r"must divide the 1000 .* got 7.*dpmpp_2m or unipc"
    ):
        respaced_timesteps(1000, 7)


def test_karras_starts_at_pure_noise_and_ends_at_the_least():
    alpha_bar = cosine_alpha_bar(1000)

    assert karras_timesteps(alpha_bar, 1) == [999]
    assert karras_timesteps(alpha_bar, 2) == [999, 0]
    assert karras_timesteps(alpha_bar, 5)[::4] == [999, 0]


@pytest.mark.parametrize(("num_steps", "most"), [(6, 10.0), (25, 25.0)])
def test_karras_is_even_in_the_seventh_root_of_the_noise(num_steps, most):
    """Eq. 5 of the paper, up to half of the schedule's own gap in log sigma."""
    alpha_bar = cosine_alpha_bar(2**14)
    sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
    gap = sigma.log().diff()

    timesteps = karras_timesteps(alpha_bar, num_steps)

    least = sigma[0].item()
    for i, t in enumerate(timesteps[1:-1], start=1):
        share = i / (num_steps - 1)
        root = most ** (1 / 7) + share * (least ** (1 / 7) - most ** (1 / 7))
        error = (sigma[t].log() - 7 * math.log(root)).abs()
        assert error <= gap[t - 1 : t + 1].max() / 2 + 1e-12


@pytest.mark.parametrize("num_steps", [0, 1001])
@pytest.mark.parametrize(
    "visit",
    [
        partial(respaced_timesteps, 1000),
        partial(respaced_timesteps, 1000, spacing="trailing"),
        partial(karras_timesteps, cosine_alpha_bar(1000)),
    ],
)
def test_steps_out_of_range_are_explained(num_steps, visit):
    with pytest.raises(InputError, match=f"1 to the 1000 timesteps.*got {num_steps}"):
        visit(num_steps)


def test_visited_levels_end_at_the_clean_signal():
    alpha_bar = torch.tensor([0.9, 0.5, 0.1])

    levels = visited_levels(alpha_bar, [2, 0])

    assert levels.tolist() == [*alpha_bar.double()[[2, 0]].tolist(), 1.0]
