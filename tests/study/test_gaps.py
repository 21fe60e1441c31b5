import numpy as np
import pytest
import torch
from world import (
    IMAGE_MEAN,
    TEXT_MEAN,
    make_colour_pairs,
    make_prior,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.prior.diffusion import EmbeddingStatistics
from clip2latent_kedro.study.gaps import BRIDGES, measure_gaps

NEIGHBOURS = {"retrieval_neighbours": 20, "retrieval_spread": 5}


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def measure(image_embedding, prior=None, num_pairs=200, **sampling):
    return measure_gaps(
        prior or make_prior(),
        make_queries(),
        image_embedding,
        make_sampling(**{**NEIGHBOURS, **sampling}),
        retrieval_bank=make_colour_pairs(num_pairs).clip_embedding,
        seed=0,
    )


def test_the_shift_closes_a_gap_that_is_the_difference_of_the_means():
    """Images at the shifted directions of their texts: no gap is left."""
    texts = unit(make_queries().embedding.numpy())
    images = texts + (IMAGE_MEAN - TEXT_MEAN).numpy()
    gaps = measure(images[:, None].repeat(4, axis=1) * 7, mean_shift=0.5)
    assert list(gaps) == list(BRIDGES)
    paired = np.einsum("nd,nd->n", texts, unit(images)).mean()
    assert gaps["none"]["paired_cosine"] == pytest.approx(paired, abs=1e-6)
    distance = np.linalg.norm((texts - unit(images)).mean(axis=0))
    assert gaps["none"]["mean_distance"] == pytest.approx(distance, abs=1e-6)
    assert gaps["mean shift"]["paired_cosine"] == pytest.approx(1, abs=1e-6)
    assert gaps["mean shift"]["mean_distance"] == pytest.approx(0, abs=1e-6)
    half = gaps["as sampled"]["mean_distance"]
    assert 0 < half < gaps["none"]["mean_distance"]


def test_retrieval_takes_texts_to_the_images_of_the_bank():
    bank = torch.from_numpy(unit(make_colour_pairs().clip_embedding))
    texts = torch.from_numpy(unit(make_queries().embedding.numpy()))
    nearest = bank[(texts @ bank.T).argmax(dim=1)][:, None].numpy()
    gaps = measure(nearest, retrieval_neighbours=1, retrieval_spread=1)
    assert gaps["retrieval"]["paired_cosine"] == pytest.approx(1, abs=1e-6)
    assert gaps["none"]["paired_cosine"] < 0.9999


def test_bridges_that_cannot_be_had_are_left_out():
    images = np.ones((3, 1, 3))
    statistics = EmbeddingStatistics(IMAGE_MEAN, 2.0)  # no mean of texts
    gaps = measure(images, prior=make_prior(embedding_statistics=statistics))
    assert list(gaps) == ["none", "retrieval", "as sampled"]
    assert list(measure(images, num_pairs=19)) == ["none", "mean shift", "as sampled"]


def test_a_column_of_noise_is_no_part_of_the_embedding():
    images = np.ones((3, 2, 3))
    told = make_prior(condition_inputs=("noise_level",), embed_noise_scale=0.7)
    assert measure(images, prior=told) == measure(images)
