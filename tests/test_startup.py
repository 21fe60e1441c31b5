"""What commands import: no module that takes long and that they do not use."""

import json
import sys
from pathlib import Path

import pytest
from api.test_sources import make_checkpoint
from processes import run

from clip2latent_kedro.prior.checkpoint import write_checkpoint

# No command needs these before it trains, charts, logs, fetches or shows something.
NEVER = {
    *("dalle2_pytorch", "IPython", "matplotlib", "open_clip", "scipy", "sklearn"),
    *("sympy", "timm", "torch._dynamo", "torchvision", "wandb"),
}
# What lists and explains needs none of the science either.
NO_SCIENCE = NEVER | {"pandas", "PIL", "torch", "zarr", "clip2latent_kedro.parameters"}
# Who only loads models takes no run of Kedro's, and no tables.
NO_RUN = NEVER | {"kedro.framework.session", "kedro_viz", "pandas", "pyarrow", "zarr"}

COMMANDS = [
    ("registry", "list"),
    ("run", "--help"),
    ("draw", "--help"),
    ("compare-scores", "--help"),
]
WITHOUT_SCIENCE = f"""
import sys
from pathlib import Path
from kedro.framework.cli.cli import KedroCLI
for command in {COMMANDS}:
    KedroCLI(Path.cwd()).main(command, standalone_mode=False)
"""
FIRST_PICTURES = """
import sys
from clip2latent_kedro import Clip2StyleGAN
images, _ = Clip2StyleGAN(env="test", device="cpu")(["a man, smiling"])
assert images.shape == (1, 3, 64, 64)
"""
INFERENCE = """
import sys
from clip2latent_kedro.__main__ import main
try:
    main(["--env=test", "--pipeline=inference"])
except SystemExit as ended:
    assert not ended.code
"""


@pytest.fixture
def prior(project_path):
    """An untrained prior where a training leaves its own."""
    name = "prior.safetensors"
    path = Path("data/test", name, "2020-01-01T00.00.00.000Z", name)
    path.parent.mkdir(parents=True)
    write_checkpoint(path, make_checkpoint())


def find_imported(code):
    """Run code in a process of its own; return the modules that it has imported."""
    told = "\nimport json\nprint('\\n' + json.dumps(list(sys.modules)))"
    done = run([sys.executable, "-c", code + told])
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_listing_and_explaining_import_no_science(project_path):
    found = find_imported(WITHOUT_SCIENCE)
    assert "clip2latent_kedro.cli.running" in found
    assert found.isdisjoint(NO_SCIENCE), sorted(found & NO_SCIENCE)
    assert not [
        name for name in found if name.startswith("clip2latent_kedro.pipelines.")
    ]


@pytest.mark.usefixtures("prior")
def test_the_api_imports_what_draws():
    found = find_imported(FIRST_PICTURES)
    assert "torch" in found
    assert found.isdisjoint(NO_RUN), sorted(found & NO_RUN)


@pytest.mark.usefixtures("prior")
def test_a_run_imports_its_own_pipeline_alone():
    found = find_imported(INFERENCE)
    assert found.isdisjoint(NEVER), sorted(found & NEVER)
    start = "clip2latent_kedro.pipelines."
    others = {name.removeprefix(start) for name in found if name.startswith(start)}
    shared = {"editing_models", "wiring"}
    assert {name.partition(".")[0] for name in others} == {"inference", *shared}
