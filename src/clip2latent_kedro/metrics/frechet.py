"""The Fréchet distance of two sets of features (Heusel et al. 2017), as in FID."""

import numpy as np


def frechet_distance(features: np.ndarray, reference: np.ndarray) -> float:
    """Return |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two Gaussians.

    The Gaussians have the means and unbiased covariances of the rows. Fewer rows
    than features give singular covariances, which is allowed; few rows bias the
    distance upwards, so that only sets of equal sizes compare.

    Args:
        features: [n, d], n >= 2.
        reference: [m, d], m >= 2.

    Returns:
        0 or more, in squared units of the features.

    Raises:
        ValueError: If the shapes do not belong together, or a value is not finite.
    """
    first, second = check_features(features, reference)
    offset = first.mean(axis=0) - second.mean(axis=0)
    first_covariance, second_covariance = (
        np.cov(rows, rowvar=False, ddof=1).reshape(rows.shape[1], -1)
        for rows in (first, second)
    )
    trace = np.trace(first_covariance) + np.trace(second_covariance)
    distance = (
        offset @ offset
        + trace
        - 2 * _trace_of_root(first_covariance, second_covariance)
    )
    return max(0.0, float(distance))  # below 0 by rounding only


def check_features(
    features: np.ndarray, reference: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return two sets of features as float64.

    Raises:
        ValueError: If they are not [n, d] and [m, d] of two or more finite rows.
    """
    first, second = (np.asarray(rows, np.float64) for rows in (features, reference))
    shapes = first.shape, second.shape
    if any(len(shape) != 2 or shape[0] < 2 for shape in shapes) or (
        first.shape[1] != second.shape[1]
    ):
        msg = (
            f"features and reference must be two or more rows each of the same width, "
            f"got shapes {list(first.shape)} and {list(second.shape)}."
        )
        raise ValueError(msg)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        msg = "features and reference must be finite."
        raise ValueError(msg)
    return first, second


def _trace_of_root(first: np.ndarray, second: np.ndarray) -> float:
    """Return tr((S1 S2)^(1/2)), both [d, d] and positive semi-definite.

    S1 S2 has the eigenvalues of the symmetric S1^(1/2) S2 S1^(1/2).
    """
    values, axes = np.linalg.eigh(first)
    root = (axes * np.sqrt(np.clip(values, 0, None))) @ axes.T
    eigenvalues = np.linalg.eigvalsh(root @ second @ root)
    return float(np.sqrt(np.clip(eigenvalues, 0, None)).sum())
