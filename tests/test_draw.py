"""`kedro draw`, within this process and once as a program."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from api.test_sources import make_checkpoint
from click.testing import CliRunner
from PIL import Image
from projects import kedro, refusal

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.cli import cli
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.inference.png_settings import read_png_settings
from clip2latent_kedro.prior.checkpoint import write_checkpoint

LINE = re.compile(r"(-?\d\.\d{3})  (.+)  (\S+\.png)")
ODD = 'a man: "old", #1; $x, it\'s'


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("prior") / "prior.safetensors"
    write_checkpoint(path, make_checkpoint())
    return path


@pytest.fixture
def draw(project_path, checkpoint):
    """`kedro draw` with an untrained prior, in a project of its own."""

    def draw(*arguments, prior=checkpoint):
        options = ["--env=test", "--device=cpu"]
        options += [] if prior is None else [f"--prior={prior}"]
        return CliRunner().invoke(cli, ["draw", *options, *arguments])

    return draw


def lines_of(result):
    assert result.exit_code == 0, result.output
    return [LINE.fullmatch(line).groups() for line in result.output.splitlines()[:-1]]


def test_pictures_are_those_of_the_api_and_say_how_to_draw_them(draw, checkpoint):
    told = lines_of(draw("-n2", "--seed=3", "--guidance=2", ODD, "a woman"))
    model = Clip2StyleGAN(".", "cpu", checkpoint, env="test")
    assert [prompt for _, prompt, _ in told] == [ODD, ODD, "a woman", "a woman"]
    for row, prompt in enumerate((ODD, "a woman")):
        images, scores = model([prompt], 2, seed=3, cond_scale=2.0)
        for index in range(2):
            score, _, path = told[2 * row + index]
            assert float(score) == pytest.approx(float(scores[index]), abs=6e-4)
            picture = np.asarray(Image.open(path)).astype(int)
            expected = image_to_uint8(images[index]).astype(int)
            assert np.abs(picture - expected).max() <= 1
            settings = read_png_settings(Path(path).read_bytes())
            assert settings["prompt"] == prompt
            assert (settings["image"], settings["seed"]) == (index, 3)
            assert settings["sampling"]["guidance_scale"] == 2.0
    assert Path("data/drawn/0001_grid.png").is_file()


def test_nothing_is_overwritten(draw, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "0002_theirs.png").write_text("theirs")
    names = []
    for _ in range(3):
        _, _, path = lines_of(draw("-n1", "a man", f"--out={folder}"))[0]
        names.append(Path(path).name)
    assert names == [f"000{number}_a_man_1.png" for number in (1, 3, 4)]
    assert (folder / "0002_theirs.png").read_text() == "theirs"


def test_prompts_of_one_name_have_files_of_their_own(draw):
    told = lines_of(draw("-n1", "a man", "A man!", "Привет", "日本"))
    names = [Path(path).name for *_, path in told]
    assert names == [
        *("0001_a_man_1.png", "0001_a_man_2.png"),
        *("0001_picture_1.png", "0001_picture_2.png"),
    ]


def test_the_best_are_kept_and_come_first(draw):
    scores = [float(score) for score, *_ in lines_of(draw("-n6", "a man"))]
    best = [float(score) for score, *_ in lines_of(draw("-n2", "--best-of=3", "a man"))]
    assert best == sorted(scores, reverse=True)[:2]


def test_other_settings_reach_the_model(draw):
    options = ["--psi=0.5", "--steps=2", "--negative=a woman", "--edit=smile"]
    told = lines_of(draw("-n1", *options, "--strength=0", "--", "-a man-"))
    ((_, prompt, path),) = told
    assert prompt == "-a man-"
    settings = read_png_settings(Path(path).read_bytes())
    sampling = settings["sampling"]
    assert (sampling["truncation"], sampling["psi"]) == ("fixed", 0.5)
    assert sampling["num_steps"] == 2
    assert settings["negative"] == "a woman"
    assert settings["edits"] == [{"target": "smile", "strength": 0}]
    json.dumps(settings)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ([" "], "A prompt must have at least one word, got ' '"),
        (["a", "--negative="], "A negative prompt must have at least one word"),
        (["a", "--guidance=-1"], "guidance_scale must be .* got -1"),
        (["a", "--guidance=nan"], "guidance_scale must be .* got NaN"),
        (["a", "--psi=-0.5"], "psi must be .* got -0.5"),
        (["a", "-n5000"], "At most 4096 pictures .* got 5000"),
        (["a", "-n0"], "0 is not in the range"),
        (["a", "--strength=1"], "--strength needs an --edit, got none"),
        (["a", "--out=pyproject.toml"], "--out must be a folder, got pyproject.toml"),
        (["a", "--out=pyproject.toml/x"], "--out must be a folder, got pyproject"),
        ([], "Missing argument 'PROMPTS...'"),
        (["word " * 100], "A prompt must fit the 48 tokens"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, arguments, match):
    assert re.search(match, refusal(draw(*arguments)))
    assert not [*Path().glob("data/drawn/*")]


def test_without_a_prior_the_command_that_makes_it_is_named(draw):
    told = refusal(draw("a man", prior=None))
    assert "Run the pipeline training first" in told
    assert "`kedro run --env=test` makes all that is missing." in told
    told = refusal(draw("a man", prior="no_such"))
    assert "checkpoint must be a catalog entry, a file or an address" in told


def test_an_unknown_environment_is_named(project_path):
    result = CliRunner().invoke(cli, ["draw", "a", "--env=tset"])
    assert "env must be one of " in refusal(result)


def test_without_a_project_that_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = refusal(CliRunner().invoke(cli, ["draw", "a"]))
    assert told.startswith("Error: kedro draw must be called within a project")


def test_the_command_draws_from_a_folder_of_the_project(project_path, checkpoint):
    below = project_path / "notes"
    below.mkdir()
    given = ["-n1", f"--prior={checkpoint}", "--env=test", "a man, smiling"]
    told = kedro("draw", *given, cwd=below)
    assert "shows all of them" in told.stdout
    assert (project_path / "data/drawn/0001_a_man_smiling_1.png").is_file()
    assert torch.is_grad_enabled()
