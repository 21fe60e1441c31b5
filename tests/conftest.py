"""Fixtures and defaults for all tests."""

import os
import shutil
from pathlib import Path

# Before torch is imported: many small tests are faster on one thread, and equal.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("KEDRO_DISABLE_TELEMETRY", "1")

import pytest

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(config, items):
    """Leave out what the default run must not need; `-m` asks for it."""
    import torch

    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        for name in ("slow", "network"):
            if item.get_closest_marker(name) and not config.option.markexpr:
                item.add_marker(pytest.mark.skip(reason=f"asked for with -m {name}"))


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
    portraits = Path("src/clip2latent_kedro/portraits")
    (tmp_path / portraits).mkdir(parents=True)
    (tmp_path / portraits / "weights").symlink_to(ROOT / portraits / "weights")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(project_path):
    """A copy of the project that `kedro` finds its source in."""
    package = project_path / "src" / "clip2latent_kedro"
    for path in (ROOT / "src" / "clip2latent_kedro").iterdir():
        if path.name not in ("portraits", "__pycache__"):
            (package / path.name).symlink_to(path)
    for path in (ROOT / "src" / "clip2latent_kedro" / "portraits").iterdir():
        if path.name not in ("weights", "__pycache__"):
            (package / "portraits" / path.name).symlink_to(path)
    return project_path
