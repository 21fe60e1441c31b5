import numpy as np
import pytest

from clip2latent_kedro.metrics.wilson import wilson_interval

Z = 1.959963985  # of 95 %


@pytest.mark.parametrize(
    ("share", "num"), [(0.3, 10), (0.0, 7), (1.0, 3), (0.501, 900)]
)
def test_the_ends_solve_the_equation_of_the_score_test(share, num):
    found = wilson_interval(share, num, 0.95)
    assert found.mean == share
    for end in (found.low, found.high):
        assert (share - end) ** 2 == pytest.approx(
            Z**2 * end * (1 - end) / num, abs=1e-9
        )
    assert 0 <= found.low <= share <= found.high <= 1
    assert found.low < found.high


def test_none_of_many_still_has_an_upper_end():
    found = wilson_interval(0.0, 10_000, 0.95)
    assert found.low == 0
    assert found.high == pytest.approx(Z**2 / (10_000 + Z**2))


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    shares = rng.binomial(200, 0.05, 2000) / 200
    found = [wilson_interval(share, 200, 0.9) for share in shares]
    covered = np.mean([interval.low <= 0.05 <= interval.high for interval in found])
    assert covered == pytest.approx(0.9, abs=0.04)  # shares are discrete


@pytest.mark.parametrize(("share", "num"), [(0.5, 0), (1.1, 4), (float("nan"), 4)])
def test_what_is_no_share_is_refused(share, num):
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\], of 1 trial"):
        wilson_interval(share, num, 0.95)
