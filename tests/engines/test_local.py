import multiprocessing
import os

import pytest
import torch
from engines import work

from clip2latent_kedro.engines import (
    EngineConfig,
    EngineOverrides,
    Engines,
    StepEngines,
)
from clip2latent_kedro.engines.local import LocalEngine
from clip2latent_kedro.errors import InputError


def local(workers=None, **settings):
    return LocalEngine("cpu", EngineConfig(workers=workers, **settings))


def test_one_worker_is_this_process_with_the_threads_that_are_asked_for():
    before = torch.get_num_threads()
    engine = local(threads=1)
    assert engine.is_here
    results = list(engine.run(work.prepare, work.tell, ["a", "b"]))
    pid = os.getpid()
    assert results == [(0, ("a", "cpu", 1, pid)), (1, ("b", "cpu", 1, pid))]
    assert torch.get_num_threads() == before


def test_workers_are_other_processes_that_prepare_once():
    results = dict(local(2, threads=1).run(work.prepare, work.tell, range(8)))
    assert [results[number][0] for number in range(8)] == list(range(8))
    assert {result[1:3] for result in results.values()} == {("cpu", 1)}
    pids = {result[3] for result in results.values()}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert not multiprocessing.active_children()


def test_results_come_as_they_are_done():
    numbers = [n for n, _ in local(2).run(work.prepare, work.slow_first, range(5))]
    assert sorted(numbers) == list(range(5))
    assert numbers[0] != 0


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_call_raises_is_raised(workers):
    with pytest.raises(InputError, match=r"case must not be 3\. Take another\."):
        list(local(workers).run(work.prepare, work.refuse, [3, 3, 3]))
    assert not multiprocessing.active_children()


def test_what_prepare_raises_in_a_worker_is_raised():
    with pytest.raises(InputError, match="cpu is not there"):
        list(local(2).run(work.refuse_device, work.add, [1, 2]))


def test_an_error_that_cannot_travel_is_told():
    with pytest.raises(RuntimeError, match="UnreadableError"):
        list(local(2).run(work.prepare, work.raise_unreadable, [1]))


def test_the_case_of_a_worker_that_dies_is_begun_again(tmp_path, caplog):
    mark = tmp_path / "mark"
    mark.touch()
    cases = [(number, mark if number == 2 else None) for number in range(6)]
    results = dict(local(2).run(work.prepare, work.die_once, cases))
    assert results == {number: number for number in range(6)}
    assert "A worker has died" in caplog.text


def test_a_case_that_kills_every_worker_ends_the_run():
    engine = local(2, max_restarts=1)
    with pytest.raises(InputError, match="2 workers died at the same work, and max_re"):
        list(engine.run(work.prepare, work.die, [1, 2, 3]))
    assert not multiprocessing.active_children()


def test_large_cases_and_large_results_do_not_wait_for_each_other():
    cases = [torch.full((1_000_000,), float(number)) for number in range(6)]
    results = dict(local(2).run(work.prepare, work.make_large, cases))
    assert [float(results[number][0]) for number in range(6)] == list(range(6))


def test_a_run_that_nobody_waits_for_ends_its_workers():
    results = local(2).run(work.prepare, work.add, range(100))
    next(results)
    results.close()
    assert not multiprocessing.active_children()


def test_work_that_cannot_travel_is_told():
    with pytest.raises(InputError, match=r"must be what pickle can write.*workers: 1"):
        list(local(2).run(lambda device: device, work.add, [1, 2]))


def test_a_step_has_its_own_engine_over_that_of_the_run():
    engines = Engines(
        "cpu",
        EngineConfig(workers=2),
        StepEngines(studies=EngineOverrides(workers=3)),
    )
    assert engines.of("studies").num_workers == 3
    assert engines.of("training").num_workers == 2
    assert engines.device == "cpu"
