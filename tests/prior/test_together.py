"""A prior trained by two processes: who reads which pairs, and the loss curve."""

from functools import partial

import pytest
import torch
from training.crews import make_group, say_nothing

from clip2latent_kedro.prior.distillation.objectives import OBJECTIVES
from clip2latent_kedro.training.team import Team

from .distillation.worlds import distill
from .test_batches import ReadingObserver, make_batches
from .toy import make_data_config, make_network_config, make_pairs, train

CHUNKED = {"num_pairs": 340, "batch_size": 64, "buffer_pairs": 48}
WHOLE = {"num_pairs": 340, "batch_size": 51, "buffer_pairs": 1000}


class RowObserver(ReadingObserver):
    """Pairs that note which rows were read."""

    def take(self, rows):
        taken = super().take(rows)
        self.reads[-1] = taken[0][:, 0, 0].astype(int).tolist()
        return taken


def _read(settings, steps, seat, start, report):
    pairs = RowObserver(make_pairs(340))
    batches = make_batches(pairs, team=Team.at(seat), **settings)
    got = [[part.tolist() for part in batches(step)] for step in steps]
    reads = [row for read in pairs.reads for row in read]
    found = [None] * seat.size
    torch.distributed.all_gather_object(found, (got, reads))
    if seat.rank == 0:
        yield found


def _read_both(seat, start, report):
    for settings in (CHUNKED, WHOLE):
        yield from _read(settings, range(1, 6), seat, start, report)
    yield from _read(CHUNKED, range(4, 9), seat, start, report)


@pytest.fixture(scope="module")
def readings():
    """What two processes have read, and the batches that they got."""
    return list(make_group().run(_read_both, _read_both, None, say_nothing))


@pytest.mark.parametrize("number", [0, 1])
def test_each_pair_is_read_by_one_of_them(readings, number):
    """In an epoch: 5 batches of 64 of 340 pairs in chunks, or all pairs at once."""
    (got, reads), (other_got, other_reads) = readings[number]
    together = sorted(reads + other_reads)
    assert together == sorted(set(together))
    assert abs(len(reads) - len(other_reads)) <= 10
    assert got == other_got
    if number == 1:
        assert together == list(range(340))


@pytest.mark.parametrize(
    ("number", "settings", "first"), [(0, CHUNKED, 1), (1, WHOLE, 1), (2, CHUNKED, 4)]
)
def test_batches_are_those_of_one_process(readings, number, settings, first):
    batches = make_batches(make_pairs(340), **settings)
    expected = [[p.tolist() for p in batches(step)] for step in range(first, first + 5)]
    for got, _ in readings[number]:
        assert got == expected


CASES = {
    "even": {"data": make_data_config(bs=64)},
    "odd, in chunks": {"data": make_data_config(bs=255), "buffer_pairs": 100},
    "in parts": {
        "data": make_data_config(bs=33),
        "accumulate": 2,
        "clip_grad": 0.1,
        "network": make_network_config(kind="clip2latent", noise_level_input=True),
    },
    "bfloat16": {"data": make_data_config(bs=64), "precision": "bfloat16"},
}


def curve(case, group=None, **changes):
    pairs = make_pairs(340)
    return list(train(pairs, lr_decay="cosine", group=group, **CASES[case], **changes))


class Seats:
    """A group in a process of a group that is there already: many trainings in one."""

    device = "cpu"

    def __init__(self, seat):
        self.seat, self.size = seat, seat.size

    def run(self, lead, follow, start, report):
        work = lead if self.seat.rank == 0 else follow
        yield from work(self.seat, start if self.seat.rank == 0 else None, report)


def student_curve(objective, group=None):
    *_, teacher = train()
    return list(distill(teacher, objective=objective, bs=7, group=group))


def _curves(seat, start, report):
    states = {case: curve(case, Seats(seat)) for case in CASES}
    students = {name: student_curve(name, Seats(seat)) for name in OBJECTIVES}
    if seat.rank == 0:
        yield states | students


@pytest.fixture(scope="module")
def curves():
    """The states of trainings by two."""
    return next(make_group().run(_curves, _curves, None, say_nothing))


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_one_process(curves, case):
    alone = curve(case)
    tolerance = 0.01 if case == "bfloat16" else 1e-4
    for one, other in zip(curves[case], alone, strict=True):
        assert (one.step, one.settings["train"]) == (
            other.step,
            other.settings["train"],
        )
        for row, expected in zip(one.history, other.history, strict=True):
            assert row == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_students_learn_as_from_one_process(curves, objective):
    alone = student_curve(objective)
    for one, other in zip(curves[objective], alone, strict=True):
        assert one.step == other.step
        for row, expected in zip(one.history, other.history, strict=True):
            assert row == pytest.approx(expected, rel=1e-3)


def test_who_has_trained_it_is_told(curves, caplog):
    first, *_, last = curves["even"]
    assert last.settings["made_by"][0]["workers"] == 2
    resumed = curve("even")  # the same, alone
    *_, again = train(make_pairs(340), lr_decay="cosine", start=first, **CASES["even"])
    assert [row.get("workers") for row in again.settings["made_by"]] == [2, None]
    assert "workers (stored 2, asked None)" in caplog.text
    expected = partial(pytest.approx, rel=1e-4)
    assert again.history[-1] == expected(resumed[-1].history[-1])
