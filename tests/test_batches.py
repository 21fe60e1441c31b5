"""Batches are halved until memory holds them."""

import pytest
import torch
from processes import little_memory

from clip2latent_kedro.batches import map_batches


def test_batches_are_those_that_were_asked_for():
    rows = torch.arange(7)
    batches = [b.tolist() for b in map_batches(torch.clone, rows, 3, setting="x")]
    assert batches == [[0, 1, 2], [3, 4, 5], [6]]


def grow(rows):
    """Take 256 MiB for each row, for as long as the call."""
    return torch.empty(len(rows), 1 << 26).fill_(1.0)[:, 0] * rows


def test_what_memory_does_not_hold_is_halved_and_all_rows_come(caplog):
    with little_memory(900 << 20):
        found = list(map_batches(grow, torch.arange(9.0), 8, setting="data.bs"))
    torch.testing.assert_close(torch.cat(found), torch.arange(9.0))
    assert max(map(len, found)) in (1, 2)
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings[0] == (
        "Memory ran out: going on with 4 at a time. Lower data.bs to begin there."
    )
    assert len(warnings) in (2, 3)


def test_a_single_row_that_does_not_fit_is_an_error():
    with (
        little_memory(100 << 20),
        pytest.raises(RuntimeError, match="can't allocate memory"),
    ):
        list(map_batches(grow, torch.arange(2.0), 2, setting="data.bs"))


def test_other_errors_are_raised_at_once():
    def fail(rows):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(map_batches(fail, torch.arange(4), 4, setting="data.bs"))
