"""A team of two processes moves weights as one process does."""

import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.training.team import ALONE, Team

from . import crews


@pytest.mark.parametrize(("num", "size"), [(8, 1), (8, 2), (255, 2), (7, 3), (2, 5)])
def test_rows_are_shared_out_evenly(num, size):
    teams = [Team(rank, size) for rank in range(size)]
    rows = [row for team in teams for row in range(num)[team.rows(num)]]
    assert rows == list(range(num))
    counts = [len(range(num)[team.rows(num)]) for team in teams]
    assert max(counts) - min(counts) <= 1
    assert sum(team.share(num) for team in teams) == pytest.approx(1)
    assert [teams[0].rows(num, rank) for rank in range(size)] == [
        team.rows(num) for team in teams
    ]


def test_who_would_have_no_row_is_refused():
    Team(0, 3).check_batch(3, "data.bs")
    message = "data.bs must be at least the 3 workers of the training, got 2"
    with pytest.raises(InputError, match=message):
        Team(0, 3).check_batch(2, "data.bs")


CASES = [
    {},
    {"accumulate": 3},
    {"clip_grad": 1e-2},
    {"accumulate": 2, "clip_grad": 0.5, "ema_every": 2},
]


def _updates(seat):
    team = Team.at(seat)
    return [crews.updated(case, team) for case in CASES]


def _collectives(seat):
    team = Team.at(seat)
    rows = torch.full((5, 2), -1.0)
    rows[team.rows(5)] = float(team.rank)
    team.fill(rows)
    total = team.sum(torch.tensor([1.0, float(team.rank)]))
    return rows[:, 0].tolist(), total.tolist(), team.broadcast(f"of {team.rank}")


def _everything(seat):
    objectives = crews.two_groups_of_weights(Team.at(seat))
    return _updates(seat), _collectives(seat), objectives


@pytest.fixture(scope="module")
def seats():
    """What two processes have come to."""
    return crews.seat_by_seat(_everything)


def test_what_is_sent_arrives(seats):
    for _, collected, _ in seats:
        assert collected == ([0.0, 0.0, 1.0, 1.0, 1.0], [2.0, 1.0], "of 0")


@pytest.mark.parametrize("number", range(len(CASES)))
def test_gradient_is_that_of_the_whole_batch(seats, number):
    """Of 7 rows, 3 and 4, in double precision; an idle weight has none."""
    losses, gradient, weights = crews.updated(CASES[number], ALONE)
    shares = []
    for updates, _, _ in seats:
        share, found, moved = updates[number]
        shares.append(share)
        for one, other in zip(found, gradient, strict=True):
            if one is None or other is None:
                assert one is other
            else:
                torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(moved, weights, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(sum(shares), losses)  # in single precision
    assert seats[0][0][number][2] == seats[1][0][number][2]  # in every bit


def test_objectives_move_their_own_weights(seats):
    alone = crews.two_groups_of_weights(ALONE)
    for *_, weights in seats:
        torch.testing.assert_close(weights, alone, rtol=1e-12, atol=1e-14)
