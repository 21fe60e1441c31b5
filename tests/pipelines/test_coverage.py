"""The coverage, run by Kedro in a world of three colours."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pages import read_page
from pipelines.world import DATA, ENGINES, run_pipeline, written
from world import (
    HERE,
    PROMPTS,
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    TurnedEncoder,
    make_evaluation,
    make_models,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.datasets import ArrayFolderDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.metrics.clip_score import clip_scores
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.coverage import create_pipeline
from clip2latent_kedro.study.coverage import samples as coverage_samples
from clip2latent_kedro.study.coverage.config import CoverageConfig
from clip2latent_kedro.study.coverage.samples import draw_again
from clip2latent_kedro.study.evaluation import plan_rows
from clip2latent_kedro.study.run import run_study

SEED = 5
EVALUATION = make_evaluation(rows={"fast": {}}, baseline="fast")
COLOURS = {"red": {"no": "-1 0 0", "yes": "1 0 0"}}


class NoText(ColourEncoder):
    def encode_text(self, texts):
        msg = f"This encoder does not know {texts[0]!r}."
        raise InputError(msg)


class SightedColourJudge(ColourJudge):
    """Green cannot be seen without red."""

    def visible(self, values):
        return torch.stack([torch.ones_like(values[:, 0]), values[:, 0]], 1).bool()


def answer(**changes):
    """Answers of the comparison's row, as the pipeline `evaluation` stores them."""
    models = make_models(**{"held_out": TurnedEncoder(), **changes})
    sampling = {"sampling": make_sampling()}
    queries = make_queries()
    if models.judge is None:
        queries = replace(queries, stated=queries.stated[:, :0])
    rows, _ = plan_rows(EVALUATION, sampling, models, queries, seed=SEED)
    return {k: v for part in run_study(rows, list(rows), HERE) for k, v in part.items()}


@pytest.fixture
def run(tmp_path):
    def run(*outputs, num_images=150, zero_shot=None, **changes):
        coverage = CoverageConfig(
            num_images=num_images, rare=0.05, missed=0.9, zero_shot=zero_shot or {}
        )
        given = {
            "prompts": pd.DataFrame(PROMPTS),
            "generator": ColourGenerator(),
            "encoder": ColourEncoder(),
            "held_out_encoder": TurnedEncoder(),
            "judge": ColourJudge(),
            "answers_progress": {},
            "params:data": DataConfig(**DATA),
            "params:data_generation.psi": 1.0,
            "params:evaluation": EVALUATION,
            "params:coverage": coverage,
            "params:seed": SEED,
            "engines": ENGINES,
            "params:device": "cpu",
            "params:resume": True,
            **changes,
        }
        folder = ArrayFolderDataset(filepath=str(tmp_path / "samples"))
        stored = {"coverage_samples": folder, "coverage_progress": folder}
        return run_pipeline(create_pipeline(), given, stored, *outputs)

    return run


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(coverage_samples, "IMAGES_PER_FILE", 64)


def draw_images(num):
    return draw_again(range(num), make_models(), DataConfig(**DATA), psi=1.0, seed=SEED)


def find(catalog, *values):
    """Return the row of a value or of a pair, given as attribute, value, ..."""
    table = catalog.load("coverage_demands").fillna("")
    columns = ["attribute", "value", "other_attribute", "other_value"]
    wanted = [*values, "", ""][:4]
    (row,) = [row for _, row in table.iterrows() if row[columns].tolist() == wanted]
    return row


def test_shares_are_those_of_the_images_that_are_drawn(run):
    catalog = run(answers_progress=answer())
    seen = ColourJudge().classify(draw_images(150)).bool().numpy()
    is_red = find(catalog, "red", "yes")
    assert is_red["num_shown"] == seen[:, 0].sum()
    assert is_red["share"] == pytest.approx(seen[:, 0].mean())
    both = find(catalog, "red", "yes", "green", "yes")
    assert both["num_shown"] == seen.all(axis=1).sum()
    assert both["num_asked"] == 0
    asked = find(catalog, "red", "no", "green", "yes")
    assert asked["num_asked"] == 1
    # The row draws the colours that it is asked for, with no spread.
    assert asked["right"] == 1
    assert set(catalog.load("coverage_demands")["fault"]) == {""}


def test_the_nearest_image_is_chosen_by_one_encoder_and_scored_by_both(run):
    stored = answer()
    table = run(answers_progress=stored).load("coverage_prompts")
    image, queries = draw_images(150), make_queries()
    cosine = clip_scores(
        np.repeat(ColourEncoder().encode_image(image)[None].numpy(), 3, axis=0),
        queries.embedding.numpy(),
    )
    np.testing.assert_allclose(table["nearest_clip_score"], cosine.max(axis=1))
    best = image[cosine.argmax(axis=1)]
    held_out = clip_scores(
        TurnedEncoder().encode_image(best)[:, None].numpy(),
        TurnedEncoder().encode_text(queries.texts).numpy(),
    )
    np.testing.assert_allclose(table["nearest_held_out_score"], held_out[:, 0])
    assert table["own_images"].sum() == 150
    assert table["own_images"].tolist() == np.bincount(cosine.argmax(axis=0)).tolist()
    of_row = clip_scores(
        stored["fast"][0]["image_embedding"], queries.embedding.numpy()
    )
    np.testing.assert_allclose(table["row_clip_score"], of_row.mean(axis=1))
    assert table["num_stated"].tolist() == [1, 2, 0]
    assert table["most_shown"].tolist() == [1, 2, 0]
    assert table["row_right"].tolist()[:2] == [1, 1]


