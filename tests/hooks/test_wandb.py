"""Runs that are logged offline, and read back from the file."""

import json
import os
import sys
import types

import numpy as np
import pandas as pd
import processes
import pytest
import torch
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset
from offline_run import read_artifacts, read_config, read_history, read_summary
from prior.toy import train

from clip2latent_kedro.datasets import (
    CheckpointDataset,
    PriorDataset,
    ValidationPicturesDataset,
    WeightsDataset,
)
from clip2latent_kedro.hooks import WandbHooks
from clip2latent_kedro.inference import LabelledPicture
from clip2latent_kedro.pipelines.training.nodes import (
    collect_history,
    export_priors,
    plot_history,
)
from clip2latent_kedro.prior.training import Validation
from clip2latent_kedro.study.validation import (
    ValidationPictures,
    validated_steps,
)


def make_stream(stop_at, resume, **changes):
    """Return a node's function that trains the toy prior, and may be killed."""

    def stream(progress):
        pictures = {}

        def validate(prior, step):
            if step == stop_at:
                raise RuntimeError
            pictures[step] = np.full((8, 8, 3), step, np.uint8)
            return Validation({"text_score_g2": step / 100})

        start = progress if resume else None
        for checkpoint in train(start=start, validate=validate, **changes):
            steps = validated_steps(checkpoint.history)
            yield ValidationPictures(steps, dict(pictures)), checkpoint
            pictures.clear()

    return stream


def make_pipeline(stream):
    return Pipeline(
        [
            Node(stream, "progress", ["pictures", "checkpoint"], name="stream"),
            Node(collect_history, "checkpoint", "history"),
            Node(plot_history, "history", "plot"),
            Node(export_priors, "checkpoint", ["prior", "prior_best"]),
        ]
    )


def make_catalog(folder):
    path = str(folder / "checkpoint.safetensors")
    return DataCatalog(
        {
            "progress": CheckpointDataset(filepath=path, missing_ok=True),
            "checkpoint": CheckpointDataset(filepath=path),
            "pictures": ValidationPicturesDataset(filepath=str(folder / "pictures")),
            "history": CSVDataset(filepath=str(folder / "history.csv")),
            "plot": MemoryDataset(copy_mode="assign"),
            "prior": PriorDataset(filepath=str(folder / "prior.safetensors")),
            "prior_best": PriorDataset(
                filepath=str(folder / "prior_best.safetensors"), which="best"
            ),
        }
    )


def open_hooks(**parameters):
    hooks = WandbHooks()
    loader = {"parameters": {"logging": "wandb", "resume": True, **parameters}}
    hooks.after_context_created(types.SimpleNamespace(config_loader=loader))
    return hooks


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


@pytest.fixture
def play(tmp_path):
    """Run the pipeline as Kedro's session does; return what wandb was given."""
    runs = []

    def play(stop_at=None, train=None, resume=True, **parameters):
        folder = tmp_path / f"run_{len(runs)}"
        folder.mkdir()
        runs.append(folder)
        pipeline = make_pipeline(make_stream(stop_at, resume, **(train or {})))
        catalog, manager = make_catalog(tmp_path), _create_hook_manager()
        manager.register(open_hooks(resume=resume, **parameters))
        run = {
            "run_params": {"pipeline_names": ["t"], "project_path": str(folder)},
            "pipeline": pipeline,
            "catalog": catalog,
        }
        manager.hook.before_pipeline_run(**run)
        try:
            SequentialRunner().run(pipeline, catalog, hook_manager=manager)
        except RuntimeError as error:
            manager.hook.on_pipeline_error(error=error, **run)
        else:
            manager.hook.after_pipeline_run(run_result={}, **run)
        return folder

    return play


def rows_of(folder, name="checkpoint"):
    """Return the rows that were logged, in order."""
    prefix = f"{name}/"
    logged = [row for row in read_history(folder) if f"{name}/step" in row]
    return [
        {key.removeprefix(prefix): row[key] for key in row if key.startswith(prefix)}
        for row in logged
    ]


