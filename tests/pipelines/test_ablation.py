"""Ablations, run by Kedro in a world of three colours with priors of four steps."""

import io

import numpy as np
import pandas as pd
import pytest
from pages import read_page
from pipelines.world import BANK, ENGINES, run_pipeline, written
from study.ablation_world import NUM_KEPT, make_base, make_config, make_train
from world import (
    PROMPTS,
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    TurnedEncoder,
    make_colour_pairs,
    make_evaluation,
    make_prior,
)

from clip2latent_kedro.cli.comparison import Table, compare_tables
from clip2latent_kedro.datasets import ArrayFolderDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pipelines.ablation import create_pipeline
from clip2latent_kedro.study.ablation.config import OWN

STUDIES = {
    "truncation": {
        "title": "Truncation of <w>",
        "axis": "sampling.psi",
        "values": [0.0, 0.5, 1.0],
        "lines": {
            "data mean": {},
            "w_avg": {"sampling.truncation_centre": "w_avg"},
        },
        "apart": {"strong": {"sampling.guidance_scale": 3.0}},
    },
    "steps": {  # ddpm cannot take 7
        "axis": "sampling.num_steps",
        "values": [5, 7],
    },
    "noise": {
        "axis": "data.embed_noise_scale",
        "values": [0.0, 1.0],
        "lines": {"text": {}, "image": {"condition": "image"}},
    },
    "pairs": {"axis": "num_pairs", "values": [4, 50, None]},  # 4 fill no batch
    "best_of": {"axis": "best_of", "values": [1, 3]},
}
NUM_VARIANTS = 7 + 2 + 4 + 3 + 2
FAILED = ["num_steps 7", "num_pairs 4"]


def make_ablation(studies=STUDIES, **changes):
    return make_config(studies, **{"num_seeds": 3, "confidence": 0.9, **changes})


@pytest.fixture
def run(tmp_path):
    def run(**changes):
        base = make_base()
        del base[OWN]
        given = {
            "prompt_bank": pd.DataFrame(BANK),
            "generator": ColourGenerator(),
            "encoder": ColourEncoder(),
            "held_out_encoder": TurnedEncoder(),
            "judge": ColourJudge(),
            "prior": make_prior(0.5),
            "training_pairs": make_colour_pairs(),
            **{f"params:{group}": settings for group, settings in base.items()},
            "params:evaluation": make_evaluation(),
            "params:ablation": make_ablation(),
            "params:validation.num_prompts": 1,
            "params:seed": 5,
            "params:device": "cpu",
            "engines": ENGINES,
            "params:resume": True,
            **changes,
        }
        folder = ArrayFolderDataset(filepath=str(tmp_path / "variants"))
        stored = {"ablation_results": folder, "ablation_progress": folder}
        return run_pipeline(create_pipeline(), given, stored)

    return run


def test_every_study_has_its_table_figure_pictures_and_paragraph(run):
    catalog = run()
    asked = catalog.load("ablation_setup").queries.texts.texts
    assert asked == [row["prompt"] for row in PROMPTS]
    scores = catalog.load("ablation_scores")
    assert len(scores) == NUM_VARIANTS
    failed = scores["problem"].notna()
    assert scores["variant"][failed].tolist() == FAILED
    assert "num_steps" in scores["problem"][failed].iloc[0]
    assert "data.bs must be at most" in scores["problem"][failed].iloc[1]
    assert scores["clip_score"].isna().equals(failed)
    right = scores[~failed]
    for name in ("clip_score", "held_out_score", "accuracy", "w_distance"):
        assert (right[f"{name}_low"] <= right[name]).all()
        assert (right[name] <= right[f"{name}_high"]).all()
    by_name = scores.set_index(["study", "variant"])
    still = by_name.loc[("truncation", "data mean, psi 0.0")]
    assert still["clip_diversity"] == pytest.approx(0, abs=1e-9)
    one, three = (by_name.loc["best_of"]["clip_score"][f"best_of {n}"] for n in (1, 3))
    assert three > one

    files = catalog.load("ablation_studies")
    ends = (".csv", ".png", "_pictures.png", ".md")
    assert set(files) == {f"{name}{end}" for name in STUDIES for end in ends}
    table = pd.read_csv(io.StringIO(files["noise.csv"]))
    assert table["variant"].tolist() == [
        f"{asked}, embed_noise_scale {scale}"
        for asked in ("text", "image")
        for scale in ("0.0", "1.0")
    ]
    assert "1 variant could not be scored." in files["steps.md"]
    assert files["truncation.md"].count("highest at") == 3
    strip = files["noise_pictures.png"]
    assert strip.dtype == np.uint8
    assert strip.shape[2] == 3

    assert set(scores["judge"]) == {"colour-judge@22"}
    comparison = compare_tables(Table(scores), Table(scores), confidence=0.95)
    assert not comparison.unknown
    assert comparison.num_compared == 5 * (~failed).sum()
    assert comparison.changes == []


