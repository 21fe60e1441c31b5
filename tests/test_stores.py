"""A whole run with everything that it makes on S3, and two runs at once."""

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from object_store import environment
from processes import run, running

from clip2latent_kedro.datasets.locks import release_all

PIPELINES = ("data_generation", "training", "evaluation")


@pytest.fixture
def elsewhere(project_path, s3):
    """A project whose environment `test` keeps all that it makes in a bucket."""
    path = project_path / "conf" / "test" / "globals.yml"
    settings = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**settings, "data_root": f"{s3}/data"}))
    return f"{s3}/data"


def command(*arguments):
    return [sys.executable, "-m", "kedro", "run", "--env=test", *arguments]


@pytest.mark.slow
def test_a_run_keeps_everything_on_s3_and_goes_on_there(
    elsewhere, project_path, kedro_run
):
    import s3fs

    for name in PIPELINES:
        result = kedro_run("--env=test", f"--pipeline={name}")
        assert result.exit_code == 0, result.output[-3000:]
    release_all()  # as the end of the process does
    store = s3fs.S3FileSystem(use_listings_cache=False)
    root = elsewhere.removeprefix("s3://")
    found = {path.removeprefix(f"{root}/").split("/")[0] for path in store.find(root)}
    assert found >= {
        "training_pairs.zarr",
        "prior_checkpoint.safetensors",
        "prior.safetensors",
        "validation_pictures",
        "answers",
        "scores.csv",
    }
    assert not [path for path in store.find(root) if path.endswith(".lock")]
    assert not (project_path / "data" / "test").exists()
    assert not (project_path / "s3:").exists()

    # What is there is not made again.
    def changed(part):
        listed = store.find(f"{root}/{part}", detail=True)
        return {path: entry["LastModified"] for path, entry in listed.items()}

    before = {part: changed(part) for part in ("training_pairs.zarr", "answers")}
    for name in ("data_generation", "evaluation"):
        assert kedro_run("--env=test", f"--pipeline={name}").exit_code == 0
    release_all()
    assert {part: changed(part) for part in before} == before


@pytest.mark.slow
def test_a_second_training_is_refused_and_a_killed_one_leaves_the_way_free(
    project_path,
):
    assert run(command("--pipeline=data_generation")).returncode == 0
    training = command("--pipeline=training", "--params=train.max_it:100000")
    checkpoint = project_path / "data" / "test" / "prior_checkpoint.safetensors"
    with running(training, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as first:
        deadline = time.monotonic() + 120
        while not checkpoint.exists():
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        second = run(training)
        assert second.returncode == 2
        assert "Traceback" not in second.stderr
        assert f"one writer at a time, and has process {first.pid} on" in second.stderr
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert checkpoint.exists()
    assert run(command("--pipeline=training", "--params=resume:false")).returncode == 0


def test_a_store_that_cannot_be_reached_is_one_sentence(elsewhere, monkeypatch):
    for name, value in environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = run(command("--pipeline=data_generation"))
    assert result.returncode == 2, result.stderr[-3000:]
    assert "Traceback" not in result.stderr
    assert "Look after its address, the credentials" in result.stderr