def test_a_run_is_logged_as_it_goes(play, tmp_path):
    folder = play(seed=7)
    stored = make_catalog(tmp_path).load("checkpoint")
    assert rows_of(folder) == stored.history
    assert len(stored.history) == 6

    pictures = [row for row in read_history(folder) if "pictures/step" in row]
    assert [row["pictures/step"] for row in pictures] == [3, 6, 9, 12]
    assert {row["pictures/_type"] for row in pictures} == {"images/separated"}
    order = [
        name
        for row in read_history(folder)
        for name in ("pictures", "checkpoint", "history", "plot")
        if f"{name}/step" in row or f"{name}/_type" in row
    ]
    assert order == [
        *["pictures", "checkpoint", "checkpoint"],  # to step 5, the first checkpoint
        *["pictures", "pictures", "checkpoint", "checkpoint", "checkpoint"],
        *["pictures", "checkpoint"],
        *["history", "plot"],
    ]
    (table,) = [row for row in read_history(folder) if "history/nrows" in row]
    assert (table["history/nrows"], table["history/ncols"]) == (6, 4)
    assert read_config(folder)["seed"] == 7
    assert read_artifacts(folder) == {
        "prior": ("model", ["prior.safetensors"]),
        "prior_best": ("model", ["prior_best.safetensors"]),
    }


def test_a_resumed_run_logs_no_row_twice(play, tmp_path):
    before, after = rows_of(play(stop_at=9)), rows_of(play())
    assert [row["step"] for row in before] == [3, 5]
    assert [*before, *after] == make_catalog(tmp_path).load("checkpoint").history
    assert rows_of(play()) == []  # finished already


@pytest.mark.parametrize("other", [{"resume": False}, {"train": {"lr": 0.02}}])
def test_a_fresh_run_logs_all_its_rows(play, other):
    play()
    assert [row["step"] for row in rows_of(play(**other))] == [3, 5, 6, 9, 10, 12]


@pytest.fixture
def log(tmp_path):
    """Save entries of a catalog in a run that is logged; return its folder."""

    def log(saved, **datasets):
        catalog, hooks = DataCatalog(datasets), open_hooks()
        run_params = {"pipeline_names": None, "project_path": str(tmp_path)}
        hooks.before_pipeline_run(run_params, catalog)
        for name, data in saved.items():
            if name in datasets:
                catalog.save(name, data)
            hooks.after_dataset_saved(name, data)
        hooks.after_pipeline_run()
        return tmp_path

    return log


def test_scores_are_in_the_summary_to_compare_runs_by(log, tmp_path):
    scores = pd.DataFrame(
        {
            "method": ["fast", "random_w"],
            "num_prompts": [64, 64],
            "clip_score": [0.5, 0.25],
            "clip_score_low": [0.25, 0.125],
            "clip_score_high": [0.75, 0.5],
            "accuracy": [0.75, None],
        }
    )
    by_prompt = pd.DataFrame({"method": ["fast", "fast"], "clip_score": [0.5, 0.5]})
    quality = {"mean": {"score": 0.5, "n": 3}, "best_bridge": "none", "list": [1, 2]}
    folder = log(
        {"scores": scores, "scores_by_prompt": by_prompt, "quality": quality},
        quality=JSONDataset(filepath=str(tmp_path / "quality.json")),
    )
    summary = read_summary(folder)
    logged = {k: v for k, v in summary.items() if type(v) is float and k[0] != "_"}
    assert logged == {
        "scores/fast/clip_score": 0.5,
        "scores/fast/accuracy": 0.75,
        "scores/random_w/clip_score": 0.25,
        "quality/mean/score": 0.5,
        "quality/mean/n": 3.0,
    }
    tables = [row for row in read_history(folder) if "scores/nrows" in row]
    assert [(t["scores/nrows"], t["scores/ncols"]) for t in tables] == [(2, 6)]


