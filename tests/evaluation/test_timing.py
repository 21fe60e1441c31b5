from collections.abc import Iterator

import numpy as np
import pytest
import torch
from linear_models import (
    ColourEncoder,
    make_evaluation,
    make_model,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.evaluation import STAGES, Clip2Latent, References, time_rows


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
    methods["reference"] = References(np.zeros((3, 1, 4, 4, 3), np.uint8))
    seconds = time_rows(
        methods,
        make_queries(),
        SlowEncoder(clock),
        make_evaluation(image_batch_size=2),
        seed=0,
        clock=clock,
    )
    expected = {"prior": [2.0, 1.0], "synthesis": [1.0, 1.0], "reranking": [0.25] * 2}
    assert seconds == {"a": expected, "b": expected}
    assert list(expected) == list(STAGES)
    assert calls == ["a", "b"] * 3


def test_clip2latent_is_timed_with_the_guidance_of_the_protocol(clock):
    scales = []

    class Watched(Clip2Latent):
        def sample(self, queries, *, num_samples, seed):
            scales.append(self.sampling.guidance_scale)
            return super().sample(queries, num_samples=num_samples, seed=seed)

    method = Watched(make_model(), make_sampling(guidance_scale=1.0))
    time_rows(
        {"fast": method}, make_queries(), ColourEncoder(), make_evaluation(), seed=0
    )
    assert scales == [2.0] * 3
