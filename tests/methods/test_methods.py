"""Each method: what it makes of the models, and what it lacks without them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch.nn import functional
from world import (
    IMAGE_MEAN,
    TEXT_MEAN,
    ColourEncoder,
    ColourGenerator,
    TwoFormsEncoder,
    make_colour_pairs,
    make_prior,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.conditioning.noise_posterior import log_density
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods import METHODS, make_settings
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.worlds import portraits

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
SEARCH = OptimisationConfig(
    start="mean", num_steps=40, lr=0.05, record_steps=[0, 10, 40]
)


class EchoText:
    """A generator that draws the colours of the text, brightened by z."""

    z_dim, text_dim = 2, 3
    training_seconds = 60.0
    training_images = 16_000
    identity = Identity("echo", "44")

    def sample(self, z, text_embedding, *, psi):
        colour = text_embedding / 4 + psi * z.mean(dim=1, keepdim=True) / 8
        return colour[:, :, None, None].expand(-1, -1, 4, 4)

    def check_encoder(self, identity):
        if identity.name == "another" or identity.digest == "12":
            raise InputError("It must be given texts by colours.")

    def to(self, device):
        return self


class WideText(EchoText):
    text_dim = 9


GROUPS = {
    "sampling": make_sampling(),
    "baselines.optimisation.refine": replace(SEARCH, start="samples"),
    **{
        f"baselines.optimisation.{name}": SEARCH
        for name in ("strong", "article", "styleclip")
    },
}
REFERENCES = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 4, 3), np.uint8)
Z = np.random.default_rng(0).standard_normal((3, 4, 3)).astype(np.float32)


@pytest.fixture
def models():
    return Models(
        generator=ColourGenerator(),
        encoder=ColourEncoder(),
        embedder=ColourEncoder(),
        priors={"prior": make_prior(0.5)},
        latent_repeats=[2],
        latent_batch_size=64,
        image_batch_size=64,
        sampling=make_sampling(),
        training_pairs=make_colour_pairs(),
        reference_images=REFERENCES,
        reference_z=Z,
        lafite=EchoText(),
    )


def build(models, method, **overrides):
    settings = make_settings("row", overrides, GROUPS, method)
    return METHODS[method].build(settings, models, make_queries())


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


def test_lafite_says_how_much_training_it_has_had(models):
    said = "training of this LAFITE has seen 16,000 images; that of the original sees "
    assert build(models, "lafite").caveats == (f"The {said}24,960,000.",)
    unknown = EchoText()
    unknown.training_images = None
    (caveat,) = build(replace(models, lafite=unknown), "lafite").caveats
    assert caveat.startswith("How many images the training of this LAFITE has seen is")


def test_the_shipped_lafite_knows_how_much_training_it_has_had():
    """As many as the shipped settings train it on."""
    shipped = Path(portraits.__file__).parent / "weights/lafite.safetensors"
    conf = Path(__file__).parents[2] / "conf/base/parameters_baselines.yml"
    config = yaml.safe_load(conf.read_text())["baselines"]["lafite"]
    seen = load_generator("lafite", shipped).training_images
    assert seen == config["max_it"] * config["bs"]


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


def test_retrieval_gives_the_pairs_closest_to_the_plain_text(models):
    pairs, queries = models.training_pairs, make_queries()
    w = build(models, "nearest_pair").sample(queries, num_samples=5, seed=0)
    assert torch.equal(w[:, :, 0], w[:, :, 1])  # one latent for both layers
    cosine = torch.cosine_similarity(
        torch.from_numpy(pairs.clip_embedding)[None], queries.embedding[:, None], dim=2
    )
    nearest = cosine.argsort(dim=1, descending=True)[:, :5]
    assert torch.equal(w[:, :, 0], torch.from_numpy(pairs.w[:, 0])[nearest])


def test_pairs_are_drawn_as_often_as_noise_makes_them_likely(models):
    pairs, queries, num = models.training_pairs, make_queries(1), 20_000
    w = build(models, "nearest_pair", noise_level=1.5).sample(
        queries, num_samples=num, seed=0
    )[0, :, 0]
    embedding = torch.from_numpy(pairs.clip_embedding)
    cosine = torch.cosine_similarity(embedding, queries.embedding)
    expected = log_density(cosine, 1.5, dim=embedding.shape[1]).softmax(dim=0)
    drawn = (w[:, None] == torch.from_numpy(pairs.w[:, 0])).all(dim=2).double()
    torch.testing.assert_close(drawn.mean(dim=0), expected, atol=0.015, rtol=0)


def test_so_little_noise_that_no_pair_is_possible_leaves_the_nearest(models):
    queries = make_queries()
    nearest = build(models, "nearest_pair").sample(queries, num_samples=1, seed=0)
    drawn = build(models, "nearest_pair", noise_level=1e-4).sample(
        queries, num_samples=2, seed=0
    )
    assert torch.equal(drawn, nearest.expand_as(drawn))


def test_retrieval_among_pairs_of_another_generator_is_refused(models):
    pairs = models.training_pairs
    other = replace(pairs, recipe={**pairs.recipe, "generator": "other@99"})
    with pytest.raises(InputError, match="made with the generator colours@00"):
        build(replace(models, training_pairs=other), "nearest_pair")


def test_references_are_shown_as_they_are(models):
    references = build(models, "reference")
    samples = references.sample(make_queries(), num_samples=16, seed=0)
    images = references.synthesise(samples.flatten(0, 1))
    assert np.array_equal(image_to_uint8(images), REFERENCES.reshape(15, 4, 4, 3))


def test_random_w_ignores_the_text_and_follows_z(models):
    w = build(models, "random_w").sample(make_queries(), num_samples=300, seed=0)
    assert torch.equal(w[:, :, 0], w[:, :, 1])
    assert abs(4 * w[:, :, 0].mean()) < 4 / 2700**0.5
    assert abs(4 * w[:, :, 0].std() - 1) < 4 / 5400**0.5


def test_the_generators_bound_is_w_of_the_given_z(models):
    bound = build(models, "generator_bound")
    w = bound.sample(make_queries(2), num_samples=3, seed=0)
    np.testing.assert_array_equal(w, np.repeat(Z[:2, :3, None] / 4, 2, axis=2))
    image = bound.synthesise(w.flatten(0, 1))
    assert torch.equal(image[:, :, 0, 0], w[:, :, 0].flatten(0, 1))
    assert bound.sample(make_queries(), num_samples=9, seed=1).shape[:2] == (3, 4)


def test_lafite_samples_each_text_with_noise_of_its_own(models):
    method = build(models, "lafite")
    samples = method.sample(make_queries(), num_samples=4, seed=1)
    images = method.synthesise(samples.flatten(0, 1))[:, :, 0, 0].view(3, 4, 3)
    offset = images - make_queries().embedding[:, None] / 4
    torch.testing.assert_close(offset, offset[..., :1].expand_as(offset))
    assert offset[..., 0].unique().numel() == 12


def test_lafite_truncates_z_and_shifts_texts_by_the_means_of_the_prior(models):
    def draw(**settings):
        method = build(models, "lafite", **settings)
        samples = method.sample(make_queries(), num_samples=2, seed=1)
        colours = method.synthesise(samples.flatten(0, 1))[:, :, 0, 0]
        return method, colours.view(3, 2, 3)

    text = make_queries().embedding
    plain, image = draw()
    _, still = draw(psi=0.0)
    torch.testing.assert_close(still, (text / 4)[:, None].expand_as(still))
    _, half = draw(psi=0.5)
    torch.testing.assert_close(half, (image + still) / 2)

    shifted, moved = draw(psi=0.0, mean_shift=0.5)
    direction = functional.normalize(text, dim=1) + (IMAGE_MEAN - TEXT_MEAN) / 2
    direction = functional.normalize(direction, dim=1)
    torch.testing.assert_close(moved[:, 0], direction / 4)
    assert shifted.made_with != plain.made_with

    unknowing = replace(models, priors={"prior": make_prior(embedding_statistics=None)})
    with pytest.raises(UnavailableError, match="mean_shift must be 0 where the prior"):
        build(unknowing, "lafite", mean_shift=1.0)


def test_a_missing_prior_names_the_pipeline_that_makes_it(models):
    for name, pipeline in (("prior_best", "training"), ("student", "distillation")):
        with pytest.raises(
            UnavailableError, match=f"'{name}' .*pipeline {pipeline} first"
        ):
            models.find_prior(name)
