"""The commands that the README promises, in processes of their own."""

import json
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import processes
from projects import kedro, latest
from safetensors import safe_open


def _content(path):
    """Return metadata, but for the time that it took, and tensors by name."""
    with safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["header"])
        del header["seconds"]
        names = file.keys()  # not a dictionary
        return {"header": header, **{name: file.get_tensor(name) for name in names}}


def test_the_default_run_leaves_pictures_and_a_table(project_path):
    made_at = partial(latest, project_path / "data/test")
    run = kedro("run", "--env=test", umask=0o027)
    assert run.returncode == 0, run.stderr
    assert "Results:" in run.stdout
    made = [path for path in (project_path / "data").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in made} == {0o640}

    scores = pd.read_csv(made_at("scores.csv")).set_index("method")
    rows = {"random_w", "reference", "generator_bound", "nearest_pair"}
    assert {*rows, "clip2latent_fast", "clip2latent_one_step"} <= set(scores.index)
    assert scores.accuracy["reference"] > scores.accuracy["random_w"] + 0.3
    assert scores.accuracy["generator_bound"] > scores.accuracy["random_w"] + 0.3
    assert scores.clip_score["reference"] > scores.clip_score["random_w"] + 0.1
    gap = pd.read_csv(made_at("modality_gap.csv")).set_index("bridge")
    assert gap.mean_distance["mean shift"] < gap.mean_distance["none"]
    with np.load(project_path / "data/test/answers/clip2latent_fast.npz") as answers:
        assert answers["images"].shape[2:] == (64, 64, 3)
    assert made_at("samples.png").stat().st_size > 1000
    assert "<table" in made_at("report.html").read_text()
    assert made_at("scores.png").stat().st_size > 1000
    assert "Published figures" in made_at("scores.md").read_text()

    sweep = kedro("run", "--env=test", "--pipeline=sweep")
    assert sweep.returncode == 0, sweep.stderr
    tried = pd.read_csv(made_at("sweep/scores.csv"))
    assert tried.accuracy.notna().sum() == tried.problem.isna().sum() > 8
    best = json.loads((project_path / "data/test/sweep/best.json").read_text())
    assert best["variant"] in best["contenders"]["blended"]

    again = kedro("run", "--env=test", "-p", "training", "--params=data.bs:32")
    assert again.returncode == 0, again.stderr
    assert len(list((project_path / "data/test/prior.safetensors").iterdir())) == 2


def test_a_killed_run_goes_on_to_the_same_bits(project_path):
    assert kedro("run", "--env=test", "-p", "data_generation").returncode == 0
    train = ["run", "--env=test", "-p", "training", "--params=train.max_it:400"]
    checkpoint = project_path / "data/test/prior_checkpoint.safetensors"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with processes.running([sys.executable, "-m", "kedro", *train], **quiet):
        deadline = time.monotonic() + 120
        while not checkpoint.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert kedro(*train).returncode == 0
    resumed = _content(checkpoint)

    checkpoint.unlink()
    assert kedro(*train).returncode == 0
    uninterrupted = _content(checkpoint)
    assert resumed.keys() == uninterrupted.keys()
    for name, value in uninterrupted.items():
        assert np.array_equal(resumed[name], value), name


def test_the_models_of_the_domain_are_trained_from_nothing(project_path):
    run = kedro("run", "--env=test", "--pipeline=portraits")
    assert run.returncode == 0, run.stderr
    made = project_path / "data/test/portraits"
    quality = json.loads((made / "quality.json").read_text())
    timed = {"judge", "clip", "generator", "clip_held_out", "vae"}
    assert set(quality["training_seconds"]) == timed
    for name in ("vae_quality", "clip_held_out_quality"):  # equal for equal weights
        assert "seconds" not in (made / f"{name}.json").read_text()
    assert "Share of attributes" in (made / "README.md").read_text()
    for name in ("judge", "clip", "generator"):
        assert (made / f"{name}.safetensors").stat().st_size > 10_000
    prompts = pd.read_csv(made / "prompts.csv", keep_default_na=False)
    assert list(prompts.columns[:2]) == ["prompt", "gender"]
    bank = pd.read_csv(made / "prompt_bank.csv", keep_default_na=False)
    assert list(bank.columns) == list(prompts.columns)
    assert len(bank) == 24
    assert not set(bank.prompt) & set(prompts.prompt)
    with np.load(made / "reference_z.npz") as references:
        assert references["z"].shape[:2] == (4, 2)
