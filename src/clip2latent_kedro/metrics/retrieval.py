"""Find the right one among many by cosine: R@k, and the nearest stored rows."""

import numpy as np

from clip2latent_kedro.metrics.similarity import unit_rows

TIE = 1e-9  # float64 cosines of equal vectors differ by rounding only


def recall_at_k(
    first: np.ndarray, second: np.ndarray, *, k: int, pool_size: int
) -> tuple[float, float]:
    """Return R@k from first to second and back, within pools of a fixed size.

    Rows are cut into consecutive pools; an incomplete last pool is left out. Equal
    cosines count as if ordered at random: with g candidates above the right one and
    e equal to it, it is among the first k with probability (k - g) / (e + 1).

    Args:
        first: Embeddings, [n, d]; row i belongs to row i of `second`.
        second: [n, d].
        k: 1 to pool_size.
        pool_size: Candidates of each query, at most n.

    Returns:
        Two shares in [0, 1].

    Raises:
        ValueError: If the rows are not paired, or k and pool_size out of range.
    """
    if first.shape != second.shape:
        msg = (
            f"first and second must be paired rows of one shape, got "
            f"{list(first.shape)} and {list(second.shape)}."
        )
        raise ValueError(msg)
    if not 1 <= k <= pool_size <= len(first):
        msg = (
            f"k and pool_size must satisfy 1 <= k <= pool_size <= {len(first)}, "
            f"got k = {k} and pool_size = {pool_size}."
        )
        raise ValueError(msg)
    found: list[tuple[float, float]] = []
    for start in range(0, len(first) - pool_size + 1, pool_size):
        pool = slice(start, start + pool_size)
        cosine = unit_rows(first[pool]) @ unit_rows(second[pool]).T
        found.append((_found_share(cosine, k), _found_share(cosine.T, k)))
    forward, backward = np.mean(found, axis=0)
    return float(forward), float(backward)


def _found_share(cosine: np.ndarray, k: int) -> float:
    right = np.diagonal(cosine)[:, None]
    above = (cosine > right + TIE).sum(axis=1)
    equal = (np.abs(cosine - right) <= TIE).sum(axis=1)  # the right one included
    return float(np.clip((k - above) / equal, 0, 1).mean())


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
