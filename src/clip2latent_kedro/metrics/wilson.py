"""How sure a share of independent trials is: Wilson's score interval (1927)."""

from statistics import NormalDist

from clip2latent_kedro.metrics.bootstrap import Interval


def wilson_interval(share: float, num_trials: int, confidence: float) -> Interval:
    """Return a share with its interval.

    Its ends are the roots p of (share - p)^2 = z^2 p (1 - p) / n. Unlike the interval
    of the normal approximation it stays within [0, 1], and has a width where none or
    all of the trials succeed: of none in n its upper end is z^2 / (n + z^2).

    Args:
        share: Of successes, in [0, 1]; need not be of whole numbers.
        num_trials: Independent trials, n, 1 or more.
        confidence: Such as 0.95.

    Raises:
        ValueError: If there are no trials, or the share is none.
    """
    if num_trials < 1 or not 0 <= share <= 1:
        msg = (
            f"share must be in [0, 1], of 1 trial or more, got {share} of "
            f"{num_trials}. Leave out what was never tried."
        )
        raise ValueError(msg)
    square = NormalDist().inv_cdf((1 + confidence) / 2) ** 2 / num_trials  # z^2 / n
    centre = (share + square / 2) / (1 + square)
    half = (square * (share * (1 - share) + square / 4)) ** 0.5 / (1 + square)
    # Both roots are within [0, 1], but for rounding.
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))
