"""The pipeline, run by Kedro in a world of three colours."""

import re
from functools import partial
from html import escape

import numpy as np
import pandas as pd
import pytest
import torch
from pages import read_tables
from pipelines.evaluation_world import (
    CLOUD,
    NOT_FROM_TEXT,
    ROWS,
    SAMPLING,
    load_arrays,
    run_in,
)
from pipelines.world import written
from world import (
    make_evaluation,
    make_method,
    make_models,
    make_prior,
    make_queries,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.nearest_pair import NearestPair


@pytest.fixture
def run(tmp_path):
    return partial(run_in, tmp_path)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """After a run of everything as it is."""
    return run_in(tmp_path_factory.mktemp("evaluation"))


def test_every_row_is_drawn_scored_and_timed(catalog):
    samples, w = load_arrays(catalog, "images"), load_arrays(catalog, "w")
    assert list(samples) == ROWS
    assert list(w) == [row for row in ROWS if row != "reference"]
    assert samples["fast"].shape == (3, 3, 4, 4, 3)
    assert w["nearest_pair"].shape == (3, 3, 2, 3)

    scores = catalog.load("scores").set_index("method")
    assert list(scores.index) == ROWS
    assert scores.loc["reference", "clip_score"] > 0.99
    assert scores.loc["reference", "accuracy"] == 1.0
    assert scores.loc["generator_bound", "accuracy"] == 1.0
    assert scores["num_samples"].tolist() == [3, 2, 3, 3, 3, 3]
    has_w = scores.index != "reference"
    assert (scores["w_distance"].notna() == has_w).all()
    # Random w and stored ones are spread as the training data are.
    assert 0.5 < scores.loc["random_w", "w_distance"] < 1.5
    assert (scores["clip_score_low"] <= scores["clip_score"]).all()
    assert (scores["clip_score"] <= scores["clip_score_best"]).all()

    timings = catalog.load("timings")
    timed = [row for row in ROWS if row not in NOT_FROM_TEXT]
    assert list(timings["seconds"]) == list(timings["seconds_one"]) == timed
    assert timings["machine"]["device"] == "cpu"
    assert timings["protocol"]["timing_images"] == 4
    for row in timed:
        for what in ("seconds", "seconds_one"):
            stages = timings[what][row]
            assert list(stages) == ["prior", "synthesis", "reranking"]
            totals = np.sum(list(stages.values()), axis=0)
            assert len(totals) == scores.loc[row, f"{what}_runs"] == 2
            assert scores.loc[row, what] == pytest.approx(totals.mean())
            assert scores.loc[row, f"{what}_std"] == pytest.approx(totals.std(ddof=1))
    assert np.isnan(scores.loc["reference", "seconds"])


def test_the_same_seed_gives_the_same_answers_whatever_the_batches(run):
    first = load_arrays(run("answers"), "w")
    small = make_evaluation(latent_batch_size=2, image_batch_size=1)
    afresh = {"params:resume": False}
    again = load_arrays(run("answers", **{"params:evaluation": small}, **afresh), "w")
    other = load_arrays(run("answers", **{"params:seed": 6}), "w")
    for row in first:
        np.testing.assert_allclose(first[row], again[row], rtol=0, atol=1e-6)
        unseeded = row in ("nearest_pair", "generator_bound")
        assert np.allclose(first[row], other[row], rtol=0, atol=1e-6) == unseeded


def test_fewer_prompts_give_the_same_answers_to_those(run):
    whole = load_arrays(run("answers"), "w")
    fewer = make_evaluation(num_prompts=2)
    part = load_arrays(run("answers", **{"params:evaluation": fewer}), "w")
    for row in whole:
        np.testing.assert_allclose(part[row], whole[row][:2], rtol=0, atol=1e-6)


def test_a_domain_may_lack_references_and_a_judge(run):
    catalog = run(
        reference_images=None, reference_z=None, judge=None, held_out_encoder=None
    )
    scores = catalog.load("scores")
    timed = [row for row in ROWS if row not in NOT_FROM_TEXT]
    assert scores["method"].tolist() == timed
    assert "accuracy" not in scores
    assert catalog.load("modality_gap").empty
    report = catalog.load("scores_report")
    tables = read_tables(report)
    assert "attributes right" not in tables["Scores of each row"][0]
    assert ["judge", "none"] in tables["Models, code and seed"]
    assert ["held-out encoder", "none"] in tables["Models, code and seed"]
    assert "Modality gap" not in report


def test_a_row_may_draw_from_another_prior(run):
    rows = {"last": {}, "best": {"prior": "prior_best"}, "one": {"prior": "student"}}
    config = make_evaluation(rows=rows)
    catalog = run(student=make_prior(0.0), **{"params:evaluation": config})
    for row, spread in (("last", 0.5), ("best", 0.25), ("one", 0.0)):
        method = make_method(make_models(spread), **SAMPLING)
        w = method.sample(make_queries(), num_samples=3, seed=5)
        assert np.array_equal(catalog.load("answers")[row][0]["w"], w)
    tables = read_tables(catalog.load("scores_report"))
    assert 'prior "prior_best"' in dict(tables["Settings of each row"])["best"]


def test_a_row_of_a_student_that_is_not_there_is_left_out_or_refused(run, caplog):
    caplog.set_level("INFO")
    rows = {"fast": {}, "one_step": {"prior": "student"}}
    config = make_evaluation(rows=rows)
    catalog = run("scores", **{"params:evaluation": config})
    assert catalog.load("scores")["method"].tolist() == ["fast"]
    assert "Without the row one_step: The prior 'student' has not been" in caplog.text
    catalog = run(**{"params:evaluation": config})
    report, table = catalog.load("scores_report"), catalog.load("scores_table")
    why = "The prior 'student' has not been made yet. Run the pipeline distillation fi"
    assert f"<b>one_step:</b> {escape(why)}" in report
    assert f"## Rows left out\n\n- **one_step:** {why}" in table
    without = make_evaluation(rows=rows, baseline="one_step")
    run("score_differences", **{"params:evaluation": without})
    assert "No differences: the baseline one_step is not there." in caplog.text
    only = make_evaluation(rows=rows, only="one_step")
    with pytest.raises(InputError, match="Run the pipeline distillation first"):
        run(**{"params:evaluation": only})


def test_a_row_that_fails_leaves_the_others_standing_and_is_tried_again(
    run, monkeypatch
):
    def fail(self, samples):
        raise torch.OutOfMemoryError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(NearestPair, "synthesise", fail)
        catalog = run()
        rows = {"nearest_pair": {"method": "nearest_pair"}}
        alone = {"params:evaluation": make_evaluation(rows=rows)}
        with pytest.raises(InputError, match=r"No row could be scored\. out of memory"):
            run("scores", **alone)
    others = [row for row in ROWS if row != "nearest_pair"]
    assert catalog.load("scores")["method"].tolist() == others
    assert "nearest_pair" not in catalog.load("timings")["seconds"]
    assert re.search("nearest_pair:.* out of memory", catalog.load("scores_table"))
    assert run("scores").load("scores")["method"].tolist() == ROWS


def test_prompts_that_settings_are_chosen_on_are_refused(run):
    bank = pd.DataFrame([{"prompt": "9 9 9"}, {"prompt": "0, 0, 2."}])
    with pytest.raises(InputError, match=r"must share no text, .* got '0 0 2' in both"):
        run("queries", prompt_bank=bank)
    assert run("queries", prompt_bank=bank[:1]).load("queries").texts


def modified(catalog):
    """When the file of each row was written."""
    return written(catalog["answers"]._describe()["filepath"])


def test_only_rows_that_change_are_answered_again(run, caplog):
    caplog.set_level("INFO")
    before = modified(run("answers"))
    assert set(before) == {*ROWS, "generator_images"}
    rows = {**make_evaluation().rows, "slow": {"num_steps": 10}}
    config = make_evaluation(rows=rows)
    catalog = run("answers", **{"params:evaluation": config})
    after = modified(catalog)
    assert {name for name in before if after[name] != before[name]} == {"slow"}
    assert "6 of 7 results are stored already." in caplog.text
    said = "Due again: slow, settings.num_steps (stored 20, asked 10)."
    assert said in caplog.text
    fresh = modified(run("answers", **{"params:resume": False}))
    assert all(fresh[name] != after[name] for name in fresh)


def test_another_prior_or_judge_or_prompt_is_another_answer(run):
    before = modified(run("answers"))
    after = modified(run("answers", prior=make_prior(0.25, gaussian=CLOUD)))
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"fast", "slow"}
    other = modified(run("answers", prior=make_prior(0.25, gaussian=CLOUD), judge=None))
    changed = {name for name in before if after[name] != other[name]}
    assert changed == set(ROWS)


