import numpy as np
import pytest

from clip2latent_kedro.metrics.attributes import attribute_accuracy


def test_accuracy_by_hand():
    stated = np.array([[0, 2, -1], [1, -1, -1], [-1, -1, -1]])
    predicted = np.array(
        [
            [[0, 2, 5], [0, 1, 5]],  # both right; one of two
            [[1, 7, 7], [1, 8, 8]],  # right; right
            [[0, 0, 0], [0, 0, 0]],  # nothing stated
        ]
    )

    found = attribute_accuracy(predicted, stated)

    np.testing.assert_array_equal(found.by_prompt, [0.75, 1.0, np.nan])
    np.testing.assert_array_equal(found.all_right, [0.5, 1.0, np.nan])
    np.testing.assert_array_equal(found.by_attribute, [1.0, 0.5, np.nan])


def test_an_open_attribute_is_never_counted():
    """A judge that answered -1 must not be right about what was left open."""
    found = attribute_accuracy(np.array([[[-1, 3]]]), np.array([[-1, 4]]))

    assert found.by_prompt.tolist() == [0.0]
    assert found.all_right.tolist() == [0.0]


@pytest.mark.parametrize("shape", [(3, 2), (2, 5, 3), (3, 5, 3)])
def test_shapes_that_do_not_belong_together_are_refused(shape):
    with pytest.raises(ValueError, match=r"shape \[3, n_samples, 2\]"):
        attribute_accuracy(np.zeros(shape, int), np.zeros((3, 2), int))
