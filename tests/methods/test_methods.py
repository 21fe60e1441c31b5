"""Each method: what it makes of the models, and what it lacks without them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from world import (
    ColourEncoder,
    TwoFormsEncoder,
    make_prior,
    make_queries,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods import METHODS
from clip2latent_kedro.methods.method import UnavailableError

from .method_world import REFERENCES, WideText, build

TRIED = [
    "clip2latent",
    "random_w",
    "reference",
    "generator_bound",
    "nearest_pair",
    "direct",
    "styleclip",
    "refinement",
    "lafite",
]


def test_all_methods_are_tried_here_or_in_files_of_their_own():
    assert {*METHODS} == {*TRIED, "external", "clip2gan"}


@pytest.mark.parametrize("name", TRIED)
def test_a_method_samples_and_is_timed_if_it_starts_from_text(models, name):
    method = build(models, name)
    samples = method.sample(make_queries(), num_samples=2, seed=0)
    images = method.synthesise(samples.flatten(0, 1))
    assert images.shape == (6, 3, 4, 4)
    assert method.gives_w == (name not in ("reference", "lafite"))
    if method.gives_w:
        assert samples.shape == (3, 2, 2, 3)
    is_given = name in ("reference", "generator_bound")
    assert (method.timed(2.0) is None) == is_given
    json.dumps([method.list_settings(), dict(method.made_with)])


@pytest.mark.parametrize("name", TRIED)
def test_a_sample_does_not_depend_on_the_others(models, name):
    overrides = {"mean_shift": 1.0} if name == "clip2latent" else {}
    method = build(models, name, **overrides)
    whole = method.sample(make_queries(), num_samples=4, seed=1)
    part = method.sample(make_queries(num_prompts=2), num_samples=3, seed=1)
    assert whole.shape[:2] == (3, 4)
    torch.testing.assert_close(part, whole[:2, :3], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("nearest_pair", {"training_pairs": None}, "Run the pipeline data_generation"),
        ("reference", {"reference_images": None}, "no reference_images. Add pictures"),
        ("generator_bound", {"reference_z": None}, "no reference_z. Add z that"),
        (
            "generator_bound",
            {"reference_z": np.zeros((2, 4, 3))},
            r"3 or more, .*\[2, 4",
        ),
        (
            "generator_bound",
            {"reference_z": np.zeros((3, 4, 5))},
            r"ces, 3\], got \[3, 4",
        ),
        (
            "generator_bound",
            {"reference_z": np.zeros((12, 3))},
            r"ces, 3\], got \[12, 3",
        ),
        (
            "reference",
            {"reference_images": REFERENCES[:2]},
            r"3 or more, .* uint8 \[2, 5, 4, 4, 3",
        ),
        ("reference", {"reference_images": REFERENCES[0]}, r"got uint8 \[5, 4, 4, 3\]"),
        (
            "reference",
            {"reference_images": REFERENCES / 255},
            r"got float64 \[3, 5, 4, 4, 3\]",
        ),
        ("lafite", {"lafite": None}, "no lafite. Point .* the pipeline baselines"),
        ("clip2gan", {}, "no clip2gan. Point the catalog entry clip2gan at"),
        ("lafite", {"lafite": WideText()}, "takes texts of 9 numbers"),
        ("clip2latent", {"priors": {}}, "Run the pipeline training first"),
        ("refinement", {"priors": {}}, "Run the pipeline training first"),
        ("refinement", {"sampling": None}, "There are no parameters sampling"),
    ],
)
def test_what_the_domain_lacks_is_named(models, name, changes, message):
    with pytest.raises(UnavailableError, match=message):
        build(replace(models, **changes), name)


def test_a_student_asked_for_many_steps_is_refused_before_it_samples(models):
    student = make_prior(0.5, condition_inputs=("guidance_scale",))
    student.guidance_range = (1.0, 1.5)
    models = replace(models, priors={"student": student})
    with pytest.raises(InputError, match=r"^A distilled prior has learned one step"):
        build(models, "clip2latent", prior="student")
    refined = build(models, "refinement", prior="student")  # has no settings for it
    assert refined.list_settings()["start.num_steps"] == 1
    one = {"prior": "student", "sampler": "ddim", "num_steps": 1}
    method = build(models, "clip2latent", **one)
    assert method.timed(1.5).settings == replace(method.settings, guidance_scale=1.5)
    with pytest.raises(InputError, match=r"guidance_scale must be 1 to 1.5 for this"):
        method.timed(2.0)


def test_cfgpp_is_timed_with_the_scale_of_its_own(models):
    method = build(models, "clip2latent", guidance="cfgpp", guidance_scale=0.5)
    assert method.timed(2.0) == method


def test_retrieval_in_the_condition_needs_pairs_and_depends_on_them(models):
    without = replace(models, training_pairs=None)
    assert "training_pairs" not in build(without, "clip2latent").made_with
    with pytest.raises(UnavailableError, match="data_generation"):
        build(without, "clip2latent", retrieval_share=0.5)
    made_with = build(models, "clip2latent", retrieval_share=0.5).made_with
    assert made_with["training_pairs"]["generator"] == "colours@00"


def test_a_row_for_the_texts_of_another_encoder_is_left_out(models):
    encoder = ColourEncoder()
    encoder.identity = Identity("another", "55")
    with pytest.raises(UnavailableError, match="must be given texts by colours"):
        build(replace(models, embedder=encoder), "lafite")


@pytest.mark.parametrize("scored", ["standard", "upstream"])
def test_how_images_are_scored_leaves_no_row_out(models, scored):
    """LAFITE's texts are those of the encoder as it embeds, whichever scores."""
    encoder = TwoFormsEncoder()
    embeds = encoder.with_preprocess("standard")
    scores = encoder.with_preprocess(scored)
    build(replace(models, encoder=scores, embedder=embeds), "lafite")
    other = encoder.with_preprocess("upstream")
    with pytest.raises(UnavailableError, match="must be given texts by colours"):
        build(replace(models, encoder=scores, embedder=other), "lafite")