def test_whatever_can_be_looked_at_is_logged(log):
    picture = np.zeros((4, 5, 3), np.uint8)
    table = pd.DataFrame({"method": ["a"], "baseline": ["b"], "accuracy": [0.5]})
    gaps = pd.DataFrame({"score": [0.5, None], "file": ["a", None], "n": [1, 2]})
    folder = log(
        {
            "scores": table,
            "gaps": gaps.convert_dtypes(),
            "samples_figure": picture,
            "studies": {"a.png": picture, "a.md": "# A", "b.png": picture},
            "scores_table": "a < b",
            "scores_report": "<!doctype html><p>scores</p>",
            "drawn": {"a": LabelledPicture(picture, {"prompt": "a man"})},
            "nothing": {},
            "latents": np.zeros((4, 5, 3), np.float32),
            "statistics": {"mean": 0},
            "answers": {"row": ({"images": picture[None]}, {"seed": 0})},
        }
    )
    history = read_history(folder)
    types = {
        key.removesuffix("/_type"): row[key]
        for row in history
        for key in row
        if key.endswith("/_type")
    }
    assert types == {
        "scores": "table-file",
        "gaps": "table-file",
        "samples_figure": "images/separated",
        "studies": "images/separated",
        "scores_table": "html-file",
        "scores_report": "html-file",
        "drawn": "images/separated",
    }
    (studies,) = [row for row in history if "studies/_type" in row]
    assert studies["studies/captions"] == ["a.png", "b.png"]
    (drawn,) = [row for row in history if "drawn/_type" in row]
    assert drawn["drawn/captions"] == ["a man"]
    (path,) = folder.glob("wandb/offline-run-*/files/media/table/gaps*.json")
    assert json.loads(path.read_text())["data"] == [[0.5, "a", 1], [None, None, 2]]


def test_losses_of_a_training_without_checkpoints_are_curves_too(log):
    history = pd.DataFrame({"step": [2, 4], "loss": [0.5, 0.25], "score": [None, 1.0]})
    folder = log({"gan_history": history})
    assert rows_of(folder, "gan_history_curves") == [
        {"step": 2, "loss": 0.5},
        {"step": 4, "loss": 0.25, "score": 1.0},
    ]
    assert any("gan_history/nrows" in row for row in read_history(folder))


def test_the_catalog_marks_what_else_becomes_an_artifact(log, tmp_path):
    weights = ({"w": torch.ones(2)}, {"kind": "gan"})
    entry = {"filepath": str(tmp_path / "gan.safetensors")}
    state = {"filepath": str(tmp_path / "state.safetensors")}
    marked = {"wandb": {"artifact": "model"}}
    folder = log(
        {"state": weights, "gan@weights": weights},
        **{"gan@weights": WeightsDataset(**entry, metadata=marked)},
        state=WeightsDataset(**state, metadata={"kedro-viz": {"layer": "x"}}),
    )
    assert read_artifacts(folder) == {"gan": ("model", ["gan.safetensors"])}


def kedro(folder, *arguments, **variables):
    """Run Kedro in a process of its own; say in the end whether it imported wandb."""
    script = (
        "import runpy, sys\n"
        f"sys.argv = ['kedro', 'run', *{arguments!r}]\n"
        "try:\n"
        "    runpy.run_module('kedro', run_name='__main__')\n"
        "finally:\n"
        "    print('wandb imported:', 'wandb' in sys.modules)\n"
    )
    unset = ("WANDB_MODE", "WANDB_API_KEY", "NETRC")
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    environment |= {"HOME": str(folder), **variables}
    return processes.run([sys.executable, "-c", script], cwd=folder, env=environment)


@pytest.fixture
def history_path(project_path):
    path = project_path / "data/training_history.csv/2030-01-01T00.00.00.000Z"
    path.mkdir(parents=True)
    table = pd.DataFrame({"step": [10, 20], "loss": [0.5, 0.25]})
    table.to_csv(path / "training_history.csv", index=False)
    return path


PLOT = ("--pipelines=training", "--nodes=training.plot_history")


def test_wandb_is_not_imported_unless_it_is_wanted(project_path, history_path):
    """The encoders' own libraries may import it; this run needs none of them."""
    run = kedro(project_path, *PLOT)
    assert run.returncode == 0, run.stderr
    assert "training_plot: data/training_history.png" in run.stdout
    assert "wandb imported: False" in run.stdout
    assert not (project_path / "wandb").exists()


def test_without_an_account_a_run_is_refused_in_a_sentence(project_path, history_path):
    run = kedro(project_path, *PLOT, "--params=logging:wandb")
    assert run.returncode == 2
    assert "none is logged in. Run `wandb login`, or set WANDB_MODE" in run.stderr
    assert "Traceback" not in run.stderr
    assert "Results:" not in run.stdout