class InterruptionError(Exception):
    """Stands for a kill."""


def test_a_killed_run_goes_on_with_the_next_row_to_the_same_bits(run, monkeypatch):
    def die(self, samples):
        raise InterruptionError

    with monkeypatch.context() as patched:
        patched.setattr(NearestPair, "synthesise", die)
        with pytest.raises(InterruptionError):
            run("answers")
    catalog = run("answers")
    times = modified(catalog)
    assert times["reference"] < times["nearest_pair"]
    resumed = load_arrays(catalog, "image_embedding")
    whole = load_arrays(run("answers", **{"params:resume": False}), "image_embedding")
    assert resumed.keys() == whole.keys() == set(ROWS)
    assert all(np.array_equal(resumed[row], whole[row]) for row in ROWS)


def test_seconds_are_kept_for_the_same_row_protocol_and_machine(run):
    first = run("timings").load("timings")["seconds"]
    rows = {**make_evaluation().rows, "slow": {"num_steps": 10}}
    changed = {"params:evaluation": make_evaluation(rows=rows)}
    again = run("timings", **changed).load("timings")
    kept = [row for row in first if first[row] == again["seconds"][row]]
    assert kept == [row for row in first if row != "slow"]
    longer = make_evaluation(timing_images=5)
    other = run("timings", **{"params:evaluation": longer}).load("timings")["seconds"]
    assert all(first[row] != other[row] for row in first)