def test_a_shift_needs_the_means_of_the_prior(models):
    build(models, "clip2latent", mean_shift=0.0)
    prior = make_prior(0.5)
    prior.embedding_statistics = None
    with pytest.raises(
        UnavailableError, match="does not know the means of images and te"
    ):
        build(replace(models, priors={"prior": prior}), "clip2latent", mean_shift=1.0)


def test_a_search_climbs_and_shows_its_way(models):
    queries = make_queries()
    method = build(models, "direct", variant="article")
    samples, trajectory = method.sample_with_trajectory(queries, num_samples=1, seed=0)
    assert list(trajectory.steps) == [0, 10, 40]
    assert torch.equal(trajectory.samples[-1], samples)
    # What is timed does not look at its way.
    _, way_of_timed = method.timed(2.0).sample_with_trajectory(
        queries, num_samples=1, seed=0
    )
    assert list(way_of_timed.steps) == []
    assert torch.equal(samples, method.sample(queries, num_samples=1, seed=0))
    colours = trajectory.samples[
        :, :, 0, 0
    ]  # [3, 3 prompts, 3], and their own embeddings
    cosine = torch.cosine_similarity(colours, queries.embedding[None], dim=-1).mean(1)
    assert cosine[0] < cosine[1] < cosine[2]
    assert cosine[2] > 0.9


def test_a_start_at_zero_says_where_that_is(models):
    assert not any("w = 0" in text for text in build(models, "direct").caveats)
    row = build(models, "direct", start="zero")
    # Random w of this generator are around 0.
    assert row.caveats[0].startswith("The search starts at w = 0, 0.0")
    assert (
        "spreads from the mean of this generator's w, of which 95% lie within 1."
        in (row.caveats[0])
    )
    for name in ("direct", "refinement"):
        assert "no record was kept" in build(models, name).caveats[-1]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("direct", {"start": "mean"}),
        ("direct", {"start": "best_of", "num_candidates": 3}),
        ("styleclip", {}),
        ("refinement", {"start": "mean"}),
        ("clip2latent", {}),
        ("random_w", {}),
        ("lafite", {}),
        ("nearest_pair", {}),
        ("nearest_pair", {"noise_level": 3.0}),
    ],
)
def test_a_method_says_whether_the_samples_of_a_prompt_are_all_the_same(
    models, name, settings
):
    method = build(models, name, **settings)
    samples = method.sample(make_queries(1), num_samples=3, seed=0)[0]
    is_equal = [torch.equal(one, samples[0]) for one in samples[1:]]
    assert is_equal == [method.is_deterministic] * 2


def test_refinement_begins_with_the_samples_of_the_prior(models):
    queries = make_queries()
    first = build(models, "clip2latent")
    refined = build(models, "refinement", num_steps=0, record_steps=[0])
    w = refined.sample(queries, num_samples=3, seed=7)
    assert torch.equal(w, first.sample(queries, num_samples=3, seed=7))
    assert refined.list_settings()["start.num_steps"] == 5
    assert refined.list_settings()["num_steps"] == 0
    assert refined.made_with == first.made_with


def test_clip2latent_with_other_settings_has_the_same_noise(models):
    """With a prior that returns x_T times a factor, w - mean differ by a factor."""
    models = replace(models, priors={"prior": make_prior(1.0)})
    blind = {"sampler": "ddim", "guidance_scale": 0.0}
    first, second = (
        build(models, "clip2latent", num_steps=steps, **blind).sample(
            make_queries(), num_samples=2, seed=0
        )
        for steps in (5, 20)
    )
    mean = torch.tensor([0.1, -0.2, 0.3])
    ratio = (second - mean) / (first - mean)
    torch.testing.assert_close(ratio, ratio[0, 0, 0, 0].expand_as(ratio))


def test_a_missing_prior_names_the_pipeline_that_makes_it(models):
    for name, pipeline in (("prior_best", "training"), ("student", "distillation")):
        with pytest.raises(
            UnavailableError, match=f"'{name}' .*pipeline {pipeline} first"
        ):
            models.find_prior(name)
