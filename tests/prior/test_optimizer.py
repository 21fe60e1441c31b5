import pytest
import torch
from clip2latent_kedro.prior.optimizer import (
    build_optimizer,
    decayed_lr,
    optimizer_tensors,
    restore_optimizer,
    restore_scaler,
    scaler_tensors,
    warmup_factor,
)
from torch import nn

from clip2latent_kedro.prior.network import build_network

from .toy import make_network_config


def test_only_weights_of_two_or_more_axes_decay():
    network = build_network(make_network_config(kind="clip2latent"), 1, 8, 8)
    optimizer = build_optimizer(network, lr=1e-4, weight_decay=0.01)
    decayed, plain = optimizer.param_groups
    assert decayed["weight_decay"] == 0.01
    assert plain["weight_decay"] == 0
    assert all(parameter.ndim >= 2 for parameter in decayed["params"])
    assert all(parameter.ndim < 2 for parameter in plain["params"])
    count = len(decayed["params"]) + len(plain["params"])
    assert count == len(list(network.parameters()))
    assert decayed["betas"] == (0.9, 0.999)
    assert decayed["eps"] == 1e-6


def test_first_step_is_that_of_adamw():
    """Step 1 moves by lr * g / (|g| + eps), after decoupled decay."""
    network = nn.Linear(1, 1).double()
    nn.init.constant_(network.weight, 2.0)
    nn.init.constant_(network.bias, 2.0)
    optimizer = build_optimizer(network, lr=0.1, weight_decay=0.5)
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 1e-6)
    optimizer.step()
    assert network.weight.item() == pytest.approx(2.0 * (1 - 0.05) - 0.1 / 2)
    assert network.bias.item() == pytest.approx(2.0 - 0.1 / 2)


def test_state_comes_back():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = build_optimizer(network, lr=0.1, weight_decay=0.1)
    network(torch.randn(4, 2)).sum().backward()
    optimizer.step()
    stored = {key: value.clone() for key, value in optimizer_tensors(optimizer).items()}
    assert set(stored) == {
        f"{layer}.{part}:{quantity}"
        for layer in (0, 1)
        for part in ("weight", "bias")
        for quantity in ("step", "exp_avg", "exp_avg_sq")
    }
    other = build_optimizer(network, lr=0.1, weight_decay=0.1)
    restore_optimizer(other, stored)
    restored = optimizer_tensors(other)
    assert all(torch.equal(restored[key], stored[key]) for key in stored)


def test_learning_rate():
    assert decayed_lr(2.0, "none", 10, 10) == 2.0
    assert [decayed_lr(2.0, "linear", step, 4) for step in (1, 3)] == [2.0, 1.0]
    assert decayed_lr(2.0, "cosine", 1, 4) == 2.0
    assert decayed_lr(2.0, "cosine", 3, 4) == pytest.approx(1.0)


def test_warmup_rises_by_equal_steps_and_stays():
    factors = [warmup_factor(step, 4) for step in range(1, 7)]
    assert factors == [0.25, 0.5, 0.75, 1, 1, 1]
    assert warmup_factor(1, 0) == 1


def test_state_of_a_gradient_scaler_is_restored():
    """Scale 4 halves on overflow, and doubles after two good steps in a row."""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)

    def make_scaler():
        return torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)

    def step(scaler, gradient):
        weight.grad = torch.full((1,), gradient)
        scaler.scale(torch.zeros(1))  # makes the scale
        scaler.step(optimizer)
        scaler.update()
        return scaler.get_scale()

    scaler = make_scaler()
    assert [step(scaler, float("inf")), step(scaler, 1.0)] == [2, 2]
    stored = scaler_tensors(scaler)
    restored = make_scaler()
    restore_scaler(restored, stored)
    assert scaler_tensors(restored) == stored
    assert [step(other, 1.0) for other in (scaler, restored)] == [4, 4]


def test_a_disabled_scaler_has_no_state_and_needs_none():
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    assert scaler_tensors(scaler) == {}
    restore_scaler(scaler, {})
