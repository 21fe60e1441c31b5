import numpy as np
import pytest

from clip2latent_kedro.metrics.retrieval import nearest_rows


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
