"""What a machine with torch and NumPy alone runs, tried small and on a CPU."""

import json
import sys
from pathlib import Path

import pytest
from processes import run

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu_check.py"


@pytest.mark.parametrize("section", ["sampling", "cpu"])
def test_a_section_reports_rows_that_did_not_fail(section, tmp_path):
    options = ["--device=cpu", "--size=small", f"--out={tmp_path}"]
    done = run([sys.executable, SCRIPT, *options, "--sections", section])
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "gpu_check.json").read_text())
    rows = report["sections"][section]
    assert rows
    assert not [row for row in rows if "failed" in row]
    if section == "cpu":  # with itself
        assert all(row["largest_difference"] == 0 for row in rows)
    assert f"### {section}" in (tmp_path / "gpu_check.md").read_text()


def test_a_device_that_is_not_there_is_one_sentence(tmp_path):
    done = run([sys.executable, SCRIPT, "--device=cuda:99", f"--out={tmp_path}"])
    assert done.returncode == 2
    assert "CUDA devices were found" in done.stderr
    assert "Traceback" not in done.stderr
