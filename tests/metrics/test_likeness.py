import numpy as np
import pytest

from clip2latent_kedro.metrics.likeness import measure_likeness

E1, E2 = np.eye(2)


def test_likeness_by_hand():
    pictures = np.stack([E1, 3 * E2])
    variations = np.array([[E1, 2 * E1], [E1 + E2, E1]])

    found = measure_likeness(pictures, variations)

    np.testing.assert_allclose(found.own, [1, 0.5**0.5 / 2])
    np.testing.assert_allclose(found.other, [0, (0.5**0.5 + 1) / 2])
    np.testing.assert_allclose(found.nearer, [1, 0.25])  # a tie is half of one


def test_variations_of_nothing_are_nearer_in_half_of_all_cases():
    random = np.random.default_rng(0)
    found = measure_likeness(
        random.normal(size=(100, 8)), random.normal(size=(100, 20, 8))
    )
    assert found.nearer.mean() == pytest.approx(0.5, abs=0.03)
    assert found.own.mean() == pytest.approx(found.other.mean(), abs=0.03)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"got \[3, 4, 2\] for \[2, 2\]"):
        measure_likeness(np.ones((2, 2)), np.ones((3, 4, 2)))
    with pytest.raises(ValueError, match="at least 2"):
        measure_likeness(np.ones((1, 2)), np.ones((1, 4, 2)))
