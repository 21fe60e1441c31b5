from collections.abc import Iterator

import pytest
import torch
from linear_models import (
    ColourEncoder,
    ColourGenerator,
    make_evaluation,
    make_prior,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.evaluation import STAGES, Models, RowSpec, time_rows
from clip2latent_kedro.evaluation.kinds import clip2latent


class Clock:
    """Time passes only where a stage says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowMethod:
    """Takes 3 seconds for w at first and one less each time, and 0.5 for images."""

    def __init__(self, name: str, clock: Clock, calls: list[str]) -> None:
        self.name, self.clock, self.calls = name, clock, calls
        self.durations: Iterator[float] = iter((3.0, 2.0, 1.0))

    def sample(self, queries, *, num_samples, seed):
        assert queries.texts == ["1 0 0"]
        self.calls.append(self.name)
        self.clock.now += next(self.durations)
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
        assert len(image) == 4
        self.clock.now += 0.25
        return super().encode_image(image)


def test_stages_are_told_apart_methods_take_turns_and_warm_ups_do_not_count(clock):
    calls: list[str] = []
    methods = {name: SlowMethod(name, clock, calls) for name in ("a", "b")}
    seconds = dict(
        time_rows(
            methods,
            make_queries(),
            SlowEncoder(clock),
            make_evaluation(image_batch_size=2),
            seed=0,
            clock=clock,
        )
    )
    expected = {"prior": [2.0, 1.0], "synthesis": [1.0, 1.0], "reranking": [0.25] * 2}
    assert seconds == {"a": expected, "b": expected}
    assert list(expected) == list(STAGES)
    assert calls == ["a", "b"] * 3


def test_a_slow_method_is_timed_once_and_comes_first(clock):
    calls: list[str] = []
    methods = {name: SlowMethod(name, clock, calls) for name in ("a", "slow", "b")}
    methods["slow"].durations = iter([60.0])
    config = make_evaluation(image_batch_size=2, timing_seconds=50.0)
    timed = time_rows(
        methods, make_queries(), SlowEncoder(clock), config, seed=0, clock=clock
    )
    name, seconds = next(timed)
    assert calls == ["a", "slow"]
    assert (name, seconds["prior"]) == ("slow", [60.0])
    assert {name: seconds["prior"] for name, seconds in timed} == {
        "a": [2.0, 1.0],
        "b": [2.0, 1.0],
    }


def test_clip2latent_is_timed_with_the_guidance_of_the_protocol():
    models = Models(
        generator=ColourGenerator(),
        encoder=ColourEncoder(),
        priors={"prior": make_prior()},
        latent_repeats=[2],
        latent_batch_size=8,
        image_batch_size=8,
        device="cpu",
        groups={"sampling": make_sampling(guidance_scale=1.0)},
        timing_guidance_scale=2.5,
    )
    spec = RowSpec("fast", "clip2latent", {"num_steps": 4})
    row = clip2latent.build(spec, models, make_queries())
    assert row.method.sampling == make_sampling(num_steps=4, guidance_scale=1.0)
    assert row.timed.sampling == make_sampling(num_steps=4, guidance_scale=2.5)
