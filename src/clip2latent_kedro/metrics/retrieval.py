"""The stored rows that are nearest to a query by cosine."""

import numpy as np

from clip2latent_kedro.metrics.similarity import unit_rows


def nearest_rows(
    queries: np.ndarray, rows: np.ndarray, *, k: int, chunk_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of highest cosine with each query, nearest first.

    Args:
        queries: [m, d].
        rows: [n, d]; read in slices, so a Zarr array need not fit in memory.
        k: 1 to n.
        chunk_size: Rows compared at a time.

    Returns:
        Indices [m, k] int64 and cosines [m, k] float64; the lower index first
        among equal cosines.

    Raises:
        ValueError: If there are fewer than k rows.
    """
    num_rows = rows.shape[0]
    if not 1 <= k <= num_rows:
        msg = f"k must be 1 to the number of rows, {num_rows}, got {k}."
        raise ValueError(msg)
    unit_queries = unit_rows(queries)
    best = np.empty((len(queries), 0))
    index = np.empty((len(queries), 0), dtype=np.int64)
    for start in range(0, num_rows, chunk_size):
        chunk = unit_rows(rows[start : start + chunk_size])
        numbers = np.arange(start, start + len(chunk), dtype=np.int64)
        best = np.concatenate([best, unit_queries @ chunk.T], axis=1)
        index = np.concatenate(
            [index, np.broadcast_to(numbers, (len(queries), len(chunk)))], axis=1
        )
        kept = np.argsort(-best, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(best, kept, axis=1)
        index = np.take_along_axis(index, kept, axis=1)
    return index, best
