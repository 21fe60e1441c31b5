"""The choice of settings and strengths, on scores that are given."""

import numpy as np
import pytest

from clip2latent_kedro.study.editing.choice import choose, choose_strength
from clip2latent_kedro.study.editing.scores import average_pictures


def make_scores(gain, kept, blended=None):
    nothing = np.full((len(gain), 1, 1), np.nan)
    gained, stayed = (np.array(values)[:, None, None] for values in (gain, kept))
    unclear = nothing if blended is None else np.array(blended)[:, None, None]
    of_nobody = {"direction": nothing, "identity": nothing, "blended": unclear}
    return {**of_nobody, "gained": gained, "kept": stayed}


@pytest.mark.parametrize(
    ("gain", "kept", "chosen"),
    [
        ([0.2, 0.8, 1.0], [1.0, 0.98, 0.9], 1),  # the last one spoils too much
        ([0.2, 0.8, 1.0], [0.9, 0.9, 0.85], 2),  # none keeps enough: gain less leakage
        ([0.5, 0.5, 0.5], [1.0, 1.0, 1.0], 0),  # the weakest of equals
        ([0.0, 0.9], [1.0, 0.96], 1),  # what gains nothing is no choice
    ],
)
def test_the_strength_follows_its_rule(gain, kept, chosen):
    assert choose_strength(make_scores(gain, kept), 0.97) == chosen


def test_of_strengths_that_gain_as_much_the_one_of_fewest_blends_is_taken():
    blended = [0.6, 0.1, 0.0]
    scores = make_scores([1.0, 1.0, 0.8], [1.0, 1.0, 1.0], blended)
    assert choose_strength(scores, 0.97) == 1


def test_weights_of_pictures_are_those_of_a_mean_over_drawn_pictures():
    random = np.random.default_rng(0)
    values = random.random((3, 2, 4))
    values[1, 0, 2] = np.nan
    drawn = random.integers(8, size=8)
    weights = np.bincount(drawn, minlength=8).astype(float)
    expected = np.nanmean(values.reshape(3, 8)[:, drawn], axis=1)
    found = average_pictures({"a": values}, "a", weights[None])
    np.testing.assert_allclose(found, expected[None])


def test_a_setting_that_fails_for_a_target_has_no_area_there():
    good = make_scores([1.0], [1.0])
    choice = choose(
        [{"a": good, "b": None}, {"a": make_scores([0.8], [1.0]), "b": good}],
        max_leakage=0.2,
        least_kept=0.97,
    )
    assert choice.areas == pytest.approx([0.5, 0.9])
    assert choice.tried == 1
