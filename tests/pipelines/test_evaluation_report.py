"""What the pipeline reports: scores, tables, figures, the page."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from pages import read_facts, read_page, read_picture, read_tables
from pipelines.evaluation_world import ROWS, load_arrays, make_references, run_in
from pipelines.world import make_searches
from world import (
    PROMPTS,
    CertainColourJudge,
    make_evaluation,
    make_queries,
)

from clip2latent_kedro.methods.optimisation.config import (
    OptimisationConfig,
)
from clip2latent_kedro.study.figures import read_intervals


@pytest.fixture
def run(tmp_path):
    return partial(run_in, tmp_path)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """After a run of everything as it is."""
    return run_in(tmp_path_factory.mktemp("evaluation"))


def test_scores_by_prompt_average_to_the_scores(catalog):
    by_prompt, scores = catalog.load("scores_by_prompt"), catalog.load("scores")
    assert len(by_prompt) == 3 * len(ROWS)
    assert by_prompt["prompt"].tolist()[:3] == [row["prompt"] for row in PROMPTS]
    means = by_prompt.groupby("method", sort=False).mean(numeric_only=True)
    for name in ("clip_score", "clip_score_best", "accuracy", "pixel_diversity"):
        np.testing.assert_allclose(means[name], scores[name])
    # The third prompt states nothing.
    assert by_prompt["accuracy"].isna().tolist() == [False, False, True] * len(ROWS)


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


def test_the_baseline_alone_has_no_differences_but_a_table_of_them(run, tmp_path):
    alone = make_evaluation(only="fast", baseline="fast")
    found = run("score_differences", **{"params:evaluation": alone})
    found.load("score_differences").to_csv(tmp_path / "a.csv", index=False)
    assert len(pd.read_csv(tmp_path / "a.csv")) == 0  # which it can be read again as


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
