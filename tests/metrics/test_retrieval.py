import numpy as np
import pytest

from clip2latent_kedro.metrics.retrieval import nearest_rows, recall_at_k


def test_recall_by_hand_differs_by_direction():
    """Rows at 0, 50 and 90 degrees; partners at 10, 20 and 80."""

    def rows(*degrees):
        angle = np.deg2rad(degrees)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    first, second = rows(0, 50, 90), rows(10, 20, 80)

    # first -> second: 10 (right), 20 or 80 equally near (one of two), 80 (right).
    # second -> first: 0 (right), 0 before 50 (wrong), 90 (right).
    found = recall_at_k(first, second, k=1, pool_size=3)

    assert found == (pytest.approx(2.5 / 3), pytest.approx(2 / 3))
    assert recall_at_k(first, second, k=2, pool_size=3) == (1.0, 1.0)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_equal_rows_are_found_by_chance_only(k):
    rows = np.tile([[0.3, 0.4, 0.1]], (4, 1))

    assert recall_at_k(rows, 2 * rows, k=k, pool_size=4) == (k / 4, k / 4)


def test_pools_keep_far_pairs_apart():
    """Rows 0 and 2 are equal: one pool confuses them, two pools cannot."""
    first = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, -1.0]])

    assert recall_at_k(first, first, k=1, pool_size=4) == (0.75, 0.75)
    assert recall_at_k(first, first, k=1, pool_size=2) == (1.0, 1.0)


def test_incomplete_pool_is_left_out():
    first = np.eye(3)
    second = np.eye(3)[[0, 1, 0]]  # the third pair is wrong

    assert recall_at_k(first, second, k=1, pool_size=2) == (1.0, 1.0)


@pytest.mark.parametrize(("k", "pool_size"), [(0, 2), (3, 2), (1, 5)])
def test_impossible_pools_are_refused(k, pool_size):
    with pytest.raises(ValueError, match="1 <= k <= pool_size <= 4"):
        recall_at_k(np.eye(4), np.eye(4), k=k, pool_size=pool_size)


def test_unpaired_rows_are_refused():
    with pytest.raises(ValueError, match="paired rows"):
        recall_at_k(np.eye(4), np.eye(4)[:3], k=1, pool_size=2)


@pytest.mark.parametrize("chunk_size", [1, 3, 7, 50, 100])
def test_nearest_rows_agree_with_sorting_everything(chunk_size):
    generator = np.random.default_rng(0)
    rows, queries = generator.normal(size=(50, 8)), generator.normal(size=(5, 8))
    cosine = (queries / np.linalg.norm(queries, axis=1, keepdims=True)) @ (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
    ).T

    index, found = nearest_rows(queries, rows, k=4, chunk_size=chunk_size)

    np.testing.assert_array_equal(index, np.argsort(-cosine, axis=1)[:, :4])
    np.testing.assert_allclose(found, np.take_along_axis(cosine, index, axis=1))


@pytest.mark.parametrize("chunk_size", [1, 2, 4])
def test_equal_rows_come_in_order(chunk_size):
    rows = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 0.0], [1.0, 1.0]])

    index, cosine = nearest_rows(
        np.array([[1.0, 0.0]]), rows, k=3, chunk_size=chunk_size
    )

    assert index.tolist() == [[1, 2, 3]]
    np.testing.assert_allclose(cosine, [[1, 1, 0.5**0.5]])


def test_more_rows_than_there_are_is_refused():
    with pytest.raises(ValueError, match="number of rows, 2, got 3"):
        nearest_rows(np.eye(2), np.eye(2), k=3, chunk_size=8)
