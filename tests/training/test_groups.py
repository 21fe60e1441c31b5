"""Which group a step has, and what is refused."""

import pytest
import torch

from clip2latent_kedro.engines import (
    EngineConfig,
    EngineOverrides,
    Engines,
    StepEngines,
)
from clip2latent_kedro.engines.groups import AloneGroup, choose_group
from clip2latent_kedro.engines.launched import LaunchedGroup
from clip2latent_kedro.engines.spawned import SpawnedGroup
from clip2latent_kedro.errors import InputError


def make_engines(device="cpu", training=None, **config):
    steps = StepEngines(training=training or EngineOverrides())
    return Engines(device, EngineConfig(**config), steps)


@pytest.fixture
def launched(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "4")


def test_the_default_is_this_process_alone():
    group = choose_group(make_engines(threads=3), "training")
    assert (group, group.size) == (AloneGroup("cpu", 3), 1)
    before = torch.get_num_threads()
    works = [lambda seat, start, report: iter([(seat, start)])] * 2
    ((seat, start),) = group.run(*works, "a state", print)
    assert (seat.device, seat.rank, seat.size, start) == ("cpu", 0, 1, "a state")
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


def test_workers_are_those_of_the_step():
    engines = make_engines(workers=3, training=EngineOverrides(workers=2))
    group = choose_group(engines, "training")
    assert isinstance(group, SpawnedGroup)
    assert (group.size, group.device) == (2, "cpu")


def test_more_workers_than_gpus_are_refused():
    num = torch.cuda.device_count()
    with pytest.raises(InputError, match=f"at most the {num} GPUs .*got {num + 2}"):
        SpawnedGroup("cuda", EngineConfig(workers=num + 2))


def test_under_torchrun_workers_are_those_of_torchrun(launched):
    group = choose_group(make_engines(), "training")
    assert isinstance(group, LaunchedGroup)
    assert group.size == choose_group(make_engines(workers=4), "training").size == 4


@pytest.mark.parametrize("config", [{"workers": 2}, {"engine": "ray"}])
def test_others_are_refused_under_torchrun(config, launched):
    message = "Under torchrun the training has its 4 workers, got engine .* Leave"
    with pytest.raises(InputError, match=message):
        choose_group(make_engines(**config), "training")
