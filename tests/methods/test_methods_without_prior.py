"""Methods without a prior: pairs, references, a floor, a GAN of texts."""

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
    make_prior,
    make_queries,
)

from clip2latent_kedro.conditioning.noise_posterior import log_density
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.worlds import portraits

from .method_world import REFERENCES, EchoText, Z, build


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
