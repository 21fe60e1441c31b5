"""The loop: what it yields, measures, keeps and refuses."""

import json
import math
from dataclasses import replace

import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.training import fit
from clip2latent_kedro.training.state import pack_state, stored_state

from .toy import RUN, make_run, make_task


def scripted(losses, **changes):
    """A task whose losses are those of a list, by step."""
    task = make_task(lambda step: torch.tensor(losses[step]), **changes)
    return replace(task, batch=lambda step: {"step": step})


def run(task=None, run=RUN, stored=None):
    return list(fit(lambda: task or make_task(), run, stored))


def assert_same(one, other):
    assert (one.step, one.history, one.best_step) == (
        other.step,
        other.history,
        other.best_step,
    )
    for group in ("network", "ema", "optimizer", "best"):
        tensors, others = getattr(one, group), getattr(other, group)
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensors[name], others[name]) for name in tensors), group


def test_rows_hold_the_mean_of_the_steps_since_the_one_before():
    measured = []

    def measure(step, is_validated):
        measured.append((step, is_validated))
        return {"score": float(step), "unknown": math.nan}

    states = run(scripted([float(step) for step in range(10)], measure=measure))
    assert [state.step for state in states] == [4, 8, 9]
    assert measured == [(3, True), (4, False), (6, True), (8, False), (9, True)]
    means = {3: 2.0, 4: 4.0, 6: 5.5, 8: 7.5, 9: 9.0}
    rows = [{"step": n, "loss": means[n], "score": float(n)} for n in means]
    assert states[-1].history == rows
    assert json.loads(json.dumps(states[-1].history, allow_nan=False)) == rows
    assert states[0].history == rows[:2]


@pytest.mark.parametrize(
    ("best_by", "scores", "best"),
    [
        ("validation_loss", [0.3, 0.1, 0.2], 6),
        ("validation_loss", [0.3, 0.1, 0.1], 9),
        ("image_similarity", [0.3, 0.1, 0.2], 3),
        ("image_similarity", [0.1, 0.3, 0.3], 9),
        ("image_similarity", [0.2, math.nan, 0.1], 3),
        ("image_similarity", [math.nan, math.nan, math.nan], 0),
        ("", [0.1, 0.2, 0.3], 0),
    ],
)
@pytest.mark.parametrize("resumed_from", [None, 0, 1])
def test_best_is_the_least_loss_or_highest_score_and_the_later_of_equals(
    best_by, scores, best, resumed_from
):
    def measure(step, is_validated):
        score = scores[step // 3 - 1] if is_validated else 9e9
        return {best_by or "other": score}

    def task():
        return make_task(measure=measure, best_by=best_by)

    states = run(task(), make_run(save_it=1))
    if resumed_from is not None:
        stored = states[4 + resumed_from]
        states[5 + resumed_from :] = run(task(), make_run(save_it=1), stored)
    assert states[-1].best_step == best
    if not best:
        assert states[-1].best == {}
        return
    average = states[best - 1].ema
    assert all(torch.equal(states[-1].best[name], average[name]) for name in average)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_training_that_is_stored_and_goes_on_is_the_same_bit_for_bit(precision):
    changes = {"precision": precision, "clip_grad": 0.5, "accumulate": 3}
    whole = run(make_task(**changes))
    for place, state in enumerate(whole[:-1], start=1):
        stored = stored_state(pack_state(state))
        resumed = run(make_task(**changes), stored=stored)
        for one, other in zip(resumed, whole[place:], strict=True):
            assert_same(one, other)


def test_a_finished_training_is_given_back_and_not_prepared():
    *_, last = run()
    (again,) = fit(lambda: pytest.fail("it was prepared"), RUN, last)
    assert again == last
    *_, longer = run(run=make_run(max_it=12), stored=last)
    *_, at_once = run(run=make_run(max_it=12))
    assert longer.step == 12
    assert torch.equal(longer.ema["layer.weight"], at_once.ema["layer.weight"])


def test_other_settings_replace_a_finished_training_and_stop_an_unfinished_one():
    first, *_, last = run()
    (*_, replaced) = run(run=make_run(lr=0.5), stored=last)
    assert replaced.step == 9
    assert replaced.settings["line"]["lr"] == 0.5
    message = r"line_state of step 4 .*line.lr \(stored 0.05, asked 0.5\)\. .*resume:fa"
    with pytest.raises(InputError, match=message):
        run(run=make_run(lr=0.5), stored=first)
    # When states are stored and measured is free; so is the end of a constant rate.
    assert run(run=make_run(save_it=5, val_it=2, max_it=5), stored=first)[-1].step == 5
    decays = {"lr_decay": "cosine"}
    first, *_ = run(run=make_run(**decays))
    with pytest.raises(InputError, match=r"line.max_it \(stored 9, asked 12\)"):
        run(run=make_run(**decays, max_it=12), stored=first)


def test_who_has_trained_it_is_told_and_recorded(caplog):
    first, *_ = run()
    assert first.settings["made_by"] == [{"code": "a"}]
    *_, last = run(run=make_run(making={"code": "b"}), stored=first)
    assert last.settings["made_by"] == [{"code": "a"}, {"code": "b"}]
    assert "line_state was trained otherwise: code (stored 'a', asked" in caplog.text
    caplog.clear()
    (kept,) = run(run=make_run(making={"code": "c"}), stored=last)
    assert kept.settings == last.settings
    assert "otherwise" not in caplog.text


def test_what_cannot_be_read_stops_a_training():
    with pytest.raises(InputError, match=r"It is damaged\. Or use .*resume:false"):
        run(stored=InputError("It is damaged."))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_it(bad):
    losses = [1.0] * 6 + [bad] + [1.0] * 3
    message = r"steps 5 to 6 .*state of step 4 is kept. Lower line.lr = 0.05"
    states = []
    with pytest.raises(InputError, match=message):
        states.extend(fit(lambda: scripted(losses), RUN))
    assert not states or [state.step for state in states] == [4]


def test_a_weight_that_is_not_finite_ends_it():
    task = scripted([1.0] * 10)
    torch.nn.init.constant_(task.network.layer.bias, math.inf)
    with pytest.raises(InputError, match="None is kept"):
        run(task)


def test_a_long_way_to_a_measurement_is_looked_at_on_the_way():
    with pytest.raises(InputError, match="steps 1 to 50"):
        run(scripted([math.nan] * 1000), make_run(max_it=999, save_it=999, val_it=999))


@pytest.mark.parametrize(("before", "expected"), [(100.0, [108, 109]), (None, [None])])
def test_only_steps_count_as_training_neither_validation_nor_storing(
    clock, before, expected
):
    """A step takes 1 s, a measurement 10 and storing 100."""

    def measure(step, is_validated):
        clock.now += 10
        return {}

    def loss(step):
        clock.now += 1
        return torch.tensor(0.0)

    def seconds(stored=None):
        task = make_task(loss, measure=measure, batch=lambda step: {"step": step})
        for state in fit(lambda: task, RUN, stored):
            yield state.seconds
            clock.now += 100

    assert list(seconds()) == [4, 8, 9]
    first, *_ = run()
    first = replace(first, seconds=None if before is None else before + 4)
    assert list(seconds(first))[: len(expected)] == expected
