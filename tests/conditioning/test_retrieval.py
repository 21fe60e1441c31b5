import numpy as np
import pytest
import torch
import zarr
from world import make_sampling

from clip2latent_kedro.conditioning.retrieval import (
    dirichlet_weights,
    farthest_points,
    mix_neighbours,
)

DIRECTION = torch.nn.functional.normalize(
    torch.tensor([[1.0, 0.2, 0, 0], [0, 1, -0.4, 0.3], [0, 0, 0.1, 1]]), dim=1
)


def angles(*degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)[None]


def test_those_taken_are_the_nearest_and_then_the_farthest_from_any_taken():
    neighbours = angles(1, 10, -30, 42, 60, -50)
    chosen = farthest_points(neighbours, 4)
    found = np.degrees(np.arctan2(chosen[0, :, 1], chosen[0, :, 0]))
    # 60 is 59 away, then -50 is 51, then -30 is 20, 42 is 18 and 10 is 9.
    np.testing.assert_allclose(found, [1, 60, -50, -30])
    whole = farthest_points(neighbours, 6)[0]
    assert {tuple(row) for row in whole} == {tuple(row) for row in neighbours[0]}


def test_prompts_do_not_disturb_each_other():
    neighbours = np.concatenate([angles(1, 10, -30, 40), angles(0, 80, 5, -7)])
    alone = [farthest_points(row[None], 3)[0] for row in neighbours]
    np.testing.assert_allclose(farthest_points(neighbours, 3), alone)


@pytest.mark.parametrize("concentration", [0.5, 4.0])
def test_weights_are_dirichlet(concentration):
    """Mean 1 / k, variance (k - 1) / (k^2 (k c + 1)), for k components of c each."""
    k = 4
    weights = dirichlet_weights((20, 50, k), concentration, seed=0)
    np.testing.assert_allclose(weights.sum(axis=2), 1)
    variance = (k - 1) / (k**2 * (k * concentration + 1))
    np.testing.assert_allclose(weights.mean((0, 1)), 1 / k, atol=4 * variance**0.5 / 32)
    np.testing.assert_allclose(weights.var((0, 1)), variance, rtol=0.15)


def test_weights_depend_on_seed_prompt_and_number_alone():
    whole = dirichlet_weights((3, 5, 4), 0.5, seed=1)
    assert np.array_equal(dirichlet_weights((2, 3, 4), 0.5, seed=1), whole[:2, :3])
    assert not np.isclose(dirichlet_weights((3, 5, 4), 0.5, seed=2), whole).any()
    assert len(np.unique(whole.reshape(15, 4), axis=0)) == 15


def make_bank():
    return np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32)


@pytest.mark.parametrize("spread", [1, 6])
def test_a_mix_is_of_the_chosen_neighbours_with_the_drawn_weights(spread):
    """A single neighbour leaves nothing to chance: one row is for all samples."""
    bank, retrieval = make_bank(), {"retrieval_neighbours": 20}
    settings = make_sampling(
        **retrieval, retrieval_spread=spread, retrieval_concentration=0.5
    )
    found = mix_neighbours(DIRECTION, bank, settings, num_samples=7, seed=3)

    rows = bank / np.linalg.norm(bank, axis=1, keepdims=True)
    weights = np.ones((3, 1, 1))
    if spread > 1:
        weights = dirichlet_weights((3, 7, spread), 0.5, seed=3)
    assert found.shape == (*weights.shape[:2], 4)
    for prompt, direction in enumerate(DIRECTION.numpy()):
        nearest = rows[np.argsort(-rows @ direction)[:20]]
        mix = weights[prompt] @ farthest_points(nearest[None], spread)[0]
        expected = mix / np.linalg.norm(mix, axis=1, keepdims=True)
        np.testing.assert_allclose(found[prompt], expected, atol=1e-5)


def test_a_bank_on_disk_gives_the_same(tmp_path):
    bank = make_bank()
    stored = zarr.create_array(
        str(tmp_path / "bank.zarr"), shape=bank.shape, chunks=(64, 4), dtype="float32"
    )
    stored[:] = bank
    settings = make_sampling(retrieval_neighbours=20, retrieval_spread=6)
    first, second = (
        mix_neighbours(DIRECTION, kept, settings, num_samples=2, seed=3)
        for kept in (bank, stored)
    )
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)
