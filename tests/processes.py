"""Processes that end with the test that starts them, children included.

Each process of the suite inherits `MARK`, so that one that is left behind is found
even when its parents are gone.
"""

import contextlib
import os
import resource
import signal
import subprocess
import time

import psutil

MARK = "CLIP2LATENT_TEST_SUITE"


@contextlib.contextmanager
def running(command, **options):
    """Start a process in a session of its own; in the end kill all of the session."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def run(command, *, timeout=600, **options):
    """Run a command to its end; return its exit code and what it printed, as text."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with running(command, **pipes, **options) as process:
        stdout, stderr = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def left_behind(mark, *, patience=5.0):
    """Return processes with a mark that are not of this one and do not end.

    Args:
        mark: The value of `MARK` that they were started with.
        patience: Seconds that they have to end.
    """
    deadline = time.monotonic() + patience
    while (found := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _marked(mark):
    """Return the processes with a mark but for this one and what it has started."""
    here = psutil.Process()
    own = {here.pid, *(child.pid for child in here.children(recursive=True))}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_alive = process.status() != psutil.STATUS_ZOMBIE
            is_marked = is_alive and process.environ().get(MARK) == mark
            if is_marked and process.pid not in own:
                found.append(process)
    return found


@contextlib.contextmanager
def little_memory(room):
    """Let this process have so many bytes of address space more, and no more."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + room, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
