"""One writer at a time; the lock of a process that dies is free."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from processes import running

from clip2latent_kedro.datasets import JsonFolderDataset, locks
from clip2latent_kedro.datasets.places import open_place
from clip2latent_kedro.errors import InputError

HOLDER = """
import sys, time
from clip2latent_kedro.datasets.locks import hold
from clip2latent_kedro.datasets.places import open_place
hold(open_place(sys.argv[1]))
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


ANSWERS = """
import sys
from clip2latent_kedro.datasets import JsonFolderDataset
folder = JsonFolderDataset(filepath=sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(30):
    folder.save({f"answer{i}": {"of": [i] * 2000} for i in range(3)})
"""


@pytest.fixture(autouse=True)
def _release():
    yield
    locks.release_all()


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "new" / "pairs.zarr")
    return f"{request.getfixturevalue('s3')}/pairs.zarr"


def holding(store, seconds=60):
    command = [sys.executable, "-c", HOLDER, store, str(seconds)]
    return running(command, stdout=subprocess.PIPE, text=True)


def test_a_second_process_is_refused_until_the_first_ends(store):
    with holding(store) as process:
        assert process.stdout.readline() == "held\n"
        message = rf"one writer at a time, and has process {process.pid} on .*, since"
        for _ in range(2):
            with pytest.raises(InputError, match=message):
                locks.hold(open_place(store))
        process.send_signal(signal.SIGKILL)
        process.wait()
        locks.hold(open_place(store))  # of a killed one
        locks.hold(open_place(store))  # of this one


def test_a_lock_is_given_up_by_a_process_that_ends(store):
    with holding(store, 0) as process:
        assert process.wait() == 0
    place = open_place(store)
    remote = locks._beside(place)
    if remote.local_path is None:
        assert not remote.exists()
    locks.hold(place)


@pytest.mark.parametrize(("age", "is_free"), [(0.9, False), (1.1, True)])
def test_a_remote_lock_of_another_machine_grows_old(s3, age, is_free):
    place = open_place(f"{s3}/pairs.zarr")
    past = time.time() - age * locks.LEFT_SECONDS
    said = {"host": "elsewhere", "process": 1, "since": past, "renewed": past}
    locks._beside(place).write(json.dumps({**said, "token": "theirs"}).encode())
    if is_free:
        locks.hold(place)
    else:
        with pytest.raises(InputError, match=r"1 on elsewhere.* 15 minutes"):
            locks.hold(place)


def test_who_has_lost_a_remote_lock_writes_no_more(s3, monkeypatch):
    place = open_place(f"{s3}/pairs.zarr")
    locks.hold(place)
    said = json.loads(locks._beside(place).read())
    locks._beside(place).write(json.dumps({**said, "token": "theirs"}).encode())
    monkeypatch.setattr(locks, "RENEW_SECONDS", -1.0)
    with pytest.raises(InputError, match="one writer at a time"):
        locks.hold(place)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"process": "x"}', b"\xff"])
def test_a_damaged_remote_lock_is_none(s3, content):
    place = open_place(f"{s3}/pairs.zarr")
    locks._beside(place).write(content)
    locks.hold(place)
    assert json.loads(locks._beside(place).read())["process"] == os.getpid()


def test_folders_of_answers_are_filled_by_two_at_once(tmp_path):
    command = [sys.executable, "-c", ANSWERS, str(tmp_path / "answers")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    folder = JsonFolderDataset(filepath=str(tmp_path / "answers"))
    expected = {f"answer{i}": {"of": [i] * 2000} for i in range(3)}
    with running(command, **pipes) as first, running(command, **pipes) as second:
        for process in (first, second):
            assert process.stdout.readline() == "ready\n"
        for process in (first, second):
            process.stdin.write("go\n")
            process.stdin.flush()
        while None in (first.poll(), second.poll()):
            found = folder.load()  # never half a file
            assert found.items() <= expected.items()
        assert (first.returncode, second.returncode) == (0, 0)
    assert folder.load() == expected
    assert len(list((tmp_path / "answers").iterdir())) == 3
