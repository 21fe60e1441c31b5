from collections.abc import Iterator

import pytest
import torch
from world import (
    ColourEncoder,
    make_evaluation,
    make_method,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.study.timing import STAGES, TIMED, time_rows


class Clock:
    """Time passes only where a stage says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowMethod:
    """Takes 0.5 seconds for images, and for w of 4 and of 1 what it is told."""

    is_deterministic = False

    def __init__(self, name: str, clock: Clock, calls: list[str], **durations) -> None:
        self.name, self.clock, self.calls = name, clock, calls
        self.durations: dict[int, Iterator[float]] = {
            4: iter(durations.get("four", (3.0, 2.0, 1.0))),
            1: iter(durations.get("one", (0.75, 0.25, 0.5))),
        }

    def sample(self, queries, *, num_samples, seed):
        assert queries.texts == ["1 0 0"]
        self.calls.append(f"{self.name}{num_samples}")
        self.clock.now += next(self.durations[num_samples])
        return torch.zeros(1, num_samples, 3)

    def synthesise(self, samples):
        self.clock.now += 0.5
        return samples[:, :, None, None]


@pytest.fixture
def clock():
    return Clock()


class SlowEncoder(ColourEncoder):
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def encode_image(self, image):
        assert len(image) in (1, 4)
        self.clock.now += 0.25
        return super().encode_image(image)


def run(methods, clock, **protocol):
    config = make_evaluation(image_batch_size=2, **protocol)
    yield from time_rows(
        methods,
        make_queries(),
        SlowEncoder(clock),
        config,
        seed=0,
        clock=clock,
    )


def test_stages_are_told_apart_methods_take_turns_and_warm_ups_do_not_count(clock):
    calls: list[str] = []
    methods = {name: SlowMethod(name, clock, calls) for name in ("a", "b")}
    seconds = dict(run(methods, clock))
    several = {"prior": [2.0, 1.0], "synthesis": [1.0, 1.0], "reranking": [0.25] * 2}
    one = {"prior": [0.25, 0.5], "synthesis": [0.5, 0.5], "reranking": [0.25] * 2}
    expected = {"seconds": several, "seconds_one": one}
    assert seconds == {"a": expected, "b": expected}
    assert list(several) == list(STAGES)
    assert list(expected) == list(TIMED)
    assert calls == ["a1", "a4", "b1", "b4"] * 3


def test_a_method_with_one_answer_is_timed_for_one_image_alone(clock):
    calls: list[str] = []
    methods = {name: SlowMethod(name, clock, calls) for name in ("a", "b")}
    methods["a"].is_deterministic = True
    seconds = dict(run(methods, clock))
    assert list(seconds["a"]) == ["seconds_one"]
    assert list(seconds["b"]) == list(TIMED)
    assert "a4" not in calls


def test_a_slow_method_is_warmed_up_repeated_less_often_and_given_first(clock):
    calls: list[str] = []
    methods = {
        "a": SlowMethod("a", clock, calls, four=[3.0] * 6, one=[1.0] * 6),
        "slow": SlowMethod(
            "slow", clock, calls, four=[40.0, 39.0, 38.0], one=[19.0] * 4
        ),
    }
    timed = run(methods, clock, timing_repeats=5, timing_seconds=60.0)
    name, seconds = next(timed)
    assert name == "slow"
    assert seconds["seconds"]["prior"] == [39.0, 38.0]  # two do not fit, but are due
    assert seconds["seconds_one"]["prior"] == [19.0] * 3
    assert [(n, len(s["seconds"]["prior"])) for n, s in timed] == [("a", 5)]


def test_a_method_beyond_all_patience_is_timed_once_but_never_cold(clock):
    calls: list[str] = []
    slow = SlowMethod("slow", clock, calls, four=[600.0], one=[90.0, 80.0])
    quick = SlowMethod("quick", clock, calls, four=[600.0], one=[2.0, 1.0, 1.5])
    methods = {"slow": slow, "quick": quick}
    seconds = dict(run(methods, clock, timing_seconds=50.0))
    assert seconds["slow"]["seconds_one"]["prior"] == [80.0]
    assert seconds["quick"]["seconds_one"]["prior"] == [1.0, 1.5]
    assert calls.index("slow1") < calls.index("slow4")
    for name in methods:
        assert seconds[name]["seconds"]["prior"] == [600.0]


def test_a_slow_start_does_not_cost_repeats(clock):
    cold = SlowMethod("cold", clock, [], four=[1.0] * 4, one=[90.0, 1.0, 1.0, 1.0])
    ((_, seconds),) = run({"cold": cold}, clock, timing_repeats=3, timing_seconds=50.0)
    assert seconds["seconds_one"]["prior"] == [1.0, 1.0, 1.0]


def test_clip2latent_is_timed_with_the_guidance_of_the_protocol():
    method = make_method(num_steps=4)
    timed = method.timed(2.5).settings
    expected = make_sampling(num_steps=4, guidance_scale=2.5)
    assert {name: getattr(timed, name) for name in vars(expected)} == vars(expected)
    assert method.settings.guidance_scale == 1.0
