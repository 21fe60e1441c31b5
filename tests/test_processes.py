"""No process outlives the test that starts it, nor the suite."""

import contextlib
import os
import re
import shutil
import sys
from pathlib import Path

import psutil
import pytest
from processes import MARK, left_behind, run, running

# Starts a child, and sleeps or ends. The child says its number once it runs, since its
# environment cannot be read before, and sleeps.
CHILD = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {child!r}])
time.sleep({seconds})
"""


def start(seconds):
    options = {"stdout": -1, "text": True, "env": {**os.environ, MARK: "of this test"}}
    program = PARENT.format(child=CHILD, seconds=seconds)
    return running([sys.executable, "-c", program], **options)


@pytest.mark.parametrize("seconds", [0, 600])
def test_children_end_with_a_test_that_is_interrupted(seconds):
    """Whether their parent still runs or has gone before them."""
    with pytest.raises(KeyboardInterrupt), start(seconds) as process:  # noqa: PT012
        assert int(process.stdout.readline())  # the child runs
        if not seconds:
            process.wait()
        raise KeyboardInterrupt
    assert left_behind("of this test") == []


LEAKY = """
import subprocess
import sys


def test_that_leaves_a_process_behind():
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    process = subprocess.Popen(command, start_new_session=True)
    process.returncode = 0  # so that nobody minds

"""


def test_a_suite_that_leaves_a_process_behind_fails(tmp_path):
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    for file in ("conftest.py", "browser.py", "object_store.py", "processes.py"):
        shutil.copy(Path(__file__).parent / file, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    command = [sys.executable, "-m", "pytest", "-n", "1", "-p", "no:cacheprovider"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    found = run(command, cwd=tmp_path, env=environment)
    assert "1 passed" in found.stdout
    assert found.returncode == 1
    (number,) = re.findall(r"Left behind: process (\d+)", found.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):  # it may be a zombie for a while
        assert psutil.Process(int(number)).status() == psutil.STATUS_ZOMBIE
