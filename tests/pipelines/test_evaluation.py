"""The pipeline, run by Kedro in a world of three colours."""

import re
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
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
    make_model,
    make_prior,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.datasets import HTMLReportDataset, PicturesDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.evaluation import Clip2Latent
from clip2latent_kedro.latents import measure_cloud
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.evaluation import create_pipeline
from clip2latent_kedro.pipelines.evaluation.report import markdown_table, score_cells

ROWS = ["random_w", "reference", "generator_bound", "nearest_pair", "fast", "slow"]
NOT_FROM_TEXT = ("reference", "generator_bound")
CLOUD = measure_cloud(torch.from_numpy(make_colour_pairs().w))
DATA = {
    "bs": 16,
    "embed_noise_scale": 0.5,
    "clip_variant": "colour",
    "n_latents": 1,
    "latent_dim": 3,
    "latent_repeats": [2],
}


SAMPLING = {"mean_shift": 1.0, "retrieval_neighbours": 20, "retrieval_spread": 5}


def make_references():
    """Pictures of each prompt's own colour, but for its length."""
    colours = np.array([[255, 128, 128], [0, 192, 128], [128, 128, 255]], np.uint8)
    return np.broadcast_to(colours[:, None, None, None], (3, 2, 4, 4, 3))


def make_reference_z():
    """z whose colours are those of the prompts, [3, 4, 3]."""
    colours = [[float(n) for n in row["prompt"].split()] for row in PROMPTS]
    return 4 * np.array(colours, np.float32)[:, None].repeat(4, axis=1)


class KeptDataset(MemoryDataset):
    """In memory also after the last node that reads it."""

    def _release(self):
        pass


@pytest.fixture
def run(tmp_path):
    def run(**changes):
        given = {
            "prompts": pd.DataFrame(PROMPTS).replace("", None),
            "generator": ColourGenerator(),
            "encoder": ColourEncoder(),
            "judge": ColourJudge(),
            "prior": make_prior(0.5, cloud=CLOUD),
            "prior_best": make_prior(0.25, cloud=CLOUD),
            "student": {},
            "training_pairs": make_colour_pairs(),
            "reference_images": {"images": make_references()},
            "reference_z": {"z": make_reference_z()},
            "params:data": DataConfig(**DATA),
            "params:sampling": make_sampling(**SAMPLING),
            "params:evaluation": make_evaluation(),
            "params:seed": 5,
            "params:device": "cpu",
            **changes,
        }
        results = create_pipeline().all_outputs()
        catalog = DataCatalog(
            {
                **{n: MemoryDataset(v, copy_mode="assign") for n, v in given.items()},
                **{name: KeptDataset(copy_mode="assign") for name in results},
                "samples_figure": PicturesDataset(filepath=str(tmp_path / "a.png")),
                "scores_report": HTMLReportDataset(filepath=str(tmp_path / "a.html")),
            }
        )
        SequentialRunner().run(create_pipeline(), catalog)
        return catalog

    return run


def test_every_row_is_drawn_scored_and_timed(run):
    catalog = run()
    samples, w = catalog.load("samples"), catalog.load("samples_w")
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
    assert list(timings["seconds"]) == timed
    assert timings["machine"]["device"] == "cpu"
    assert timings["protocol"]["timing_images"] == 4
    for row in timed:
        stages = timings["seconds"][row]
        assert list(stages) == ["prior", "synthesis", "reranking"]
        totals = np.sum(list(stages.values()), axis=0)
        assert len(totals) == 2
        assert scores.loc[row, "seconds"] == pytest.approx(totals.mean())
        assert scores.loc[row, "seconds_std"] == pytest.approx(totals.std())
    assert np.isnan(scores.loc["reference", "seconds"])


def test_scores_by_prompt_average_to_the_scores(run):
    catalog = run()
    by_prompt, scores = catalog.load("scores_by_prompt"), catalog.load("scores")
    assert len(by_prompt) == 3 * len(ROWS)
    assert by_prompt["prompt"].tolist()[:3] == [row["prompt"] for row in PROMPTS]
    means = by_prompt.groupby("method", sort=False).mean(numeric_only=True)
    for name in ("clip_score", "clip_score_best", "accuracy", "pixel_diversity"):
        np.testing.assert_allclose(means[name], scores[name])
    # The third prompt states nothing.
    assert by_prompt["accuracy"].isna().tolist() == [False, False, True] * len(ROWS)


def test_the_same_seed_gives_the_same_bits_whatever_the_batches(run):
    first = run().load("samples_w")
    small = make_evaluation(latent_batch_size=2, image_batch_size=1)
    again = run(**{"params:evaluation": small}).load("samples_w")
    other = run(**{"params:seed": 6}).load("samples_w")
    for row in first:
        assert np.array_equal(first[row], again[row])
        unseeded = row in ("nearest_pair", "generator_bound")
        assert np.array_equal(first[row], other[row]) == unseeded


