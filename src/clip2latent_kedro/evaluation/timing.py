"""What an answer costs, stage by stage, in the protocol of clip2latent.

Its `timings.py` draws 16 images of one prompt with guidance 2, synthesis and
re-ranking by CLIP included, after some warm-ups.
"""

import time
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.evaluation.config import EvaluationConfig
from clip2latent_kedro.evaluation.method import Method, Queries
from clip2latent_kedro.interfaces import Encoder

STAGES = {
    "prior": "Text encoder and everything up to w",
    "synthesis": "Generator",
    "reranking": "CLIP on the images, and their order",
}
Seconds = dict[str, list[float]]  # of each repeat, by stage


def time_rows(
    methods: Mapping[str, Method],
    queries: Queries,
    encoder: Encoder,
    config: EvaluationConfig,
    *,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[tuple[str, Seconds]]:
    """Yield seconds of each repeat for each stage of each method.

    Everything is drawn once to begin with. What takes longer than `timing_seconds`
    comes first, with that one time. The others take turns, so that a slow spell of
    the machine hits all of them, and come together at the end.

    Args:
        methods: By row name, on the device of the encoder.
        queries: Any; only their device is read.
        encoder: Embeds the text, and the images for re-ranking.
        config: What is timed, and how often.
        seed: Seed of the run.
        clock: Seconds.
    """
    seconds: dict[str, list[tuple[float, ...]]] = {}
    for name, method in methods.items():
        times = _time_once(method, queries, encoder, config, seed, clock)
        if sum(times) > config.timing_seconds:
            yield name, _by_stage([times])
        else:
            seconds[name] = [times]
    for _ in range(config.timing_warmups + config.timing_repeats - 1):
        for name in seconds:
            times = _time_once(methods[name], queries, encoder, config, seed, clock)
            seconds[name].append(times)
    for name, repeats in seconds.items():
        yield name, _by_stage(repeats[config.timing_warmups :])


def _by_stage(repeats: list[tuple[float, ...]]) -> Seconds:
    durations = zip(*repeats, strict=True)
    return {stage: list(times) for stage, times in zip(STAGES, durations, strict=True)}


@torch.no_grad()
def _time_once(
    method: Method,
    queries: Queries,
    encoder: Encoder,
    config: EvaluationConfig,
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
    samples = method.sample(query, num_samples=config.timing_images, seed=seed)
    sampled = now()
    batches = torch.split(samples.flatten(0, 1), config.image_batch_size)
    images = torch.cat([method.synthesise(batch) for batch in batches])
    synthesised = now()
    _rank(encoder.encode_image(images), embedding)
    return sampled - began, synthesised - sampled, now() - synthesised


def _rank(image_embedding: Tensor, text_embedding: Tensor) -> Tensor:
    """Return the order of images by cosine with the text, best first."""
    return functional.cosine_similarity(image_embedding, text_embedding).argsort(
        descending=True
    )
