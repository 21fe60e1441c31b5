"""The sweep, run by Kedro in a world of three colours."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import yaml
from pages import read_page, read_tables
from pipelines.world import BANK, DATA, ENGINES, make_searches, run_pipeline, written
from world import (
    PROMPTS,
    CertainColourJudge,
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    TurnedEncoder,
    make_colour_pairs,
    make_evaluation,
    make_prior,
    make_sampling,
)

from clip2latent_kedro.cli.overrides import merge_overrides
from clip2latent_kedro.datasets import ArrayFolderDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.sweep import create_pipeline
from clip2latent_kedro.study.sweep import SweepConfig

GRIDS = {
    "base": {},
    "guidance": {"guidance_scale": [1, 3.0]},  # 1 is the base
    "steps": {"sampler": ["ddpm", "ddim"], "num_steps": [5, 7]},  # ddpm cannot take 7
    "truncation": {"psi": [0.0, 1.0], "guidance_interval": [[0.0, 1.0], [0.5, 1.0]]},
}
NUM_VARIANTS, NUM_DIFFERENT = 1 + 2 + 4 + 4, 8


def make_sweep(**changes):
    settings = {
        "num_prompts": 3,
        "num_samples": 3,
        "num_seeds": 1,
        "grids": GRIDS,
        "only": None,
        "is_equal": False,
        "fixed": [],
        "accuracy_tolerance": 0.0,
        "blend_tolerance": 0.0,
        "clip_tolerance": 0.0,
    }
    return SweepConfig(**{**settings, **changes})


@pytest.fixture
def run(tmp_path):
    def run(**changes):
        given = {
            "prompt_bank": pd.DataFrame(BANK),
            "generator": ColourGenerator(),
            "encoder": ColourEncoder(),
            "held_out_encoder": TurnedEncoder(),
            "judge": ColourJudge(),
            "prior": make_prior(0.5),
            "prior_best": make_prior(0.25),
            "student_if_made": None,
            "training_pairs": make_colour_pairs(),
            "params:data": DataConfig(**DATA),
            "params:sampling": make_sampling(),
            "params:evaluation": make_evaluation(),
            "params:baselines.optimisation": make_searches(),
            "params:sweep": make_sweep(),
            "params:validation.num_prompts": 1,
            "params:seed": 5,
            "params:device": "cpu",
            "engines": ENGINES,
            "params:resume": True,
            **changes,
        }
        folder = ArrayFolderDataset(filepath=str(tmp_path / "variants"))
        stored = {"sweep_results": folder, "sweep_progress": folder}
        return run_pipeline(create_pipeline(), given, stored)

    return run


def test_every_point_is_scored_once_and_failures_are_reported(run, tmp_path):
    catalog = run()
    scores = catalog.load("sweep_scores")
    assert len(scores) == NUM_VARIANTS
    assert set(scores["encoder"]) == {"11"}
    assert set(scores["judge"]) == {"colour-judge@22"}
    assert "held_out_score" not in scores  # which has no say in a choice
    assert len(written(tmp_path / "variants")) == NUM_DIFFERENT
    assert scores["variant"].tolist()[:3] == [
        "as it is",
        "guidance_scale 1",
        "guidance_scale 3.0",
    ]
    assert scores["result"][0] == scores["result"][1] != scores["result"][2]

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
    tables = read_tables(catalog.load("sweep_report"))
    rows = tables["Scores of each variant"][1:]
    assert len(rows) == NUM_VARIANTS
    table = catalog.load("sweep_table")
    assert all(f"| {row[0]} | " in table for row in rows)
    assert f"**{scores['grid'][failed].item()}: sampler ddpm, num_steps 7.**" in table


def test_the_report_says_what_is_chosen_and_leads_to_it(run):
    catalog = run()
    best, html = catalog.load("sweep_best"), catalog.load("sweep_report")
    page = read_page(html)
    assert page.every("h1")[0].text == "Sweep"
    (code,) = page.every("code")
    assert code.text == catalog.load("sweep_choice").strip()
    point, *_ = page.every("li")[len(page.every("h2")) :]
    assert point.every("b")[0].text == f"{best['variant']}."
    rows = {row.attributes.get("id"): row for row in page.every("tr")}
    link = point.every("a")[0].attributes["href"]
    assert rows[link.removeprefix("#")].every("th")[0].text == best["variant"]


def test_the_best_is_a_config_of_a_run(run):
    catalog = run()
    best, table = catalog.load("sweep_best"), catalog.load("sweep_scores")
    json.dumps(best, allow_nan=False)
    assert best["variant"] in best["contenders"]["accuracy"]
    assert best["scores"]["accuracy"]["mean"] in table["accuracy"].tolist()
    params = merge_overrides([best["run"]["params"]])
    assert params["sampling"].keys() == asdict(make_sampling()).keys()
    assert "inference" not in params
    made = make_sampling(**params["sampling"])
    assert made.psi == 1.0  # psi 0 gives one colour to all prompts


def test_the_best_leaves_fixed_settings_as_they_are(run):
    grids = {"base": {}, "guidance": {"guidance_scale": [0.0, 3.0]}}
    anything = {"accuracy_tolerance": 2.0, "blend_tolerance": 2.0}
    loud = make_sweep(grids=grids, num_prompts=12, **anything)
    many = {"prompt_bank": pd.DataFrame([*BANK, *3 * PROMPTS])}
    free = run(**many, **{"params:sweep": loud}).load("sweep_best")
    assert free["variant"] == "guidance: guidance_scale 0.0"
    assert free["run"]["params"]["sampling"]["guidance_scale"] == 0.0
    assert len(free["tried"]) == 3
    # Two others against the first, by one demand: this judge is never unsure.
    assert free["comparisons"] == {
        "number": 2,
        "correction": "Bonferroni",
        "confidence": 0.9,
        "tolerances": {"accuracy": 2.0, "blended": 2.0, "clip_score": 0.0},
    }
    quiet = replace(loud, fixed=["guidance_scale"])
    quiet_run = run(**many, **{"params:sweep": quiet})
    assert quiet_run.load("sweep_best")["variant"].startswith("base")
    assert yaml.safe_load(quiet_run.load("sweep_choice")) == {"sampling": {}}


def test_the_choice_is_yaml_of_what_differs_from_the_base(run):
    grids = {"guidance": {"guidance_scale": [3.0], "guidance_interval": [[0.0, 0.5]]}}
    sweep = make_sweep(grids=grids)
    written = run(**{"params:sweep": sweep}).load("sweep_choice")
    assert written.startswith("# guidance: guidance_scale 3.0, guidance_interval")
    assert yaml.safe_load(written) == {
        "sampling": {"guidance_scale": 3.0, "guidance_interval": [0.0, 0.5]}
    }


def test_a_grid_may_change_the_prior(run):
    names = ["prior", "prior_best", "student"]
    sweep = make_sweep(grids={"priors": {"prior": names}})
    scores = run(**{"params:sweep": sweep}).load("sweep_scores")
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


def test_what_is_stored_is_not_run_again_unless_code_or_models_have_changed(
    run, tmp_path, caplog
):
    caplog.set_level("INFO")
    folder = tmp_path / "variants"
    scores = run().load("sweep_scores")
    times = written(folder)
    failed = scores.query("problem.notna()")["result"].item()
    missing, older = scores["result"][2], scores["result"][0]
    (folder / f"{missing}.npz").unlink()
    stored = ArrayFolderDataset(filepath=str(folder))
    arrays, record = stored.load()[older]
    making = {**record["depends_on"]["made_by"], "code": "of another formula"}
    depends_on = {**record["depends_on"], "made_by": making}
    stored.save({older: (dict(arrays), {**record, "depends_on": depends_on})})

    again = run()
    changed = {key for key, time in written(folder).items() if times[key] != time}
    assert changed == {failed, missing, older}
    pd.testing.assert_frame_equal(again.load("sweep_scores"), scores)
    assert "made_by.code (stored 'of another formula', asked" in caplog.text

    times = written(folder)
    run(**{"params:resume": False})
    assert all(times[key] != time for key, time in written(folder).items())
    run(prior=make_prior(0.75))  # the variant that cannot be had has no prior
    assert len(written(folder)) == 2 * NUM_DIFFERENT - 1
    run(**{"params:seed": 6})
    assert len(written(folder)) == 3 * NUM_DIFFERENT - 1


def test_the_figure_shows_each_grid_with_its_intervals(run):
    catalog = run()
    figure = catalog.load("sweep_figure")
    assert [axes.get_title() for axes in figure.axes[::4]] == list(GRIDS)[1:]
    truncation = figure.axes[8]  # accuracy; the fourth is accuracy against diversity
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
    against = figure.axes[11]
    assert against.get_xlabel() == "diversity, CLIP"
    for (mean, _, (aside, _)), offset in zip(against.containers, (0, 1), strict=True):
        line = rows.iloc[offset::2]
        np.testing.assert_array_equal(mean.get_xdata(), line["clip_diversity"])
        np.testing.assert_array_equal(mean.get_ydata(), line["accuracy"])
        ends = np.array([segment[:, 0] for segment in aside.get_segments()])
        np.testing.assert_allclose(ends[:, 0], line["clip_diversity_low"])


def test_all_variants_stand_in_one_picture_with_their_front(run):
    catalog = run(judge=CertainColourJudge())
    scores = catalog.load("sweep_scores")
    accuracy, blends, subjects = catalog.load("sweep_tradeoffs").axes
    assert accuracy.get_ylabel() == "attributes right"
    assert blends.get_ylabel() == "blends"
    assert subjects.get_ylabel() == "subject found"
    (front,) = [line for line in blends.lines if line.get_linestyle() == "--"]
    for x, y in zip(*front.get_data(), strict=True):
        surpassing = (scores["clip_diversity"] >= x) & (scores["blended"] < y)
        assert not surpassing.any()


def test_a_bank_that_is_too_small_is_refused(run):
    with pytest.raises(InputError, match=r"num_prompts must be at most 3, .* got 4"):
        run(**{"params:sweep": make_sweep(num_prompts=4)})


def test_a_domain_without_a_judge_is_swept_by_its_clip_score(run):
    bank = pd.DataFrame(BANK)[["prompt"]]
    catalog = run(judge=None, held_out_encoder=None, prompt_bank=bank)
    assert "accuracy" not in catalog.load("sweep_scores")
    assert list(catalog.load("sweep_best")["contenders"]) == ["clip_score"]