def test_fewer_prompts_give_the_same_answers_to_those(run):
    whole = run().load("samples_w")
    fewer = make_evaluation(num_prompts=2)
    part = run(**{"params:evaluation": fewer}).load("samples_w")
    for row in whole:
        assert np.array_equal(part[row], whole[row][:2])


def test_a_domain_may_lack_references_and_a_judge(run):
    catalog = run(reference_images={}, reference_z={}, judge={})
    scores = catalog.load("scores")
    timed = [row for row in ROWS if row not in NOT_FROM_TEXT]
    assert scores["method"].tolist() == timed
    assert "accuracy" not in scores
    assert catalog.load("modality_gap").empty
    report = catalog.load("scores_report")
    assert "<th>attributes right</th>" not in report
    assert "<td>judge</td><td>none</td>" in report
    assert "<h2>Modality gap</h2>" not in report


def test_a_row_may_draw_from_another_prior(run):
    rows = {"last": {}, "best": {"prior": "prior_best"}, "one": {"prior": "student"}}
    config = make_evaluation(rows=rows)
    catalog = run(student=make_prior(0.0), **{"params:evaluation": config})
    for row, spread in (("last", 0.5), ("best", 0.25), ("one", 0.0)):
        method = Clip2Latent(make_model(spread), make_sampling(**SAMPLING))
        w = method.sample(make_queries(), num_samples=3, seed=5)
        assert np.array_equal(catalog.load("samples_w")[row], w)
    report = catalog.load("scores_report")
    assert "<tr><td>best</td><td>&quot;prior_best&quot;</td>" in report


def test_a_row_of_a_student_that_is_not_there_says_who_makes_it(run):
    rows = {"one_step": {"prior": "student"}}
    with pytest.raises(InputError, match="Run the pipeline distillation first"):
        run(**{"params:evaluation": make_evaluation(rows=rows)})


def test_the_modality_gap_is_that_of_prompts_and_their_references(run):
    catalog = run()
    table = catalog.load("modality_gap").set_index("bridge")
    assert list(table.index)[:2] == ["none", "mean shift"]
    texts = np.array([[1, 0, 0], [-(0.8**0.5), 0.2**0.5, 0], [0, 0, 1]])
    images = make_references()[:, 0, 0, 0] / 127.5 - 1
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    paired = (texts * images).sum(axis=1).mean()
    assert table.loc["none", "paired_cosine"] == pytest.approx(paired, abs=1e-5)
    report = catalog.load("scores_report")
    assert f"<td>none</td><td>{paired:.3f}</td>" in report


def test_the_report_says_what_it_rests_on(run):
    catalog = run()
    report, table = catalog.load("scores_report"), catalog.load("scores_table")
    for said in ("colours@00", "colour-clip@11", "colour-judge@22", "90%", "torch"):
        assert said in report
    assert "<td>seed</td><td>5</td>" in report
    assert len(re.findall(r"<img [^>]*data:image/png;base64,", report)) == 1
    lines = table.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ROWS
    assert len({line.count("|") for line in lines}) == 1
    score = catalog.load("scores")["clip_score"][3]
    assert f"{score:.3f} [" in lines[5]


def test_the_figure_shows_the_first_sample_and_the_best(run):
    catalog = run()
    figure, samples = catalog.load("samples_figure"), catalog.load("samples")
    by_prompt = catalog.load("drawn")["fast"].image_embedding
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


def test_cells_of_a_score_that_does_not_apply_are_empty():
    scores = pd.DataFrame(
        {
            "method": ["a"],
            "num_samples": [1],
            "clip_score": [0.5],
            "clip_score_low": [0.25],
            "clip_score_high": [0.75],
            **{f"pixel_diversity{end}": [np.nan] for end in ("", "_low", "_high")},
        }
    )
    assert markdown_table(score_cells(scores)) == (
        "| method | samples | CLIP score | diversity, pixels |\n"
        "| --- | --- | --- | --- |\n"
        "| a | 1 | 0.500 [0.250, 0.750] |  |\n"
    )


def test_kedro_builds_the_configs_from_the_annotations():
    raw = {
        "data": DATA,
        "sampling": asdict(make_sampling()),
        "evaluation": asdict(make_evaluation()),
        "seed": 1,
        "device": "cpu",
    }
    built = ParameterValidator({"evaluation": create_pipeline()}).validate_raw_params(
        raw
    )
    assert built["sampling"] == make_sampling()
    assert built["evaluation"] == make_evaluation()
