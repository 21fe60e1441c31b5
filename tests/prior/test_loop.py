import pytest
import torch
from clip2latent_kedro.prior.loop import run_steps

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.runtime import Stopwatch


def run(losses, *, first=0, has_finite_weights=lambda: True, **changes):
    """Return the steps of checkpoints, and what was measured."""
    measured = []

    def measure(step, mean, is_validated):
        measured.append((step, mean, is_validated))
        return {"step": step, "loss": mean}

    settings = {"max_it": 9, "val_it": 3, "save_it": 4, "lr": ("x.lr", 0.5)} | changes
    steps = run_steps(
        "a test",
        first=first,
        step=lambda step: torch.tensor(losses[step]),
        has_finite_weights=has_finite_weights,
        measure=measure,
        stopwatch=Stopwatch(),
        **settings,
    )
    return list(steps), measured


def test_means_are_over_the_steps_since_the_last_measurement():
    losses = [float(step) for step in range(10)]
    saved, measured = run(losses)
    assert saved == [4, 8, 9]
    expected = [(3, 2.0, True), (4, 4.0, False), (6, 5.5, True)]
    assert measured == [*expected, (8, 7.5, False), (9, 9.0, True)]


def test_going_on_measures_the_same():
    losses = [float(step) ** 2 for step in range(10)]
    _, straight = run(losses)
    saved, resumed = run(losses, first=4)
    assert saved == [8, 9]
    assert resumed == straight[2:]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_it(bad):
    losses = [1.0] * 6 + [bad] + [1.0] * 3
    message = r"steps 5 to 6 .*checkpoint of step 4 is kept. Lower x.lr = 0.5"
    with pytest.raises(InputError, match=message):
        run(losses)


def test_a_weight_that_is_not_finite_ends_it():
    with pytest.raises(InputError, match="None is kept"):
        run([1.0] * 10, has_finite_weights=lambda: False)


def test_a_long_way_to_a_measurement_is_looked_at_on_the_way():
    losses = [float("nan")] * 1000
    with pytest.raises(InputError, match="steps 1 to 50"):
        run(losses, max_it=999, val_it=999, save_it=999)


def test_only_steps_count_as_training_neither_validation_nor_storing(clock):
    """A step takes 1 s, a measurement 10 and storing 100."""
    stopwatch = Stopwatch(5.0)

    def measure(step, mean, is_validated):
        clock.now += 10
        return {"step": step, "loss": mean}

    def step(number):
        clock.now += 1
        return torch.tensor(0.0)

    seconds = []
    for _ in run_steps(
        "a test",
        first=0,
        max_it=9,
        val_it=3,
        save_it=4,
        lr=("x.lr", 0.5),
        step=step,
        has_finite_weights=lambda: True,
        measure=measure,
        stopwatch=stopwatch,
    ):
        seconds.append(stopwatch.seconds)
        clock.now += 100
        assert stopwatch.seconds == seconds[-1]
    assert seconds == [5 + 4, 5 + 8, 5 + 9]


def test_time_that_is_not_known_stays_so():
    assert Stopwatch(None).seconds is None
