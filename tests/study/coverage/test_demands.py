"""Values and pairs, counted against loops over every image."""

from itertools import combinations

import numpy as np
import pytest

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.metrics.wilson import wilson_interval
from clip2latent_kedro.study.coverage.config import CoverageConfig
from clip2latent_kedro.study.coverage.demands import (
    count_values,
    list_demands,
    mark_values,
)

ATTRIBUTES = {"size": ("small", "large"), "colour": ("red", "green", "blue")}
CONFIG = CoverageConfig(num_images=1, rare=0.05, missed=0.9, zero_shot={})


def draw(rng, *shape):
    """Draw value indices, some of which are not there."""
    columns = [rng.integers(-1, len(values), shape) for values in ATTRIBUTES.values()]
    return np.stack(columns, axis=-1)


def list_all(shown, stated, answered=None, config=CONFIG):
    found = list_demands(shown, stated, answered, ATTRIBUTES, config, confidence=0.95)
    return {one.name: one for one in found}


def holds(values, row):
    """Whether indices of values, [num_attributes], are those of a demand."""
    wanted = {list(ATTRIBUTES).index(name): value for name, value in values.items()}
    names = list(ATTRIBUTES.values())
    return all(row[c] >= 0 and names[c][row[c]] == v for c, v in wanted.items())


def test_every_number_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    shown, stated, seen = draw(rng, 300), draw(rng, 12), draw(rng, 9, 4)
    prompts = np.array([0, 2, 3, 4, 5, 7, 8, 10, 11])
    found = list_all(shown, stated, (prompts, seen))
    singles = [(name, value) for name, of in ATTRIBUTES.items() for value in of]
    pairs = [p for p in combinations(singles, 2) if p[0][0] != p[1][0]]
    assert len(found) == len(singles) + len(pairs)
    for one in found.values():
        shares = [np.mean([holds(dict([v]), row) for row in shown]) for v in
                  one.values.items()]  # fmt: skip
        number = sum(holds(one.values, row) for row in shown)
        assert one.num_shown == number
        assert one.share == wilson_interval(number / 300, 300, 0.95)
        assert one.expected == pytest.approx(np.prod(shares))
        assert one.num_asked == sum(holds(one.values, row) for row in stated)
        asking = [i for i, p in enumerate(prompts) if holds(one.values, stated[p])]
        if not asking:
            assert one.right is None
            continue
        right = np.mean([holds(one.values, row) for i in asking for row in seen[i]])
        assert one.right is not None
        assert one.right.mean == pytest.approx(right)
        assert one.right.high == pytest.approx(
            wilson_interval(right, len(asking), 0.95).high
        )


def test_a_miss_is_the_fault_of_whoever_could_not_or_did_not():
    large_red, small_green, small_blue = [1, 0], [0, 1], [0, 2]
    shown = np.array([small_green] * 480 + [small_blue] * 20)  # 4 % +- 2 %
    stated = np.array([large_red] * 9 + [small_green] * 9 + [small_blue] * 9)
    wrong = np.full((27, 3, 2), -1)
    wrong[9:18, :, 0] = 0  # the size is right, the colour is not seen
    found = list_all(shown, stated, (np.arange(27), wrong))
    assert found["size large"].fault == "the generator"
    assert found["size large, colour red"].fault == "the generator"
    assert found["colour green"].fault == "the prior"
    assert found["colour blue"].fault == "cannot be told"
    assert found["size large, colour blue"].fault == ""  # which nobody asks
    right = np.repeat(stated[:, None], 3, axis=1)
    answered = list_all(shown, stated, (np.arange(27), right))
    for found in (answered, list_all(shown, stated)):
        assert {one.fault for one in found.values()} == {""}


@pytest.mark.parametrize(("num_prompts", "fault"), [(1, ""), (8, "the prior")])
def test_images_of_one_prompt_are_no_independent_trials(num_prompts, fault):
    """Half of them right is a miss only if several prompts agree."""
    shown = np.zeros((50, 2), dtype=int)
    stated = np.tile([0, -1], (num_prompts, 1))
    seen = np.tile([[1, -1], [0, -1]], (num_prompts, 8, 1))
    found = list_all(shown, stated, (np.arange(num_prompts), seen))["size small"]
    assert found.right is not None
    assert found.right.mean == 0.5
    assert found.fault == fault


def test_prompts_as_a_whole_are_counted_by_the_image_that_shows_most():
    shown = np.array([[0, 1], [0, 2], [1, -1]])
    stated = np.array([[0, 1], [1, 0], [-1, -1], [-1, 2]])
    num_stated, most, num_all = count_values(shown, stated)
    assert num_stated.tolist() == [2, 2, 0, 1]
    assert most.tolist() == [2, 1, 0, 1]
    assert num_all.tolist() == [1, 0, 3, 1]


def test_without_attributes_there_are_no_columns():
    empty = np.empty((4, 0), dtype=int)
    assert mark_values(empty, {}).shape == (4, 0)
    found = list_demands(empty, empty, None, {}, CONFIG, confidence=0.9)
    assert found == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_images": 0}, "num_images must be a whole number, 1 or more, got 0"),
        ({"rare": 1.0}, "rare must be a number, above 0 and below 1, got 1.0"),
        (
            {"zero_shot": {"hat": {"none": "a head"}}},
            "zero_shot must be texts of two values or more of hat",
        ),
        (
            {"zero_shot": {"hat": {"none": "a head", "some": " "}}},
            "zero_shot must be texts of two values or more of hat",
        ),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        CoverageConfig(**{**vars(CONFIG), **changes})
