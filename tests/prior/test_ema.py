import pytest
import torch
from clip2latent_kedro.prior.ema import ema_decay, update_ema
from torch import nn


def make_scalar(value):
    module = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(module.weight, value)
    return module


def test_decay_warms_up_to_beta():
    assert ema_decay(1, beta=0.99, power=1.0) == 0.5
    assert ema_decay(7, beta=0.99, power=2 / 3) == pytest.approx(1 - 8 ** (-2 / 3))
    assert ema_decay(10**9, beta=0.99, power=0.75) == 0.99


def test_constant_decay_is_a_geometric_sum():
    """From w_0, targets v: beta^k w_0 + (1 - beta^k) v."""
    average, target = make_scalar(5.0), make_scalar(-2.0)
    for _ in range(8):
        update_ema(average, target, 0.75)
    expected = 0.75**8 * 5.0 + (1 - 0.75**8) * -2.0
    assert average.weight.item() == pytest.approx(expected, rel=1e-12)


def test_power_one_is_the_plain_mean():
    """Decay 1 - 1 / (1 + k) averages the start and every weight since, equally."""
    weights = [4.0, 1.0, -3.0, 10.0]
    average = make_scalar(weights[0])
    for step, weight in enumerate(weights[1:], start=1):
        update_ema(average, make_scalar(weight), ema_decay(step, beta=1.0, power=1.0))
    assert average.weight.item() == pytest.approx(sum(weights) / 4, rel=1e-12)


def test_average_of_a_module_at_rest_stays():
    average, target = nn.Linear(3, 2), nn.Linear(3, 2)
    target.load_state_dict(average.state_dict())
    update_ema(average, target, 0.9)
    assert torch.equal(average.weight, target.weight)
