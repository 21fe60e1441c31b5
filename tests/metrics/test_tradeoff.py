import numpy as np
import pytest

from clip2latent_kedro.metrics.tradeoff import find_front, tradeoff_area


@pytest.mark.parametrize(
    ("gain", "leakage", "area"),
    [
        ([1.0], [0.0], 1.0),  # all gained, nothing spoiled
        ([0.0, 0.0], [0.0, 0.3], 0.0),
        ([1.0], [0.2], 0.5),  # the triangle below the line from (0, 0)
        ([1.0], [0.1], 0.75),  # a triangle to 0.1, then a rectangle
        ([0.5, 1.0], [0.1, 0.2], 0.5),  # on the line: nothing is added
        ([0.8, 1.0], [0.1, 0.2], (0.04 + 0.09) / 0.2),
        ([0.2, 1.0], [0.1, 0.2], 0.5),  # below the line: nothing is lost
        ([1.0], [0.4], 0.25),  # only the part within the limit counts
        ([0.6, 1.0, 0.3], [0.0, 0.2, 0.1], 0.8),
    ],
)
def test_area_is_that_of_the_hull(gain, leakage, area):
    found = tradeoff_area(np.array(gain), np.array(leakage), limit=0.2)
    assert found == pytest.approx(area)


def test_order_of_strengths_does_not_matter_and_more_of_them_never_harm():
    random = np.random.default_rng(0)
    for _ in range(200):
        gain, leakage = random.random((2, 6)).round(1) * [[1], [0.4]]
        whole = tradeoff_area(gain, leakage, limit=0.3)
        turned = random.permutation(6)
        again = tradeoff_area(gain[turned], leakage[turned], limit=0.3)
        assert again == pytest.approx(whole)
        assert tradeoff_area(gain[:5], leakage[:5], limit=0.3) <= whole + 1e-12
        assert 0 <= whole <= 1


def test_the_front_are_those_that_none_surpasses():
    first = np.array([0.1, 0.5, 0.3, 0.3, 0.5, 0.9, np.nan, 1.0])
    second = np.array([0.9, 0.5, 0.7, 0.6, 0.5, 0.1, 1.0, np.nan])
    assert find_front(first, second).tolist() == [0, 2, 1, 4, 5]
    assert find_front(first[:0], second[:0]).tolist() == []


def test_the_front_of_random_points_is_that_of_all_pairs():
    first, second = np.random.default_rng(0).integers(0, 8, (2, 60))
    points = list(zip(first.tolist(), second.tolist(), strict=True))
    expected = {
        n
        for n, (x, y) in enumerate(points)
        if not any(a >= x and b >= y and (a, b) != (x, y) for a, b in points)
    }
    found = find_front(first, second)
    assert set(found.tolist()) == expected
    assert (np.diff(first[found]) >= 0).all()
    assert (np.diff(second[found]) <= 0).all()
