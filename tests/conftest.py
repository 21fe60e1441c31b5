"""Fixtures and defaults for all tests."""

import functools
import os
import shutil
import time
from pathlib import Path

# Before torch is imported: many small tests are faster on one thread, and equal.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# With more, threads that wait must leave the processor to those of other workers.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("KEDRO_DISABLE_TELEMETRY", "1")

import pytest
from processes import MARK, left_behind

if "PYTEST_XDIST_WORKER" not in os.environ:  # the workers are of the same suite
    os.environ[MARK] = f"{os.getpid()} {time.time()}"

pytest_plugins = ["browser", "object_store"]
ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(config, items):
    """Leave out what the default run must not need; `-m` asks for it."""
    for item in items:
        if item.get_closest_marker("gpu") and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        for name in ("slow", "network"):
            if item.get_closest_marker(name) and not config.option.markexpr:
                item.add_marker(pytest.mark.skip(reason=f"asked for with -m {name}"))


@functools.cache
def _has_cuda():
    import torch

    return torch.cuda.is_available()


@pytest.hookimpl(trylast=True)  # when the workers have ended
def pytest_sessionfinish(session):
    """Fail, and end them, if processes that a test has started still run."""
    if hasattr(session.config, "workerinput"):
        return
    for process in left_behind(os.environ[MARK]):
        said = f"Left behind: process {process.pid}, {' '.join(process.cmdline())}"
        session.config.get_terminal_writer().line(f"\n{said}", red=True)
        process.kill()
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def _nothing_in_the_home_folder(tmp_path_factory):
    """Have Weights & Biases keep its files with the tests' own."""
    folder = tmp_path_factory.mktemp("wandb")
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        os.environ[name] = str(folder)


@pytest.fixture
def clock(monkeypatch):
    """The time that trainings are measured by; it passes where `now` is raised."""
    from types import SimpleNamespace

    from clip2latent_kedro import runtime

    clock = SimpleNamespace(now=0.0)
    reader = SimpleNamespace(perf_counter=lambda: clock.now)
    monkeypatch.setattr(runtime, "time", reader)
    return clock


@pytest.fixture
def project_path(tmp_path, monkeypatch):
    """A copy of the project, as the working directory; data are written there."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, tmp_path)
    package = Path("src/clip2latent_kedro")
    (tmp_path / package.parent).mkdir()
    (tmp_path / package).symlink_to(ROOT / package)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kedro_run(project_path):
    """`kedro run` of the project's pipelines, within this process."""
    from click.testing import CliRunner
    from kedro.framework.project import configure_project

    from clip2latent_kedro.cli import run

    configure_project("clip2latent_kedro")
    return lambda *arguments: CliRunner().invoke(run, arguments, prog_name="run")