def test_chosen_rows_are_all_that_is_computed_and_reported(run):
    catalog = run(
        "scores", **{"params:evaluation": make_evaluation(only="fast, random_w")}
    )
    assert set(modified(catalog)) == {"random_w", "fast", "generator_images"}
    assert catalog.load("scores")["method"].tolist() == ["random_w", "fast"]


def test_rows_may_have_their_own_numbers_of_prompts_and_samples(run):
    rows = {
        "fast": {},
        "few": {"num_prompts": 2, "num_samples": 2},
        "one": {"num_samples": 1},
    }
    config = make_evaluation(rows=rows, baseline="fast")
    catalog = run("scores", "score_differences", **{"params:evaluation": config})
    scores = catalog.load("scores").set_index("method")
    assert scores["num_prompts"].tolist() == [3, 2, 3]
    assert scores["num_samples"].tolist() == [3, 2, 1]
    assert np.isnan(scores.loc["one", "clip_diversity"])
    differences = catalog.load("score_differences").set_index("method")
    # The same first samples of the same prompts.
    by_prompt = catalog.load("scores_by_prompt").set_index("method")
    fast, few = (
        by_prompt.loc[name].set_index("prompt_index") for name in rows if name != "one"
    )
    expected = (few["clip_score"] - fast["clip_score"]).dropna().mean()
    assert differences.loc["few", "clip_score"] == pytest.approx(expected)
    assert "clip_score_best" not in differences  # of other numbers of samples
