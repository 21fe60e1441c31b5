"""The training pipeline by two processes, in each of the ways to start them."""

import sys

import pytest
from processes import run
from projects import kedro, run_pipelines

from clip2latent_kedro.prior.checkpoint import read_checkpoint

TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
CHECKPOINT = "data/test/prior_checkpoint.safetensors"


def torchrun(*arguments):
    package = ["-m", "clip2latent_kedro", "run", "--env=test", *arguments]
    return run([sys.executable, *TORCHRUN, *package])


@pytest.fixture
def history(project_path):
    """Of a training by this process alone, in a project with pairs."""
    run_pipelines("test", "data_generation")
    run_pipelines("test", "training")
    return read_checkpoint(CHECKPOINT).history


def assert_is_of_two(history):
    checkpoint = read_checkpoint(CHECKPOINT)
    assert checkpoint.settings["made_by"][0]["workers"] == 2
    assert [row.keys() for row in checkpoint.history] == [row.keys() for row in history]
    for row, alone in zip(checkpoint.history, history, strict=True):
        assert row == pytest.approx(alone, rel=1e-3, abs=1e-3)


def test_both_ways_give_the_prior_of_one_process(history, project_path):
    shared = torchrun("--pipeline=training", "--params=resume:false")
    assert shared.returncode == 0, shared.stderr
    assert shared.stdout.count("Results:") == 1
    assert_is_of_two(history)
    pictures = [*(project_path / "data/test/validation_pictures").iterdir()]
    assert len(pictures) == 3

    workers = "--params=resume:false,engines.training.workers:2"
    spawned = kedro("run", "--env=test", "--pipeline=training", workers)
    assert spawned.returncode == 0, spawned.stderr
    assert_is_of_two(history)
    assert len([*(project_path / "data/test/validation_pictures").iterdir()]) == 3


def test_other_pipelines_are_refused_under_torchrun(project_path):
    refused = torchrun("--pipeline=evaluation")
    assert refused.returncode != 0
    message = (
        "Error: Under torchrun pipeline must be one of training, distillation, got"
    )
    assert refused.stderr.count(message) == 1
    assert "clip2latent_kedro/" not in refused.stderr  # no traceback of ours
