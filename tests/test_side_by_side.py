import math
import os
import signal
import sys
import time
from functools import partial

import psutil
import pytest
import torch
from processes import MARK, running

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.processes import Processes, count_processes
from clip2latent_kedro.runtime import pick_device

SLEEPERS = """
import time
from clip2latent_kedro.processes import Processes
if __name__ == "__main__":
    print("begun", flush=True)
    list(Processes(2).map(time.sleep, [600, 600]))
"""


@pytest.mark.parametrize("num", [0, 1, 2])
def test_results_come_in_the_order_of_the_cases(num):
    assert list(Processes(num).map(math.sqrt, [4, 9, 16])) == [2, 3, 4]


def test_tensors_and_errors_come_back():
    processes = Processes(2)
    (tensor,) = processes.map(partial(torch.full, fill_value=2.5), [(2, 3)])
    torch.testing.assert_close(tensor, torch.full((2, 3), 2.5))
    with pytest.raises(InputError, match="got 'tpu'"):
        list(processes.map(pick_device, ["cpu", "tpu"]))
    assert list(processes.map(pick_device, ["cpu"])) == ["cpu"]


def test_a_gpu_is_not_shared():
    assert count_processes("cuda:0", 3) == 0
    assert count_processes("cpu", 3) == min(3, torch.get_num_threads())


def test_processes_end_with_one_that_is_killed(tmp_path):
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS)
    options = {"stdout": -1, "text": True, "env": {**os.environ, MARK: "sleepers"}}
    with running([sys.executable, str(script)], **options) as parent:
        parent.stdout.readline()
        children = []
        deadline = time.monotonic() + 60
        while len(children) < 3 and time.monotonic() < deadline:  # with the tracker
            time.sleep(0.1)
            children = psutil.Process(parent.pid).children(recursive=True)
        time.sleep(0.5)
        os.kill(parent.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=30)
    assert len(children) >= 2
    assert not alive
