"""The package as a wheel, used from a folder that is no checkout of it."""

import os
import shutil
import sys
import zipfile
from pathlib import Path

import processes

ROOT = Path(__file__).parents[1]
WEIGHTS = Path("clip2latent_kedro/worlds/portraits/weights")
PAGE = Path("clip2latent_kedro/study/page")
SCRIPT = """
import clip2latent_kedro
from clip2latent_kedro.__main__ import main

print("The package is", clip2latent_kedro.__file__)
main(["--env=test", "--pipeline=models"])
"""


def test_a_wheel_brings_its_models_and_finds_them(tmp_path):
    """They are next to its modules, and no part of the folder that it is used in."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d"]
    built = processes.run([*build, str(tmp_path / "built")], cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "built").glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    shipped = {path.name for path in (ROOT / "src" / WEIGHTS).iterdir()}
    assert {path.name for path in (installed / WEIGHTS).iterdir()} == shipped
    assert {path.suffix for path in (installed / PAGE).iterdir()} == {
        ".py",
        ".css",
        ".js",
    }

    used = tmp_path / "used"
    shutil.copytree(ROOT / "conf", used / "conf")
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    run = processes.run([sys.executable, "-c", SCRIPT], cwd=used, env=environment)
    assert run.returncode == 0, run.stderr
    assert f"The package is {installed}" in run.stdout
    copy = used / "data/test/models/generator.safetensors"
    original = installed / WEIGHTS / "generator.safetensors"
    assert copy.read_bytes() == original.read_bytes()
