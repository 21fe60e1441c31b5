"""What an answer costs, stage by stage, in the protocol of clip2latent.

Its `timings.py` draws 16 images of one prompt with guidance 2, synthesis and
re-ranking by CLIP included, after some warm-ups. Here too; and a single image as well,
which is all that a method with one answer to a prompt has.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.method import Method, Queries
from clip2latent_kedro.progress import progress_bar

if TYPE_CHECKING:  # else the seconds of all rows would hang on every method's code
    from clip2latent_kedro.study.config import EvaluationConfig

STAGES = {
    "prior": "Text encoder and everything up to w",
    "synthesis": "Generator",
    "reranking": "CLIP on the images, and their order",
}
TIMED = {
    "seconds": "Different images of one prompt",
    "seconds_one": "A single image",
}
Seconds = dict[str, list[float]]  # of each repeat, by stage


@dataclass
class _Course:
    """One quantity of one method, as far as it has been timed.

    Attributes:
        method: What draws.
        num_images: How many images at a time.
        warmups: Runs that do not count.
        repeats: Runs that do.
        times: Seconds of the stages of each run, warm-ups included.
    """

    method: Method
    num_images: int
    warmups: int
    repeats: int
    times: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return len(self.times) >= self.warmups + self.repeats

    def fit(self, config: "EvaluationConfig") -> None:
        """Plan as many runs as there is time for, by the fastest so far."""
        took = min(map(sum, self.times))
        if took > config.timing_seconds:
            # A single image has warmed up what draws several.
            self.warmups = 1 if self.num_images == 1 else 0
            self.repeats = 1
            return
        fitting = int(config.timing_seconds / max(took, 1e-9))
        self.warmups = min(config.timing_warmups, fitting)
        self.repeats = min(config.timing_repeats, max(2, fitting))

    def seconds(self) -> Seconds:
        durations = zip(*self.times[self.warmups :], strict=True)
        return {
            stage: list(times) for stage, times in zip(STAGES, durations, strict=True)
        }


def time_rows(
    methods: Mapping[str, Method],
    queries: Queries,
    encoder: Encoder,
    config: "EvaluationConfig",
    *,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[tuple[str, dict[str, Seconds]]]:
    """Yield the seconds of each repeat, by stage, of each quantity of each method.

    Methods take turns, so that a slow spell of the machine hits all of them. What is
    slow is repeated less often, at least twice while one run keeps to
    `timing_seconds`; beyond, several images are timed once, after single ones.

    Args:
        methods: By row name, on the device of the encoder.
        queries: Any; only their device is read.
        encoder: Embeds the text, and the images for re-ranking.
        config: What is timed, and how often.
        seed: Seed of the run.
        clock: Seconds.

    Yields:
        Name and the quantities of `TIMED`, as soon as a method is done; no `seconds`
        of one whose samples of a prompt are all the same.
    """
    most = config.timing_warmups + config.timing_repeats
    courses: dict[str, dict[str, _Course]] = {}
    for name, method in methods.items():
        counts = {"seconds_one": 1, "seconds": config.timing_images}
        if method.is_deterministic:
            del counts["seconds"]
        courses[name] = {
            quantity: _Course(
                method, count, config.timing_warmups, config.timing_repeats
            )
            for quantity, count in counts.items()
        }
    num_runs = most * sum(map(len, courses.values()))
    with progress_bar("timing", total=num_runs, unit="runs") as advance:
        while courses:
            for name, own in list(courses.items()):
                for course in own.values():
                    if course.is_over:
                        continue
                    course.times.append(
                        _time_once(course, queries, encoder, config, seed, clock)
                    )
                    course.fit(config)
                    advance(most - len(course.times) + 1 if course.is_over else 1)
                if all(course.is_over for course in own.values()):
                    del courses[name]
                    yield (
                        name,
                        {what: own[what].seconds() for what in TIMED if what in own},
                    )


@torch.no_grad()
def _time_once(
    course: _Course,
    queries: Queries,
    encoder: Encoder,
    config: "EvaluationConfig",
    seed: int,
    clock: Callable[[], float],
) -> tuple[float, ...]:
    """Return the seconds of the three stages, in the order of `STAGES`."""

    def now() -> float:
        if queries.embedding.is_cuda:
            torch.cuda.synchronize(queries.embedding.device)
        return clock()

    began = now()
    embedding = encoder.encode_text([config.timing_prompt])
    query = Queries([config.timing_prompt], embedding, queries.stated[:0])
    samples = course.method.sample(query, num_samples=course.num_images, seed=seed)
    sampled = now()
    batches = torch.split(samples.flatten(0, 1), config.image_batch_size)
    images = torch.cat([course.method.synthesise(batch) for batch in batches])
    synthesised = now()
    _rank(encoder.encode_image(images), embedding)
    return sampled - began, synthesised - sampled, now() - synthesised


def _rank(image_embedding: Tensor, text_embedding: Tensor) -> Tensor:
    """Return the order of images by cosine with the text, best first."""
    return functional.cosine_similarity(image_embedding, text_embedding).argsort(
        descending=True
    )