def test_what_cannot_be_seen_is_not_shown(run):
    judge = SightedColourJudge()
    stored = answer(judge=judge)
    catalog = run(judge=judge, answers_progress=stored)
    hidden = find(catalog, "red", "no", "green", "yes")
    assert hidden["num_shown"] == 0
    assert hidden["right"] == 0
    assert hidden["right_high"] < 0.9  # even of one prompt
    assert hidden["fault"] == "the generator"
    report = catalog.load("coverage_report")
    assert "the generator: 1 (red no, green yes); the prior: 1 (green" in report
    page = read_page(report)
    rows = {row.attributes.get("id"): row for row in page.every("tr")}
    (missed,) = [point for point in page.every("li") if "Missed by" in point.text]
    named = {
        rows[a.attributes["href"][1:]].every("th")[0].text for a in missed.every("a")
    }
    assert "red no, green yes" in named
    nearest = page.every("table")[-3].every("figure")[0]
    assert "nearest image" in nearest.every("img")[0].attributes["alt"]


def test_parts_are_stored_and_more_images_begin_with_the_same(run, tmp_path):
    first = run("coverage_samples").load("coverage_samples")
    times = written(tmp_path / "samples")
    assert len(times) == 3  # of 64, 64 and 22 images
    run("coverage_samples")
    assert written(tmp_path / "samples") == times
    more = run(num_images=192)
    after = written(tmp_path / "samples")
    assert {k: after[k] for k in times} == times
    assert len(after) == 4  # the last part is now a whole one
    assert len(first) == 3
    assert "192 images of random w" in more.load("coverage_table")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda stored: {}, "The row fast has no answers yet."),
        (
            lambda stored: {"fast": ({}, {"problem": "no memory"})},
            "The row fast has no answers yet.",
        ),
        (
            lambda stored: answer(judge=SightedColourJudge(), held_out=None),
            "answers of the row fast are of other held_out_encoder.",
        ),
    ],
)
def test_without_answers_of_the_same_there_is_no_row(run, caplog, change, problem):
    catalog = run(answers_progress=change(answer()))
    assert problem in caplog.text
    assert "row_clip_score" not in catalog.load("coverage_prompts")
    assert "right" not in catalog.load("coverage_demands")
    assert problem in catalog.load("coverage_report")


def test_answers_to_other_prompts_are_none(run, caplog):
    other = pd.DataFrame([{**PROMPTS[0], "prompt": "0 1 0"}, *PROMPTS[1:]])
    run(prompts=other, answers_progress=answer())
    assert "are of other prompts. Run the pipeline evaluation" in caplog.text


def test_a_domain_without_a_judge_has_its_prompts_alone(run):
    catalog = run(judge=None, answers_progress=answer(judge=None))
    assert len(catalog.load("coverage_demands")) == 0
    table = catalog.load("coverage_prompts")
    assert "num_stated" not in table
    assert table["row_clip_score"].notna().all()
    assert "By CLIP:" in catalog.load("coverage_table")


def test_texts_make_a_judge_of_clip(run):
    """A text for each side of an axis finds the sign of the colour on it."""
    stored = answer(judge=None)
    catalog = run(judge=None, zero_shot=COLOURS, answers_progress=stored)
    seen = (draw_images(150).mean(dim=(2, 3))[:, 0] > 0).numpy()
    table = catalog.load("coverage_demands").set_index("value")
    assert table.loc["yes", "num_shown"] == seen.sum()
    assert table["num_asked"].tolist() == [1, 1]
    assert table["right"].tolist() == [1, 1]


def test_an_encoder_without_text_leaves_the_judge(run, caplog):
    catalog = run(encoder=NoText(), held_out_encoder=None)
    assert "Without the texts of the prompts: This encoder" in caplog.text
    table = catalog.load("coverage_prompts")
    assert "nearest_clip_score" not in table
    assert table["num_stated"].tolist() == [1, 2, 0]


def test_without_prompts_shares_remain(run):
    catalog = run(prompts=None)
    assert len(catalog.load("coverage_prompts")) == 0
    assert (catalog.load("coverage_demands")["num_asked"] == 0).all()


def test_with_neither_judge_nor_text_nothing_can_be_told(run):
    with pytest.raises(InputError, match="needs a judge, or prompts whose texts the"):
        run("coverage_variants", encoder=NoText(), judge=None)
