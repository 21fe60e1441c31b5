"""The sweep, run by Kedro in a world of three colours."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation.parameter_validator import ParameterValidator
from linear_models import (
    PROMPTS,
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    make_colour_pairs,
    make_evaluation,
    make_prior,
    make_sampling,
)

from clip2latent_kedro.cli.overrides import merge_overrides
from clip2latent_kedro.datasets import JsonFolderDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.sweep import create_pipeline
from clip2latent_kedro.study.sweep import SweepConfig

DATA = {
    "bs": 16,
    "embed_noise_scale": 0.5,
    "clip_variant": "colour",
    "n_latents": 1,
    "latent_dim": 3,
    "latent_repeats": [2],
}
GRIDS = {
    "base": {},
    "guidance": {"guidance_scale": [1, 3.0]},  # 1 is the base
    "steps": {"sampler": ["ddpm", "ddim"], "num_steps": [5, 7]},  # ddpm cannot take 7
    "truncation": {"psi": [0.0, 1.0], "guidance_interval": [[0.0, 1.0], [0.5, 1.0]]},
}
NUM_TRIALS, NUM_DIFFERENT = 1 + 2 + 4 + 4, 8
BANK = pd.DataFrame([{"prompt": "9 9 9"}, *PROMPTS])  # the first is the validation's
CREATED = ("sweep_scores", "sweep_table", "sweep_figure", "sweep_best", "sweep_trials")


class KeptDataset(MemoryDataset):
    """In memory also after the last node that reads it."""

    def _release(self):
        pass


def make_sweep(**changes):
    settings = {
        "num_prompts": 3,
        "num_samples": 3,
        "grids": GRIDS,
        "fixed": [],
        "clip_tolerance": 0.0,
    }
    return SweepConfig(**{**settings, **changes})


@pytest.fixture
def run(tmp_path):
    def run(**changes):
        given = {
            "prompt_bank": BANK,
            "generator": ColourGenerator(),
            "encoder": ColourEncoder(),
            "judge": ColourJudge(),
            "prior": make_prior(0.5),
            "prior_best": make_prior(0.25),
            "student_if_made": {},
            "training_pairs": make_colour_pairs(),
            "params:data": DataConfig(**DATA),
            "params:sampling": make_sampling(),
            "params:evaluation": make_evaluation(),
            "params:sweep": make_sweep(),
            "params:validation.num_prompts": 1,
            "params:seed": 5,
            "params:device": "cpu",
            "params:resume": True,
            **changes,
        }
        folder = JsonFolderDataset(filepath=str(tmp_path / "variants"))
        catalog = DataCatalog(
            {
                **{n: MemoryDataset(v, copy_mode="assign") for n, v in given.items()},
                **{name: KeptDataset(copy_mode="assign") for name in CREATED},
                "sweep_models": MemoryDataset(copy_mode="assign"),
                "sweep_queries": KeptDataset(copy_mode="assign"),
                "sweep_results": folder,
                "sweep_progress": folder,
            }
        )
        SequentialRunner().run(create_pipeline(), catalog)
        return catalog

    return run


def written(tmp_path):
    return {p.stem: p.stat().st_mtime_ns for p in (tmp_path / "variants").iterdir()}


def test_every_point_is_scored_once_and_failures_are_reported(run, tmp_path):
    catalog = run()
    scores = catalog.load("sweep_scores")
    assert len(scores) == NUM_TRIALS
    assert set(scores["encoder"]) == {"11"}
    assert set(scores["judge"]) == {"colour-judge@22"}
    assert len(written(tmp_path)) == NUM_DIFFERENT
    assert scores["variant"].tolist()[:3] == [
        "as it is",
        "guidance_scale 1",
        "guidance_scale 3.0",
    ]
    assert scores["result"][0] == scores["result"][1] != scores["result"][2]
    assert catalog.load("sweep_queries").texts == [row["prompt"] for row in PROMPTS]

    failed = scores["problem"].notna()
    assert scores["variant"][failed].tolist() == ["sampler ddpm, num_steps 7"]
    assert "num_steps" in scores["problem"][failed].item()
    assert scores["clip_score"].isna().equals(failed)
    right = scores[~failed]
    assert (right["accuracy_low"] <= right["accuracy"]).all()
    assert (right["accuracy"] <= right["accuracy_high"]).all()
    still = scores[scores["psi"] == 0]
    assert still["clip_diversity"].tolist() == pytest.approx([0, 0], abs=1e-9)
    assert scores["guidance_interval"].dropna().tolist() == 2 * [
        "[0.0, 1.0]",
        "[0.5, 1.0]",
    ]

    lines = catalog.load("sweep_table").splitlines()
    assert len(lines) == 2 + NUM_TRIALS
    assert len({line.count("|") for line in lines}) == 1
    assert "num_steps" in lines[2 + 4].split("|")[-2]


def test_the_best_is_a_config_of_a_run(run, tmp_path):
    best = run().load("sweep_best")
    json.dumps(best, allow_nan=False)
    table = run().load("sweep_scores")
    name = best["contenders"]["accuracy"]
    assert best["variant"] in name
    assert best["scores"]["accuracy"]["mean"] in table["accuracy"].tolist()
    params = merge_overrides([best["run"]["params"]])
    assert params["sampling"].keys() == asdict(make_sampling()).keys()
    assert "inference" not in params
    made = make_sampling(**params["sampling"])
    assert made.psi == 1.0  # psi 0 gives one colour to all prompts


def test_the_best_leaves_fixed_settings_as_they_are(run):
    grids = {"base": {}, "guidance": {"guidance_scale": [0.0, 3.0]}}
    loud = make_sweep(grids=grids, num_prompts=12)
    many = {"prompt_bank": pd.concat([BANK, *[BANK[1:]] * 3])}
    free = run(**many, **{"params:sweep": loud}).load("sweep_best")
    assert free["variant"] == "guidance: guidance_scale 3.0"
    # Two others against the first, by two criteria.
    assert free["comparisons"] == {
        "number": 4,
        "correction": "Bonferroni",
        "confidence": 0.9,
    }
    quiet = replace(loud, fixed=["guidance_scale"])
    best = run(**many, **{"params:sweep": quiet}).load("sweep_best")
    assert best["variant"].startswith("base")


def test_a_grid_may_change_the_prior(run):
    names = ["prior", "prior_best", "student"]
    sweep = make_sweep(grids={"priors": {"prior": names}})
    catalog = run(**{"params:sweep": sweep})
    scores = catalog.load("sweep_scores")
    assert scores["prior"].tolist() == names
    assert "Run the pipeline distillation first" in scores["problem"][2]
    one = {"student_if_made": make_prior(0.0), "params:sweep": sweep}
    scores = run(**one).load("sweep_scores")
    assert scores["problem"].isna().all()
    assert scores["clip_diversity"].is_monotonic_decreasing
    assert scores["clip_diversity"][2] == pytest.approx(0, abs=1e-9)

    only = make_sweep(grids={"priors": {"prior": ["student"]}})
    best = run(**{**one, "params:sweep": only}).load("sweep_best")
    assert best["run"]["params"]["inference"] == {"prior": "student"}


def test_what_is_stored_is_not_run_again(run, tmp_path):
    first = run()
    times = written(tmp_path)
    failed = first.load("sweep_scores").query("problem.notna()")["result"].item()
    missing = first.load("sweep_scores")["result"][2]
    (tmp_path / "variants" / f"{missing}.json").unlink()

    again = run()
    changed = {key for key, time in written(tmp_path).items() if times[key] != time}
    assert changed == {failed, missing}
    pd.testing.assert_frame_equal(
        again.load("sweep_scores"), first.load("sweep_scores")
    )

    run(**{"params:resume": False})
    assert all(times[key] != time for key, time in written(tmp_path).items())

    run(prior=make_prior(0.75))
    assert len(written(tmp_path)) == 2 * NUM_DIFFERENT
    run(**{"params:seed": 6})
    assert len(written(tmp_path)) == 3 * NUM_DIFFERENT


def test_the_figure_shows_each_grid_with_its_intervals(run):
    catalog = run()
    figure = catalog.load("sweep_figure")
    assert [axes.get_title() for axes in figure.axes[::3]] == list(GRIDS)[1:]
    truncation = figure.axes[6]  # accuracy
    assert truncation.get_xlabel() == "psi"
    scores = catalog.load("sweep_scores")
    rows = scores[scores["grid"] == "truncation"]
    assert len(truncation.containers) == 2  # a line for each interval of guidance
    for (mean, _, (bars,)), offset in zip(truncation.containers, (0, 1), strict=True):
        line = rows.iloc[offset::2]
        np.testing.assert_array_equal(mean.get_ydata(), line["accuracy"])
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends[:, 0], line["accuracy_low"])
        np.testing.assert_allclose(ends[:, 1], line["accuracy_high"])


def test_a_bank_that_is_too_small_is_refused(run):
    with pytest.raises(InputError, match=r"num_prompts must be at most 3, .* got 4"):
        run(**{"params:sweep": make_sweep(num_prompts=4)})


def test_a_domain_without_a_judge_is_swept_by_its_clip_score(run):
    catalog = run(judge={}, prompt_bank=BANK[["prompt"]])
    assert "accuracy" not in catalog.load("sweep_scores")
    assert list(catalog.load("sweep_best")["contenders"]) == ["clip_score"]


def test_kedro_builds_the_config_from_the_annotations():
    raw = {
        "sweep": asdict(make_sweep()),
        "data": DATA,
        "sampling": asdict(make_sampling()),
        "evaluation": asdict(make_evaluation()),
        "validation": {"num_prompts": 1},
        "seed": 1,
        "device": "cpu",
        "resume": True,
    }
    built = ParameterValidator({"sweep": create_pipeline()}).validate_raw_params(raw)
    assert built["sweep"] == make_sweep()


def test_results_of_older_code_are_computed_again(run, tmp_path, caplog):
    scores = run().load("sweep_scores")
    path = tmp_path / "variants" / f"{scores['result'][0]}.json"
    result = json.loads(path.read_text())
    assert result["made_by"]["device"] == "cpu"
    older = {**result["made_by"], "torch": "1.0"}
    path.write_text(json.dumps({**result, "scores": {}, "made_by": older}))
    assert run().load("sweep_scores").equals(scores)
    assert json.loads(path.read_text()) == result
    assert "1 stored variants are computed again: torch (stored '1.0', " in caplog.text
