import pytest

from clip2latent_kedro.training.rates import (
    decayed_lr,
    ema_decay,
    ramped_ema_decay,
    rising_and_falling_lr,
)


@pytest.mark.parametrize(
    ("decay", "update", "expected"),
    [
        ("none", 10, 2.0),
        ("linear", 1, 2.0),
        ("linear", 6, 1.0),
        ("cosine", 1, 2.0),
        ("cosine", 6, 1.0),
        ("cosine", 10, 0.0489),
    ],
)
def test_the_learning_rate_falls_to_almost_nothing(decay, update, expected):
    rate = decayed_lr(2.0, update, decay=decay, max_it=10)
    assert rate == pytest.approx(expected, abs=1e-4)


def test_the_learning_rate_rises_by_equal_steps():
    rates = [
        decayed_lr(1.0, update, decay="none", max_it=9, warmup_it=4)
        for update in range(1, 7)
    ]
    assert rates == [0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.parametrize(
    ("update", "expected"), [(1, 0.2), (11, 2.0), (50, 2.0), (76, 1.0), (100, 0.002)]
)
def test_the_learning_rate_rises_stays_and_falls(update, expected):
    rate = rising_and_falling_lr(2.0, update, max_it=100, rise=0.1, fall=0.5)
    assert rate == pytest.approx(expected, abs=1e-3)


def test_decay_of_the_average_warms_up_to_beta():
    assert ema_decay(1, beta=0.99, power=1.0) == 0.5
    assert ema_decay(7, beta=0.99, power=2 / 3) == pytest.approx(1 - 8 ** (-2 / 3))
    assert ema_decay(10**9, beta=0.99, power=0.75) == 0.99
    assert ramped_ema_decay(1, beta=0.99) == 0.1
    assert ramped_ema_decay(10**9, beta=0.99) == 0.99


def test_power_one_is_the_plain_mean():
    """Decay 1 - 1 / (1 + k) averages the start and every value since, equally."""
    values = [4.0, 1.0, -3.0, 10.0]
    average = values[0]
    for update, value in enumerate(values[1:], start=1):
        decay = ema_decay(update, beta=1.0, power=1.0)
        average = decay * average + (1 - decay) * value
    assert average == pytest.approx(sum(values) / 4, rel=1e-12)
