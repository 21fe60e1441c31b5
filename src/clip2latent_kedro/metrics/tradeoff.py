"""What a method gains for what it spoils: one number, and what none surpasses."""

import numpy as np


def tradeoff_area(gain: np.ndarray, leakage: np.ndarray, *, limit: float) -> float:
    """Return the area under the best gain at each leakage, over its largest, 0 to 1.

    The best gains are the upper hull of the points and of (0, 0), no change: choosing
    at random between two strengths reaches every point between theirs, as with the
    hull of a ROC curve. Beyond the last point the best gain stays what it is. A
    method that gains all and spoils nothing has 1, one that gains nothing 0.

    Args:
        gain: Share of pictures that show what was asked for, [num_strengths].
        leakage: Share of what should stay and did not, [num_strengths].
        limit: Leakage up to which the area is taken, above 0.
    """
    points = sorted({(0.0, 0.0), *zip(leakage.tolist(), gain.tolist(), strict=True)})
    hull: list[tuple[float, float]] = []
    for x, y in points:
        if hull and x == hull[-1][0]:
            hull.pop()  # of two at one leakage the higher comes last
        while len(hull) > 1 and _is_below(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    xs, ys = (np.array(part) for part in zip(*hull, strict=True))
    ys = np.maximum.accumulate(ys)
    grid = np.unique(np.concatenate([xs[xs < limit], [0.0, limit]]))
    return float(np.trapezoid(np.interp(grid, xs, ys), grid) / limit)


def find_front(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return which points no other point surpasses, in the order of the first.

    Another surpasses a point that is not less by either score, and more by one. Of
    equal points all are found.

    Args:
        first: Of which more is better, [n]; a point with a NaN is passed over.
        second: Likewise, [n].

    Returns:
        Numbers of the points, [num_found] int.
    """
    known = np.isfinite(first) & np.isfinite(second)
    found = [
        number
        for number in np.flatnonzero(known)
        if not (
            (first[known] >= first[number])
            & (second[known] >= second[number])
            & ((first[known] > first[number]) | (second[known] > second[number]))
        ).any()
    ]
    front = np.array(found, dtype=int)
    return front[np.argsort(first[front], kind="stable")]


def _is_below(
    first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]
) -> bool:
    """Return whether a point is not above the line between its neighbours."""
    (x0, y0), (x1, y1), (x2, y2) = first, middle, last
    return (y1 - y0) * (x2 - x0) <= (y2 - y0) * (x1 - x0)