def test_the_report_stands_alone_and_says_what_it_rests_on(run):
    catalog = run()
    page, text = catalog.load("ablation_report"), catalog.load("ablation_table")
    figures = read_page(page).every("figure")
    charts = [one for one in figures if one.attributes["class"] == "chart"]
    assert len(charts) == len(STUDIES)
    assert "://" not in page
    for report in (page, text):
        for name in (
            "train.max_it 3",  # the budget
            "sampling.guidance_scale",
            "colours@00",
            "colour-judge@22",
            "5 to 7",  # seeds
            "torch",
            "commit",
            "num_steps must divide the 20 timesteps",  # a problem
            "190",  # pairs
        ):
            assert name in report, name
    trained = text.split("## noise")[1].split("## pairs")[0]
    assert "by the budget `short` (train.max_it 3)" in trained
    assert "budget" not in text.split("## steps")[1].split("## noise")[0]


def test_another_prior_is_due_again_but_where_priors_are_trained(run, tmp_path):
    only = {name: STUDIES[name] for name in ("noise", "best_of")}
    few = {"params:ablation": make_ablation(only)}
    scores = run(**few).load("ablation_scores")
    times = written(tmp_path / "variants")
    run(prior=make_prior(0.75), **few)
    now = written(tmp_path / "variants")
    untrained = scores[scores["study"] == "best_of"]
    assert len(set(now) - set(times)) == len(untrained)
    assert {key: now[key] for key in times} == times


def test_a_run_that_breaks_off_goes_on_to_the_same(run, tmp_path, monkeypatch):
    save, count = ArrayFolderDataset.save, []

    def fail_at_the_eighth(self, data):
        count.append(data)
        if len(count) == 8:
            raise KeyboardInterrupt
        save(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(ArrayFolderDataset, "save", fail_at_the_eighth)
        with pytest.raises(KeyboardInterrupt):
            run()  # before any figure is drawn
    kept = written(tmp_path / "variants")
    assert 0 < len(kept) < 8
    scores = run().load("ablation_scores")
    times = written(tmp_path / "variants")
    assert {key: times[key] for key in kept} == kept
    assert scores["problem"].notna().sum() == len(FAILED)
    whole = run(**{"params:resume": False}).load("ablation_scores")
    timed = ["seconds", "training_seconds", "training_cpu_seconds"]
    compared = scores.columns.drop(timed)
    pd.testing.assert_frame_equal(scores[compared], whole[compared])


def test_without_judge_and_held_out_encoder(run):
    only = {name: STUDIES[name] for name in ("truncation", "noise")}
    catalog = run(
        judge=None,
        held_out_encoder=None,
        prompt_bank=pd.DataFrame(BANK)[["prompt"]],
        **{"params:ablation": make_ablation(only)},
    )
    scores = catalog.load("ablation_scores")
    assert not {"accuracy", "held_out_score"} & set(scores.columns)
    assert scores["problem"].isna().all()


def test_too_few_pictures_kept_from_training(run):
    few = make_train(val_pairs=2)
    with pytest.raises(InputError, match=r"train\.val_pairs must be 3 or more"):
        run(**{"params:train": few})
    assert make_train().val_pairs == NUM_KEPT


def test_a_bank_that_is_too_small_is_refused(run):
    with pytest.raises(InputError, match=r"num_prompts must be at most 3, .* got 4"):
        run(**{"params:ablation": make_ablation(num_prompts=4)})
