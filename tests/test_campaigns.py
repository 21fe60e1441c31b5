"""The campaign of kills: what it compares, and a short one."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import run
from safetensors.torch import save_file

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "campaigns" / "kills.py"


@pytest.fixture(scope="module")
def kills():
    return runpy.run_path(str(SCRIPT))


def store(folder, *, weight=1.0, seconds=1.0, note="a", chunk=b"abc"):
    """A folder of data with a file of each kind that is compared."""
    (folder / "answers").mkdir(parents=True)
    save_file({"w": torch.tensor([weight])}, folder / "state.safetensors")
    record = np.array(json.dumps({"seconds": seconds, "note": note}))
    np.savez(folder / "answers" / "fast.npz", x=np.ones(2), record=record)
    (folder / "answers" / "c0").write_bytes(chunk)
    return folder


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({}, []),
        ({"seconds": 2.0}, []),  # of the clock
        ({"weight": 1.0 + 2**-23}, ["state.safetensors w differs"]),
        ({"note": "b"}, ["answers/fast.npz record differs"]),
        ({"chunk": b"abd"}, ["answers/c0 differs"]),
    ],
)
def test_a_bit_that_differs_is_found_and_named(kills, tmp_path, changes, differing):
    kind = kills["Kind"]("x", {}, ("state.safetensors", "answers"))
    read = kills["read_results"]
    expected = read(store(tmp_path / "one"), kind)
    found = read(store(tmp_path / "other", **changes), kind)
    assert kills["compare"](found, expected) == differing


def test_a_file_that_is_missing_is_named(kills, tmp_path):
    kind = kills["Kind"]("x", {}, ("answers",))
    expected = kills["read_results"](store(tmp_path / "one"), kind)
    folder = store(tmp_path / "other")
    (folder / "answers" / "c0").unlink()
    found = kills["read_results"](folder, kind)
    assert kills["compare"](found, expected) == ["answers/c0 differs"]


@pytest.mark.slow
def test_a_killed_generation_ends_with_the_same_bits():
    done = run([sys.executable, SCRIPT, "--num", "1", "data_generation"])
    assert done.returncode == 0, done.stdout
    assert "| data_generation | 1 | 1 | 1 |" in done.stdout
