import numpy as np
import torch

from clip2latent_kedro.metrics.blends import CERTAIN, find_blends


def test_one_attribute_that_can_be_seen_and_is_unsure_makes_a_blend():
    below, nothing = np.nextafter(CERTAIN, 0), np.nan
    certainty = np.array(
        [[1, 1], [CERTAIN, 1], [below, 1], [1, 0.5], [nothing, 1], [nothing, 0.5]]
    )
    expected = [False, False, True, True, False, True]
    assert find_blends(certainty).tolist() == expected
    assert find_blends(torch.from_numpy(certainty)).tolist() == expected
    assert find_blends(certainty[None]).tolist() == [expected]


def test_where_nothing_can_be_seen_there_is_no_blend():
    assert find_blends(np.full((1, 2), np.nan)).tolist() == [False]
    assert find_blends(np.empty((1, 0))).tolist() == [False]
