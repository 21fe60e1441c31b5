"""From embeddings to conditions, in a world of three colours."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from world import IMAGE_MEAN, TEXT_MEAN, make_prior, make_sampling

from clip2latent_kedro.conditioning import (
    EmbeddedQueries,
    condition_on_image,
    condition_on_queries,
    mean_direction,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics

TEXT = torch.tensor([[3.0, 0, 4], [0, -2, 0]])
IMAGE = torch.tensor([[0.0, 0.3, 0.4]])
ONE = {"num_samples": 1, "seed": 0}


def condition(text=TEXT, prior=None, **sampling):
    return condition_on_queries(
        prior or make_prior(), text, make_sampling(**sampling), **ONE
    )


def test_shift_moves_the_text_by_the_difference_of_the_means():
    direction = torch.tensor([0.6, 0, 0.8]) + 0.5 * (IMAGE_MEAN - TEXT_MEAN)
    expected = 2 * functional.normalize(direction, dim=0)
    torch.testing.assert_close(condition(mean_shift=0.5)[0], expected)


def test_condition_has_the_length_of_image_embeddings_and_forgets_that_of_texts():
    found = condition(mean_shift=1.0)
    torch.testing.assert_close(found.norm(dim=1), torch.full((2,), 2.0))
    torch.testing.assert_close(condition(7 * TEXT, mean_shift=1.0), found)


def test_texts_that_are_images_moved_by_a_constant_come_back_to_the_images():
    images = functional.normalize(torch.tensor([[1.0, 1, 0], [1, -1, 0]]), dim=1)
    texts = images * torch.tensor([-1, 1, 1])  # which moves both by the same
    means = EmbeddingStatistics(images.mean(dim=0), 2.0, mean_direction(texts))
    found = condition(texts, make_prior(embedding_statistics=means), mean_shift=1.0)
    torch.testing.assert_close(found, 2 * images)


def test_without_statistics_a_text_stays_as_it_is():
    unknown = make_prior(embedding_statistics=None)
    torch.testing.assert_close(condition(prior=unknown), TEXT)


def test_an_image_is_given_as_it_is():
    prior = make_prior(text_embed_scale=3.0)
    torch.testing.assert_close(condition_on_image(prior, IMAGE), 3 * IMAGE)
    alone = EmbeddedQueries(TEXT[:0], IMAGE, torch.ones(1, 1))
    found = condition_on_queries(prior, alone, make_sampling(mean_shift=1.0), **ONE)
    torch.testing.assert_close(found, 3 * IMAGE)


def test_texts_of_a_sum_are_shifted_before_they_are_added_up():
    sampling = make_sampling(mean_shift=1.0)
    weights = torch.tensor([[2.0, 0, -1]])
    mixed = EmbeddedQueries(TEXT, IMAGE, weights)
    found = condition_on_queries(make_prior(), mixed, sampling, **ONE)
    shifted = functional.normalize(condition(mean_shift=1.0)[0], dim=0)
    direction = functional.normalize(2 * shifted - 2 * IMAGE[0], dim=0)
    length = (2 * 2.0 + 1 * 0.5) / 3  # weighted mean of the parts' lengths
    torch.testing.assert_close(found[0], length * direction)


@pytest.mark.parametrize(("asked", "told"), [(None, 0.75), (0.2, 0.2), (0.0, 0.0)])
def test_texts_are_as_noisy_as_in_training_and_images_are_not(asked, told):
    prior = make_prior(condition_inputs=("noise_level",), embed_noise_scale=0.75)
    queries = EmbeddedQueries(TEXT, IMAGE, torch.tensor([[1.0, 0, 1], [0, 0, 1]]))
    sampling = make_sampling(noise_level=asked)
    found = condition_on_queries(prior, queries, sampling, **ONE)
    assert found.shape == (2, 4)
    torch.testing.assert_close(found[:, 3], torch.tensor([told, 0.0]))
    assert condition_on_image(prior, IMAGE)[0, 3] == 0


def test_queries_have_the_least_noise_of_training_or_more():
    prior = make_prior(
        condition_inputs=("noise_level",), embed_noise_scale=0.75, embed_noise_least=0.5
    )
    queries = EmbeddedQueries(TEXT, IMAGE, torch.tensor([[1.0, 0, 1], [0, 0, 1]]))
    sampling = make_sampling(noise_level=0.6)
    found = condition_on_queries(prior, queries, sampling, **ONE)
    torch.testing.assert_close(found[:, 3], torch.tensor([0.6, 0.5]))
    assert condition_on_image(prior, IMAGE)[0, 3] == 0.5
    message = r"noise_level must be at least 0\.5.*embed_noise_least\), got 0\.4\."
    with pytest.raises(InputError, match=message):
        condition_on_queries(prior, TEXT, make_sampling(noise_level=0.4), **ONE)


def bank(num_rows=40):
    return np.random.default_rng(0).standard_normal((num_rows, 3), np.float32)


def retrieving(**changes):
    settings = {
        "retrieval_share": 0.25,
        "retrieval_neighbours": 5,
        "retrieval_spread": 1,
        "mean_shift": 1.0,
    }
    return make_sampling(**{**settings, **changes})


def test_retrieval_goes_a_share_of_the_way_to_the_nearest_image():
    found = condition_on_queries(
        make_prior(), TEXT, retrieving(), **ONE, retrieval_bank=bank()
    )
    shifted = functional.normalize(condition(mean_shift=1.0), dim=1)
    rows = functional.normalize(torch.from_numpy(bank()), dim=1)
    nearest = rows[(shifted @ rows.T).argmax(dim=1)]
    expected = functional.normalize(0.75 * shifted + 0.25 * nearest, dim=1)
    torch.testing.assert_close(found, 2 * expected)


def test_a_whole_share_forgets_all_of_the_text_but_its_neighbours():
    settings = retrieving(retrieval_share=1.0, retrieval_spread=3)
    found, near = (
        condition_on_queries(
            make_prior(), text, settings, num_samples=4, seed=0, retrieval_bank=bank()
        )
        for text in (TEXT, TEXT + 1e-3)
    )
    assert found.shape == (2, 4, 3)
    torch.testing.assert_close(near, found)
    torch.testing.assert_close(found.norm(dim=2), torch.full((2, 4), 2.0))
    assert len(found.flatten(0, 1).unique(dim=0)) == 8


def test_retrieval_leaves_plain_images_alone():
    queries = EmbeddedQueries(TEXT, IMAGE, torch.tensor([[1.0, 0, 0], [0, 0, 1]]))
    settings = retrieving(retrieval_spread=3)
    prior = make_prior(condition_inputs=("noise_level",), embed_noise_scale=0.75)
    found = condition_on_queries(
        prior, queries, settings, num_samples=4, seed=0, retrieval_bank=bank()
    )
    plain = torch.cat([IMAGE, torch.zeros(1, 1)], dim=1)
    torch.testing.assert_close(found[1], plain.expand(4, 4))
    torch.testing.assert_close(found[0, :, 3], torch.full((4,), 0.75))


NOISY = {"condition_inputs": ("noise_level",), "embed_noise_scale": 0.75}
NO_TEXTS = {"embedding_statistics": EmbeddingStatistics(IMAGE_MEAN, 2.0)}


@pytest.mark.parametrize(
    ("prior", "settings", "message"),
    [
        (NO_TEXTS, {"mean_shift": 1.0}, "mean of the text embeddings is not known"),
        (
            {"embedding_statistics": None},
            {"mean_shift": 1.0},
            "mean of the image embeddings is not known",
        ),
        ({}, {"noise_level": 0.5}, "noise_level must be null for a prior that"),
        (NOISY, {"noise_level": 0.8}, "noise_level must be at most 0.75, which th"),
        ({}, {"retrieval_share": 0.5}, "retrieval_share must be 0 where there are"),
    ],
)
def test_what_a_prior_cannot_do_is_refused(prior, settings, message):
    with pytest.raises(InputError, match=message):
        condition(prior=make_prior(**prior), **settings)


def test_retrieval_needs_a_large_enough_bank():
    few = {"retrieval_bank": bank(4)}
    with pytest.raises(InputError, match=r"at most the 4 embeddings .* got 5"):
        condition_on_queries(make_prior(), TEXT, retrieving(), **ONE, **few)
