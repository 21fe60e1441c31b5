"""Nodes of `data_generation`."""

import logging
from collections.abc import Iterator
from typing import Any

from clip2latent_kedro.engines import Engines
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.pairs import (
    DataConfig,
    GenerationConfig,
    PairShard,
    ShardProgress,
    TrainingPairs,
    generate_pairs,
    summarise_pairs,
)

logger = logging.getLogger(__name__)


def generate_training_pairs(
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    generation: GenerationConfig,
    seed: int,
    engines: Engines,
    resume: bool,
    progress: ShardProgress,
) -> Iterator[PairShard]:
    """Yield the shards of training pairs that are not stored yet.

    Args:
        generator: z -> w -> image.
        encoder: image -> clip_embedding.
        data: Groups of layers that get a latent each, and how images are read.
        generation: Number of pairs, sizes of batches and shards, arithmetic.
        seed: w of pair i depends on (seed, i) alone.
        engines: What to compute with.
        resume: Whether to keep what is stored; otherwise it is replaced.
        progress: The shards that are stored already.

    Yields:
        Shards; a single empty one if the store is whole.
    """
    engine = engines.of("data_generation")
    logger.info(
        "Making %d pairs on %s (%d shards are kept).",
        generation.n_samples,
        engine.device,
        len(progress.valid_shards) if resume else 0,
    )
    yield from generate_pairs(
        generator,
        encoder,
        data,
        generation,
        seed=seed,
        engine=engine,
        progress=progress,
        resume=resume,
    )


def measure_latent_statistics(training_pairs: TrainingPairs) -> dict[str, Any]:
    """Return mean and std of w, and the mean embedding, over the first pairs.

    Args:
        training_pairs: All pairs.

    Returns:
        Plain numbers and lists (see `pairs.summarise_pairs`).
    """
    statistics = summarise_pairs(training_pairs)
    logger.info("Measured statistics over %d pairs.", statistics["num_samples"])
    return statistics
