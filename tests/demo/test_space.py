"""The folder of a Space: what is in it, what is refused, and that it runs alone."""

import os
import shutil
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import processes
import pytest
import torch
import yaml
from click.testing import CliRunner

pytest.importorskip("gradio", reason="needs Gradio: uv sync --extra demo")

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.demo.command import demo
from clip2latent_kedro.demo.space import PACKAGE, export_space, list_requirements
from clip2latent_kedro.errors import InputError

EXAMPLES = ("a pirate at sea", "an old man")
ALONE = """
import sys
from pathlib import Path

needless = "kedro kedro_datasets omegaconf wandb dalle2_pytorch sklearn"
for name in needless.split():
    sys.modules[name] = None  # as if it were not installed, as in a Space

import clip2latent_kedro
from clip2latent_kedro.demo.opening import build_page, open_model

here = Path.cwd()
assert Path(clip2latent_kedro.__file__).is_relative_to(here), clip2latent_kedro.__file__
model = open_model(
    env=None, prior=None, cfg=None, model=str(here / "model"), device="cpu"
)
page = build_page(model, examples=str(here / "examples.txt"))
*_, last = page.service.draw("one", page.service.defaults)
print(last.drawing.scores)
print(dict(page.service.edits.names))
"""


@pytest.fixture(scope="module")
def model(portraits):
    """The portraits with the weights of the prior in their checkpoint."""
    loaded = portraits.editor.loaded
    ema = loaded.prior.network.state_dict()
    checkpoint = replace(loaded.checkpoint, ema=ema)
    return Clip2StyleGAN(replace(loaded, checkpoint=checkpoint), "cpu")


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("space") / "new" / "space"
    assert export_space(folder, model, EXAMPLES) == []
    return folder


def changed(portraits, **changes):
    """Return the model with another reference of its generator."""
    loaded = portraits.editor.loaded
    generator, encoder = loaded.references
    other = replace(generator, **changes)
    return Clip2StyleGAN(replace(loaded, references=(other, encoder)), "cpu")


def test_the_header_is_as_hugging_face_reads_it(exported):
    _, front, words = (exported / "README.md").read_text().split("---\n", 2)
    header = yaml.safe_load(front)
    assert header["sdk"] == "gradio"
    assert header["sdk_version"] == version("gradio")
    assert (exported / header["app_file"]).is_file()
    assert header["license"] == "mit"
    assert header["title"]
    assert len(header["short_description"]) <= 60
    assert "MIT, as the project" in words
    assert "Permission is hereby granted" in (exported / "LICENSE").read_text()


def test_what_is_needed_is_named_with_the_bounds_of_the_project(exported):
    lines = (exported / "requirements.txt").read_text().splitlines()
    assert lines == list_requirements()
    assert "torch>=2.11" in lines
    assert "gradio>=6,<7" in lines
    assert not any("kedro" in line for line in lines)


def test_the_model_draws_what_it_drew(exported, model):
    copy = Clip2StyleGAN.from_pretrained(exported / "model", "cpu")
    found, expected = copy("a man", 2), model("a man", 2)
    assert torch.equal(found[0], expected[0])
    loaded, original = copy.editor.loaded, model.editor.loaded
    assert loaded.targets == original.targets
    assert loaded.neutral == original.neutral


def test_it_runs_from_there_alone(exported, tmp_path):
    folder = tmp_path / "elsewhere"
    shutil.copytree(exported, folder)
    environment = {**os.environ, "PYTHONSAFEPATH": "", "PYTHONPATH": str(folder)}
    run = processes.run([sys.executable, "-c", ALONE], cwd=folder, env=environment)
    assert run.returncode == 0, run.stderr
    assert "'prior': ['smile', 'age']" in run.stdout


def test_an_earlier_export_is_replaced_and_the_rest_stays(portraits, exported):
    (exported / ".gitattributes").write_text("mine")
    (exported / "model" / "old.txt").write_text("old")
    export_space(exported, portraits, ["another prompt"])
    assert (exported / "examples.txt").read_text() == "another prompt\n"
    assert (exported / ".gitattributes").read_text() == "mine"
    assert not (exported / "model" / "old.txt").exists()
    assert not (exported / PACKAGE.name / "worlds/portraits/weights").exists()
    assert [path.name for path in exported.parent.iterdir()] == [exported.name]


@pytest.mark.parametrize("name", ["notes.txt", "app.py", ".env"])
def test_what_is_somebodys_is_not_replaced(portraits, tmp_path, name):
    (tmp_path / name).write_text("print('mine')")
    with pytest.raises(InputError, match="new, empty or of an earlier export, got"):
        export_space(tmp_path, portraits, EXAMPLES)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_is_no_folder(portraits, tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(InputError, match="must name a folder, got the file"):
        export_space(path, portraits, EXAMPLES)


def test_a_file_of_unknown_licence_is_copied_if_one_says_so(portraits, tmp_path):
    path = tmp_path / "g.safetensors"
    shutil.copyfile(portraits.editor.loaded.references[0].filepath, path)
    model = changed(portraits, filepath=str(path))
    with pytest.raises(InputError, match=r"g\.safetensors.*Add --include generator"):
        export_space(tmp_path / "space", model, EXAMPLES)
    assert not (tmp_path / "space").exists()
    export_space(tmp_path / "space", model, EXAMPLES, include=["generator"])
    assert (tmp_path / "space/model/generator/g.safetensors").is_file()
    front = (tmp_path / "space/README.md").read_text()
    assert "license: other" in front
    assert "of its owners: see where it was published" in front


def test_what_is_elsewhere_is_named_and_its_licence_told(portraits, tmp_path):
    address = "https://example.org/ffhq.pkl"
    terms = "NVIDIA, non-commercial, https://example.org/licence"
    model = changed(portraits, filepath=address, licence=terms)
    told = export_space(tmp_path / "space", model, EXAMPLES)
    assert told == [
        f"The generator is not in the folder: {address}. Its licence: {terms}."
    ]
    assert not (tmp_path / "space/model/generator").exists()
    assert terms in (tmp_path / "space/README.md").read_text()


def test_the_command_refuses_in_a_sentence():
    found = CliRunner().invoke(demo, ["--include", "generator"])
    assert found.exit_code == 2
    assert found.output.strip() == (
        "Error: --include needs --export-space, got none. Leave it out, or add a "
        "folder."
    )


def test_a_folder_that_cannot_be_written_is_told(portraits, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        export_space(tmp_path / "file" / "space", portraits, EXAMPLES)


def test_the_program_names_what_is_beside_it(exported):
    text = (exported / "app.py").read_text()
    compile(text, "app.py", "exec")
    assert Path(exported / "model").is_dir()
    assert "HERE / 'model'" in text
