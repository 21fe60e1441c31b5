"""The loop by two processes: states as those of one, whoever dies or fails."""

import os
import signal
from functools import partial

import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.training import fit, fit_together
from clip2latent_kedro.training.team import ALONE

from . import crews
from .toy import RUN, make_run


def train(group=None, run=RUN, stored=None, **changes):
    prepare = partial(crews.prepare_line, **changes)
    if group is None:
        return fit(lambda: prepare("cpu", ALONE), run, stored)
    return fit_together(group, prepare, prepare, run, stored)


def assert_close(states, others):
    for one, other in zip(states, others, strict=True):
        assert (one.step, one.best_step) == (other.step, other.best_step)
        for row, like in zip(one.history, other.history, strict=True):
            assert row == pytest.approx(like, rel=1e-6)
        for part in ("network", "ema", "optimizer", "best"):
            first, second = getattr(one, part), getattr(other, part)
            torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-12)


def test_a_killed_worker_costs_what_came_after_the_last_state(tmp_path, caplog):
    """It begins alone to step 4; the second one is killed in step 9; alone from 8."""
    caplog.set_level("INFO")
    path = tmp_path / "was_killed"
    alone = list(train())
    group = crews.make_group()
    states = list(train(group, stored=alone[0], ends=(1, 9), after=path))
    assert path.exists()
    assert "A worker has died: what it had begun is begun again" in caplog.text
    assert "Step 9 of 9: loss" in caplog.text  # what workers measure is told here
    assert_close(states, alone[1:])
    assert_close(train(stored=states[0]), alone[2:])


def test_a_loss_that_is_not_finite_in_one_ends_all():
    states = []
    message = r"steps 5 to 8 .*got a mean loss of nan. The state of step 4 is kept"
    with pytest.raises(InputError, match=message):
        states.extend(train(crews.make_group(), make_run(val_it=9), losses=(1, 6)))
    assert not states or [state.step for state in states] == [4]


def _end(seat, start, report):
    os.kill(os.getpid(), signal.SIGKILL)
    yield


def test_workers_that_die_again_and_again_end_it():
    group = crews.make_group(max_restarts=0)
    message = r"1 workers died .*, and max_restarts allows 0 \(the last: exit code "
    with pytest.raises(InputError, match=message):
        list(group.run(_end, _end, None, crews.say_nothing))


def test_what_cannot_travel_is_refused():
    group = crews.make_group()
    with pytest.raises(InputError, match="must be what pickle can write"):
        list(fit_together(group, lambda: None, lambda: None, RUN))
