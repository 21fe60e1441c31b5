import os
import subprocess
import sys

import pytest
from engines import work

from clip2latent_kedro.engines import EngineConfig, RayConfig
from clip2latent_kedro.engines.ray_cluster import RayEngine, connect, share_cluster
from clip2latent_kedro.errors import InputError


def config(workers=None, threads=None, **ray):
    return EngineConfig("ray", workers, threads, ray=RayConfig(**ray))


@pytest.fixture(scope="module", autouse=True)
def cluster():
    pytest.importorskip("ray")
    with connect(EngineConfig("ray", workers=2)):
        yield


def test_workers_prepare_once_with_their_threads():
    engine = RayEngine("cpu", config(2, threads=1))
    results = dict(engine.run(work.prepare, work.tell, list(range(6))))
    assert [results[number][0] for number in range(6)] == list(range(6))
    assert {result[1:3] for result in results.values()} == {("cpu", 1)}
    pids = {result[3] for result in results.values()}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_a_refusal_of_a_worker_is_the_same_refusal():
    with pytest.raises(InputError, match=r"^case must not be 3. Take another.$"):
        list(RayEngine("cpu", config(2)).run(work.prepare, work.refuse, [3, 3]))
    with pytest.raises(InputError, match=r"^cpu is not there. Take another.$"):
        list(RayEngine("cpu", config(1)).run(work.refuse_device, work.add, [3, 3]))


def test_a_dead_worker_is_replaced(tmp_path, caplog):
    mark = tmp_path / "mark"
    mark.touch()
    cases = [(number, mark if number == 2 else None) for number in range(6)]
    engine = RayEngine("cpu", config(2))
    results = dict(engine.run(work.prepare, work.die_once, cases))
    assert results == {number: number for number in range(6)}
    assert "A worker has died" in caplog.text


def test_more_than_the_cluster_has_is_refused():
    engine = RayEngine("cpu", config(3, cpus_per_worker=1))
    with pytest.raises(InputError, match=r"must have 3 x 1 cores.*got 2 and 0"):
        list(engine.run(work.prepare, work.add, [1]))


@pytest.mark.parametrize(
    ("resources", "asked", "given", "expected"),
    [
        ({"CPU": 16.0, "GPU": 8.0}, "auto", config(), (8, 2, 1.0, 2)),
        ({"CPU": 16.0, "GPU": 8.0}, "cpu", config(), (16, 1, 0.0, 1)),
        ({"CPU": 16.0}, "auto", config(), (16, 1, 0.0, 1)),
        ({"CPU": 16.0}, "auto", config(cpus_per_worker=4), (4, 4, 0.0, 4)),
        ({"CPU": 16.0}, "auto", config(2, threads=1), (2, 8, 0.0, 1)),
        ({"CPU": 4.0, "GPU": 1.0}, "auto", config(gpus_per_worker=0.5), (2, 2, 0.5, 2)),
    ],
)
def test_each_worker_has_its_share(resources, asked, given, expected):
    share = share_cluster(resources, asked, given)
    assert (share.workers, share.cpus, share.gpus, share.threads) == expected


def test_no_cluster_is_one_sentence():
    script = (
        "from clip2latent_kedro.engines import EngineConfig, RayConfig\n"
        "from clip2latent_kedro.engines.ray_cluster import RayEngine, connect\n"
        "from engines import work\n"
        "config = EngineConfig('ray', 1, ray=RayConfig(address='127.0.0.1:1'))\n"
        "try:\n"
        "    list(RayEngine('cpu', config).run(work.prepare, work.add, [1]))\n"
        "except ValueError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )
    assert done.stdout.startswith("InputError No Ray cluster was found at 127.0.0.1:1")
