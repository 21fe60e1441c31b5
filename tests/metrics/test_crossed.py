"""Intervals over seeds and prompts."""

import numpy as np
import pytest

from clip2latent_kedro.metrics.crossed import crossed_interval
from clip2latent_kedro.metrics.student_t import t_interval, t_quantile

SEEDS = np.array([0.2, 0.5, 0.35])
PROMPTS = np.array([0.1, 0.9, 0.4, 0.6, 0.55])
# scipy.stats.t.ppf(0.975, degrees), scipy 1.17
QUANTILES = {1.0: 12.706204737, 2.7: 3.392148383, 11.3: 2.193876896}


def ends(interval):
    return [interval.mean, interval.low, interval.high]


@pytest.mark.parametrize(
    ("values", "own"),
    [
        (np.repeat(SEEDS[:, None], 5, axis=1), SEEDS),
        (np.repeat(PROMPTS[None], 3, axis=0), PROMPTS),
    ],
)
def test_where_one_factor_agrees_it_is_t_over_the_other(values, own):
    found, expected = crossed_interval(values, 0.95), t_interval(own.tolist(), 0.95)
    np.testing.assert_allclose(ends(found), ends(expected), atol=1e-9)


def test_variances_of_both_factors_add():
    """Without interaction, the parts are the variances of the factors themselves."""
    found = crossed_interval(SEEDS[:, None] + PROMPTS, 0.9)
    by_seed, by_prompt = SEEDS.var(ddof=1) / 3, PROMPTS.var(ddof=1) / 5
    variance = by_seed + by_prompt
    degrees = variance**2 / (by_seed**2 / 2 + by_prompt**2 / 4)
    half = t_quantile(0.95, np.floor(10 * degrees) / 10) * variance**0.5
    expected = SEEDS.mean() + PROMPTS.mean() + np.array([0, -half, half])
    np.testing.assert_allclose(ends(found), expected, rtol=1e-9)


@pytest.mark.parametrize(("degrees", "quantile"), QUANTILES.items())
def test_quantiles_of_broken_degrees(degrees, quantile):
    assert t_quantile(0.975, degrees) == pytest.approx(quantile, rel=1e-5)


@pytest.mark.parametrize(
    ("seeds", "prompts", "rest", "of_seeds_alone"),
    [
        (0.05, 1.0, 0.3, (0.5, 0.65)),  # t over seeds misses what prompts do
        (0.0, 1.0, 1.0, (0.78, 0.9)),
        (0.3, 0.3, 0.3, (0.92, 0.98)),
        (0.0, 0.0, 1.0, (0.92, 0.98)),
    ],
)
def test_it_covers_whichever_factor_matters(seeds, prompts, rest, of_seeds_alone):
    random = np.random.default_rng(0)
    num = 800
    values = (
        seeds * random.normal(size=(num, 3, 1))
        + prompts * random.normal(size=(num, 1, 32))
        + rest * random.normal(size=(num, 3, 32))
    )
    crossed = [crossed_interval(one, 0.95) for one in values]
    alone = [t_interval(one.mean(axis=1).tolist(), 0.95) for one in values]
    covered, by_seeds = (
        np.mean([found.low <= 0 <= found.high for found in intervals])
        for intervals in (crossed, alone)
    )
    assert 0.91 <= covered <= 0.995
    low, high = of_seeds_alone
    assert low <= by_seeds <= high


def test_prompts_to_which_a_score_does_not_apply_are_left_out():
    values = SEEDS[:, None] + PROMPTS
    with_gap = np.insert(values, 2, [np.nan, 1.0, np.nan], axis=1)
    assert crossed_interval(with_gap, 0.95) == crossed_interval(values, 0.95)
    nothing = crossed_interval(np.full((3, 4), np.nan), 0.95)
    np.testing.assert_array_equal(ends(nothing), [np.nan, -np.inf, np.inf])


def test_a_single_prompt_tells_nothing_of_others():
    found = crossed_interval(SEEDS[:, None], 0.95)
    assert ends(found) == [SEEDS.mean(), -np.inf, np.inf]
    same = crossed_interval(np.full((3, 4), 0.5), 0.95)
    assert ends(same) == [0.5, 0.5, 0.5]
