"""As many settings of every method, run by Kedro in a world of three colours."""

import json

import pandas as pd
import pytest
import yaml
from pipelines.world import BANK, DATA, ENGINES, make_searches, run_pipeline, written
from world import (
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    make_colour_pairs,
    make_evaluation,
    make_prior,
    make_sampling,
)

from clip2latent_kedro.datasets import ArrayFolderDataset
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.tuning import create_pipeline
from clip2latent_kedro.study.sweep import SweepConfig

SEARCH = OptimisationConfig("mean", num_steps=1, lr=0.01)
TUNING = SweepConfig(
    num_prompts=3,
    num_samples=3,
    num_seeds=2,
    only=None,
    is_equal=True,
    fixed=[],
    accuracy_tolerance=0.0,
    blend_tolerance=0.0,
    clip_tolerance=0.0,
    grids={
        "clip2latent_fast": {"guidance_scale": [0.0, 1.0]},
        "direct": {"method": "direct", "num_samples": 1, "num_steps": [0, 40]},
        "styleclip": {
            "method": "styleclip",
            "num_samples": 1,
            "num_prompts": 2,
            "lr": [0.1],
            "num_steps": [0, 40],
        },
        "clip2gan": {"method": "clip2gan", "psi": [0.5, 1.0]},
    },
)


@pytest.fixture
def run(tmp_path):
    def run(**changes):
        given = {
            "prompt_bank": pd.DataFrame(BANK),
            "generator": ColourGenerator(),
            "encoder": ColourEncoder(),
            "held_out_encoder": None,
            "judge": ColourJudge(),
            "prior": make_prior(0.5),
            "prior_best": None,
            "student_if_made": None,
            "training_pairs": make_colour_pairs(),
            **dict.fromkeys(["reference_images", "reference_z", "lafite"]),
            **dict.fromkeys(["clip2gan", "clip2gan_abstract"]),
            "params:data": DataConfig(**DATA),
            "params:sampling": make_sampling(),
            "params:baselines.optimisation": make_searches(strong=SEARCH),
            "params:evaluation": make_evaluation(),
            "params:tuning": TUNING,
            "params:validation.num_prompts": 1,
            "params:seed": 5,
            "params:device": "cpu",
            "engines": ENGINES,
            "params:resume": True,
            **changes,
        }
        folder = ArrayFolderDataset(filepath=str(tmp_path / "variants"))
        stored = {"tuning_results": folder, "tuning_progress": folder}
        return run_pipeline(create_pipeline(), given, stored)

    return run


def test_every_method_has_a_best_of_as_many_and_what_was_tried_is_told(run):
    catalog = run()
    best = catalog.load("tuning_best")
    json.dumps(best, allow_nan=False)
    assert list(best["methods"]) == ["clip2latent_fast", "direct", "styleclip"]
    assert best["methods"]["clip2latent_fast"]["variant"].endswith("guidance_scale 1.0")
    assert best["methods"]["direct"]["variant"] == "direct: num_steps 40"
    assert all(len(one["tried"]) == 2 for one in best["methods"].values())
    scores = catalog.load("tuning_scores")
    assert scores["num_seeds"].tolist()[:6] == [2, 2, 1, 1, 1, 1]
    assert scores["clip_score_seeds"].notna().tolist()[:4] == [True, True, False, False]
    assert scores["num_samples"].tolist()[:4] == [3, 3, 1, 1]
    assert scores["num_prompts"].tolist()[:6] == [3, 3, 3, 3, 2, 2]
    lacking = scores[scores["grid"] == "clip2gan"]["problem"]
    assert lacking.str.contains("There is no clip2gan").all()


def test_the_choices_are_written_where_each_method_takes_its_settings_from(run):
    catalog = run()
    expected = {
        "sampling": {"guidance_scale": 1.0},
        "baselines": {
            "optimisation": {
                "strong": {"num_steps": 40},
                "styleclip": {"lr": 0.1, "num_steps": 40},
            }
        },
    }
    assert catalog.load("tuning_best")["run"]["params"] == expected
    assert yaml.safe_load(catalog.load("tuning_choice")) == expected


def test_what_is_stored_is_not_searched_again(run, tmp_path):
    run()
    times = written(tmp_path / "variants")
    run()
    changed = {k for k, t in written(tmp_path / "variants").items() if times[k] != t}
    assert len(times) - len(changed) == 6  # those that lack a model are tried again
