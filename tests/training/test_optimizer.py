import pytest
import torch
from torch import nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.training.optimizer import (
    build_optimizer,
    optimizer_tensors,
    restore_optimizers,
    restore_scaler,
    scaler_tensors,
)


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


def moved():
    """An optimiser that has made a step, and its state."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = build_optimizer(network, lr=0.1, weight_decay=0.1)
    network(torch.randn(4, 2)).sum().backward()
    optimizer.step()
    tensors = optimizer_tensors(optimizer)
    return optimizer, {name: tensor.clone() for name, tensor in tensors.items()}


def test_state_comes_back():
    """That of an optimiser that has not moved yet is nothing."""
    optimizer, stored = moved()
    assert set(stored) == {
        f"{layer}.{part}:{quantity}"
        for layer in (0, 1)
        for part in ("weight", "bias")
        for quantity in ("step", "exp_avg", "exp_avg_sq")
    }
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    names = [n for group in optimizer.param_groups for n in group["param_names"]]
    other = torch.optim.AdamW(list(zip(names, parameters, strict=True)), lr=0.1)
    still = build_optimizer(nn.Linear(7, 7), lr=0.1, weight_decay=0.1)
    scaler = {"grad_scaler:scale": torch.ones(())}
    restore_optimizers([still, other], {**stored, **scaler})
    restored = optimizer_tensors(other)
    assert all(torch.equal(restored[key], stored[key]) for key in stored)
    assert optimizer_tensors(still) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("0.weight:exp_avg", None),
        ("0.weight:exp_avg", torch.zeros(2, 2)),
        ("0.weight:step", torch.zeros(1)),
        ("1.bias:exp_avg_sq", torch.zeros(1, dtype=torch.int64)),
        ("2.bias:step", torch.zeros(())),
        ("1.bias:momentum", torch.zeros(1)),
    ],
)
def test_the_state_of_another_network_is_refused(name, value):
    optimizer, stored = moved()
    changed = {**stored, name: value}
    if value is None:
        del changed[name]
    with pytest.raises(InputError, match=f"does not fit the network: {name}"):
        restore_optimizers([optimizer], changed)


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
