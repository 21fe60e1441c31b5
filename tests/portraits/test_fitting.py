import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.portraits.fitting import Schedule, fit
from clip2latent_kedro.runtime import make_generator


class _Line(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.register_buffer("seen", torch.zeros([]))

    def loss_at(self, step: int) -> torch.Tensor:
        x = torch.randn(16, 3, generator=make_generator(0, step))
        with torch.no_grad():
            self.seen += 1
        return (
            (self.layer(x)[:, 0] - x @ torch.tensor([1.0, -2.0, 0.5])).square().mean()
        )


def _run(steps: int, state=None, save_every: int = 10):
    torch.manual_seed(0)
    model = _Line()
    groups = [{"params": list(model.parameters()), "lr": 0.05, "weight_decay": 0.0}]
    schedule = Schedule(steps, warmup=0.1, decay=0.5, ema_beta=0.9)
    states = fit(
        model,
        groups,
        model.loss_at,
        schedule,
        save_every=save_every,
        lr="a.lr",
        state=state,
    )
    return list(states)


def test_the_storing_of_states_is_no_training(clock):
    model = _Line()

    def loss_at(step: int) -> torch.Tensor:
        clock.now += 1
        return model.loss_at(step)

    groups = [{"params": list(model.parameters()), "lr": 0.05}]
    schedule = Schedule(6, warmup=0.1, decay=0.5, ema_beta=0.9)
    seconds = []
    for state in fit(model, groups, loss_at, schedule, save_every=2, lr="a.lr"):
        seconds.append(state.seconds)
        clock.now += 100
    assert seconds == [2, 4, 6]


def test_it_learns_and_averages():
    last = _run(300)[-1]
    assert last.step == 300
    weights = last.weights()["layer.weight"]
    torch.testing.assert_close(
        weights, torch.tensor([[1.0, -2.0, 0.5]]), atol=1e-2, rtol=0
    )
    assert len(last.tensors["losses"]) == 300


def test_resumed_equals_uninterrupted_bit_for_bit():
    whole = _run(40)
    resumed = _run(40, state=whole[1])
    assert [state.step for state in resumed] == [30, 40]
    for name, value in whole[-1].tensors.items():
        torch.testing.assert_close(resumed[-1].tensors[name], value, rtol=0, atol=0)


def test_a_loss_that_is_not_finite_stops_and_keeps_what_was_good():
    model = torch.nn.Linear(1, 1)
    groups = [{"params": list(model.parameters()), "lr": 0.1}]

    def loss_at(step: int) -> torch.Tensor:
        return model.weight.sum() * (float("nan") if step == 3 else 1.0)

    states = fit(
        model, groups, loss_at, Schedule(9, 0.1, 0.5, 0.9), save_every=1, lr="a.lr"
    )
    assert [next(states).step for _ in range(3)] == [1, 2, 3]
    with pytest.raises(InputError, match=r"nan that is not at step 3\. Lower a\.lr;"):
        next(states)


def test_the_learning_rate_rises_stays_and_falls_to_nothing():
    schedule = Schedule(steps=100, warmup=0.1, decay=0.5, ema_beta=0.99)
    assert schedule.factor(0) == pytest.approx(0.1)
    assert schedule.factor(10) == pytest.approx(1.0)
    assert schedule.factor(49) == pytest.approx(1.0)
    assert schedule.factor(75) == pytest.approx(0.5)
    assert schedule.factor(99) < 0.001
