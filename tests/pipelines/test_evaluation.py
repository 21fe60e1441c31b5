"""The pipeline, run by Kedro in a world of three colours."""

import re
from functools import partial
from html import escape

import numpy as np
import pandas as pd
import pytest
import torch
from pages import read_facts, read_page, read_picture, read_tables
from pipelines.world import DATA, make_searches, run_pipeline, written
from world import (
    PROMPTS,
    CertainColourJudge,
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    TurnedEncoder,
    make_colour_pairs,
    make_evaluation,
    make_method,
    make_models,
    make_prior,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.datasets import (
    ArrayFolderDataset,
    HTMLReportDataset,
    JsonFolderDataset,
    PicturesDataset,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import fit_gaussian
from clip2latent_kedro.methods.nearest_pair import NearestPair
from clip2latent_kedro.methods.optimisation.config import (
    OptimisationConfig,
)
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.evaluation import create_pipeline
from clip2latent_kedro.study.figures import read_intervals

ROWS = ["random_w", "reference", "generator_bound", "nearest_pair", "fast", "slow"]
NOT_FROM_TEXT = ("reference", "generator_bound")
CLOUD = fit_gaussian(torch.from_numpy(make_colour_pairs().w))
SAMPLING = {"mean_shift": 1.0, "retrieval_neighbours": 20, "retrieval_spread": 5}


def make_references():
    """Pictures of each prompt's own colour, but for its length."""
    colours = np.array([[255, 128, 128], [0, 192, 128], [128, 128, 255]], np.uint8)
    return np.broadcast_to(colours[:, None, None, None], (3, 2, 4, 4, 3))


def make_reference_z():
    """z whose colours are those of the prompts, [3, 4, 3]."""
    colours = [[float(n) for n in row["prompt"].split()] for row in PROMPTS]
    return 4 * np.array(colours, np.float32)[:, None].repeat(4, axis=1)


def stored(folder):
    """The catalog entries of what is stored row by row."""
    answers = ArrayFolderDataset(filepath=str(folder / "answers"))
    timed = JsonFolderDataset(filepath=str(folder / "timed"))
    return {
        "answers": answers,
        "answers_progress": answers,
        "timed_rows": timed,
        "timed_rows_progress": timed,
    }


def load_arrays(catalog, name):
    """One array of each row, by row."""
    found = {row: arrays for row, (arrays, _) in catalog.load("answers").items()}
    return {row: found[row][name] for row in ROWS if name in found[row]}


def run_in(folder, *outputs, **changes):
    """Run the pipeline, or what leads to some outputs, on a folder."""
    given = {
        "prompts": pd.DataFrame(PROMPTS).replace("", None),
        "prompt_bank": None,
        "generator": ColourGenerator(),
        "encoder": ColourEncoder(),
        "judge": ColourJudge(),
        "held_out_encoder": TurnedEncoder(),
        "prior": make_prior(0.5, gaussian=CLOUD),
        "prior_best_if_made": make_prior(0.25, gaussian=CLOUD),
        "student": None,
        "training_pairs_if_made": make_colour_pairs(),
        "reference_images": {"images": make_references()},
        "reference_z": {"z": make_reference_z()},
        "lafite": None,
        "clip2gan": None,
        "clip2gan_abstract": None,
        "params:data": DataConfig(**DATA),
        "params:sampling": make_sampling(**SAMPLING),
        "params:baselines.optimisation": make_searches(),
        "params:evaluation": make_evaluation(),
        "params:data_generation.psi": 1.0,
        "params:seed": 5,
        "params:resume": True,
        "params:device": "cpu",
        **changes,
    }
    files = {
        **stored(folder),
        "samples_figure": PicturesDataset(filepath=str(folder / "a.png")),
        "scores_figure": PicturesDataset(filepath=str(folder / "b.png")),
        "tradeoffs_figure": PicturesDataset(filepath=str(folder / "c.png")),
        "scores_report": HTMLReportDataset(filepath=str(folder / "a.html")),
    }
    return run_pipeline(create_pipeline(), given, files, *outputs)


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


def test_scores_by_prompt_average_to_the_scores(catalog):
    by_prompt, scores = catalog.load("scores_by_prompt"), catalog.load("scores")
    assert len(by_prompt) == 3 * len(ROWS)
    assert by_prompt["prompt"].tolist()[:3] == [row["prompt"] for row in PROMPTS]
    means = by_prompt.groupby("method", sort=False).mean(numeric_only=True)
    for name in ("clip_score", "clip_score_best", "accuracy", "pixel_diversity"):
        np.testing.assert_allclose(means[name], scores[name])
    # The third prompt states nothing.
    assert by_prompt["accuracy"].isna().tolist() == [False, False, True] * len(ROWS)


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


def test_blends_and_subjects_stand_in_every_table_if_the_judge_can_tell(run):
    config = make_evaluation(baseline="fast")
    catalog = run(judge=CertainColourJudge(), **{"params:evaluation": config})
    answers, scores = catalog.load("answers"), catalog.load("scores")
    scores = scores.set_index("method")
    for row in ROWS:
        colour = answers[row][0]["image_embedding"][..., :2]
        unsure = np.abs(colour) < 0.1
        blends = unsure[..., 0] | (unsure[..., 1] & (colour[..., 0] > 0))
        assert scores.loc[row, "blended"] == pytest.approx(blends.mean())
        assert scores.loc[row, "detected"] == 1
    assert 0 < scores.loc["random_w", "blended"] < 1
    assert "blended_low" in catalog.load("score_differences")
    header, *_ = read_tables(catalog.load("scores_report"))["Scores of each row"]
    assert {"blends", "subject found"} <= {*header}
    assert "blended" not in run().load("scores")


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


def test_the_modality_gap_is_that_of_prompts_and_their_references(catalog):
    table = catalog.load("modality_gap").set_index("bridge")
    assert list(table.index)[:2] == ["none", "mean shift"]
    texts = np.array([[1, 0, 0], [-(0.8**0.5), 0.2**0.5, 0], [0, 0, 1]])
    images = make_references()[:, 0, 0, 0] / 127.5 - 1
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    paired = (texts * images).sum(axis=1).mean()
    assert table.loc["none", "paired_cosine"] == pytest.approx(paired, abs=1e-5)
    tables = read_tables(catalog.load("scores_report"))
    assert tables["The gap after each bridge"][1][:2] == ["none", f"{paired:.3f}"]


def test_the_report_shows_each_picture_with_its_own_scores(catalog):
    """The first of each row, and the best of clip2latent."""
    page = read_page(catalog.load("scores_report"))
    answers, queries = catalog.load("answers"), make_queries()
    every = catalog.load("scores_by_prompt").set_index(["method", "prompt_index"])
    (table, *_) = page.every("table")
    heads = table.every("thead")[0].every("th")
    _, *titles = [head.every("span")[0].text for head in heads]
    assert [title for title in titles if "best" not in title] == ROWS
    found = 0
    for number, row in enumerate(table.every("tr")[1:]):
        assert row.every("th")[0].text == queries.texts[number]
        for title, cell in zip(titles, row.every("td"), strict=True):
            name, _, is_best = title.partition(", ")
            planned = answers[name][0]["prompts"].tolist()
            if number not in planned:
                assert not cell.every("img")
                continue
            found += 1
            facts = read_facts(cell)
            assert facts["prompt"] == queries.texts[number]
            assert facts["row"] == title
            assert facts["seed"] == "5"
            place = planned.index(number)
            sample, _, of = facts["sample"].partition(" of ")
            images = answers[name][0]["images"][place]
            assert int(of) == len(images)
            (image,) = cell.every("img")
            shown = read_picture(image.attributes["src"])
            np.testing.assert_array_equal(shown, images[int(sample) - 1])
            score = "clip_score_best" if is_best else "clip_score"
            if is_best or len(images) == 1:
                mean = every.loc[(name, number), score]
                assert float(facts["CLIP score"]) == pytest.approx(mean, abs=6e-4)
    assert found > len(ROWS)


def test_a_claim_leads_to_its_rows(catalog):
    page = read_page(catalog.load("scores_report"))
    (points,) = [ul for ul in page.every("ul") if "Rows: " in ul.text]
    places = {row.attributes.get("id"): row for row in page.every("tr")}
    for point in points.every("li"):
        links = point.every("a")
        assert len(links) == 2
        for link in links:
            row = places[link.attributes["href"].removeprefix("#")]
            assert row.every("th")[0].text == link.text
            assert link.text in point.every("b")[0].text


def test_the_report_says_what_it_rests_on(catalog):
    report, table = catalog.load("scores_report"), catalog.load("scores_table")
    for said in ("colours@00", "colour-clip@11", "colour-judge@22", "90%", "torch"):
        assert said in report
    tables = read_tables(report)
    assert ["seed", "5"] in tables["Models, code and seed"]
    published = tables["Table 1 of the paper"]
    assert ["clip2latent, respaced", "0.315", "0.244"] in published
    lines = [row.split(" | ") for row in table.splitlines() if row.startswith("| ")]
    rows = dict(zip(lines[0], zip(*lines[2:8], strict=True), strict=True))
    assert rows["| method"] == tuple(f"| {row}" for row in ROWS)
    scores = catalog.load("scores")
    assert rows["CLIP score"] == tuple(
        f"{mean:.3f} [{low:.3f}, {high:.3f}]"
        for mean, low, high in zip(*read_intervals(scores, "clip_score"), strict=True)
    )


def test_the_figure_shows_the_first_sample_and_the_best(catalog):
    figure, samples = catalog.load("samples_figure"), load_arrays(catalog, "images")
    by_prompt = load_arrays(catalog, "image_embedding")["fast"]
    texts = np.array([[1, 0, 0], [-1, 0.5, 0]])
    cosine = (by_prompt[:2] / np.linalg.norm(by_prompt[:2], axis=2, keepdims=True)) @ (
        texts / np.linalg.norm(texts, axis=1, keepdims=True)
    )[..., None]
    best = cosine[..., 0].argmax(axis=1)
    # Cells are 128 pixels, after 2.2 columns of text and 0.45 rows of titles.
    for prompt in range(2):
        y = int(128 * (0.45 + prompt + 0.5))
        cells = [figure[y, int(128 * (2.2 + column + 0.5))] for column in range(8)]
        expected = [samples[row][prompt, 0, 0, 0] for row in ROWS]
        expected.insert(5, samples["fast"][prompt, best[prompt], 0, 0])
        assert np.array_equal(cells[:7], expected)


def modified(catalog):
    """When the file of each row was written."""
    return written(catalog["answers"]._filepath)


def test_the_baseline_alone_has_no_differences_but_a_table_of_them(run, tmp_path):
    alone = make_evaluation(only="fast", baseline="fast")
    found = run("score_differences", **{"params:evaluation": alone})
    found.load("score_differences").to_csv(tmp_path / "a.csv", index=False)
    assert len(pd.read_csv(tmp_path / "a.csv")) == 0  # which it can be read again as


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


def test_differences_are_paired_with_the_baseline(run):
    config = make_evaluation(baseline="fast")
    catalog = run(**{"params:evaluation": config})
    by_prompt = catalog.load("scores_by_prompt").pivot(
        index="prompt_index", columns="method", values="clip_score"
    )
    differences = catalog.load("score_differences").set_index("method")
    assert list(differences.index) == [row for row in ROWS if row != "fast"]
    for row in differences.index:
        found = differences.loc[row]
        apart = by_prompt[row] - by_prompt["fast"]
        assert found["clip_score"] == pytest.approx(apart.mean())
        assert apart.min() <= found["clip_score_low"] <= found["clip_score"]
        assert found["clip_score"] <= found["clip_score_high"] <= apart.max()
    assert "## Differences from fast" in catalog.load("scores_table")
    number = differences.drop(columns="baseline").filter(regex="_low$").count().sum()
    for text in ("scores_table", "scores_report"):
        assert f"Each of the {number} intervals is by itself" in catalog.load(text)
        assert "Claims that were looked at: 1, all of which" in catalog.load(text)
    assert "20 steps instead of" not in catalog.load("scores_table")
    assert "5 steps instead of 20 cost nothing" in catalog.load("scores_table")


def test_the_held_out_clip_scores_but_does_not_choose(run, catalog):
    scores = catalog.load("scores").set_index("method")
    # It turns texts and images alike, so that the cosines are the same.
    np.testing.assert_allclose(scores["held_out_score"], scores["clip_score"], 1e-5)
    without = run("scores", held_out_encoder=None)
    assert "held_out_score" not in without.load("scores")


def test_images_are_compared_with_the_generators_own(run, catalog):
    scores = catalog.load("scores").set_index("method")
    for name in ("fid", "cmmd"):
        assert scores.loc["random_w", name] < scores.loc["generator_bound", name]
    assert scores["kid"].notna().all()
    assert scores["kid_error"].notna().all()
    # Two of three samples have a reference: too few to stand beside the others.
    assert scores["num_images"].tolist() == [9, 6, 9, 9, 9, 9]
    full = scores.index != "reference"
    for name in ("fid", "cmmd", "fid_images"):
        assert (scores[name].notna() == full).all()
    assert set(scores["fid_images"].dropna()) == {9}
    without = make_evaluation(generator_images=None)
    catalog = run("scores", **{"params:evaluation": without})
    assert "fid" not in catalog.load("scores")


def test_a_search_is_drawn_along_its_way(run):
    search = OptimisationConfig("best_of", num_steps=6, lr=0.1, record_steps=[0, 6])
    rows = {"fast": {}, "direct": {"method": "direct", "num_samples": 1}}
    config = make_evaluation(rows=rows, baseline="fast")
    searches = {"params:baselines.optimisation": make_searches(strong=search)}
    catalog = run(**{"params:evaluation": config, **searches})
    curve = catalog.load("answers")["direct"][0]
    assert curve["curve_steps"].tolist() == [0, 6]
    assert curve["curve_clip_score"].shape == (2, 3, 1)
    np.testing.assert_allclose(
        curve["curve_clip_score"], curve["curve_held_out_score"], rtol=1e-5
    )
    score = catalog.load("scores").set_index("method").loc["direct", "clip_score"]
    assert curve["curve_clip_score"][-1].mean() == pytest.approx(score, abs=1e-5)
    assert "fast is near direct by the CLIP that ranks, at a" in catalog.load(
        "scores_report"
    )
