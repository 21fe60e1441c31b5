"""Pipeline `relevance`: what each channel of S does, for global directions."""

import logging
from collections.abc import Iterator

from kedro.pipeline import Pipeline

from clip2latent_kedro.editing.global_directions.config import RelevanceConfig
from clip2latent_kedro.editing.global_directions.measurement import measure_relevance
from clip2latent_kedro.editing.global_directions.relevance import RelevanceBlock
from clip2latent_kedro.interfaces import Encoder, Generator, StyledGenerator
from clip2latent_kedro.pairs import DataConfig, ShardProgress
from clip2latent_kedro.pipelines.wiring import wire
from clip2latent_kedro.runtime import pick_device

logger = logging.getLogger(__name__)


def measure_channel_relevance(
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    config: RelevanceConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: ShardProgress,
) -> Iterator[RelevanceBlock]:
    """Yield the blocks of channels that are not stored yet; none without a space S.

    Args:
        generator: w -> styles -> image.
        encoder: image -> embedding.
        data: In which form the encoder reads images.
        config: `params:editing.relevance`.
        seed: Decides the pictures.
        device: Where to compute.
        resume: Whether to keep what is stored; otherwise it is replaced.
        progress: The blocks that are stored already.
    """
    if not isinstance(generator, StyledGenerator):
        logger.warning(
            "%s has no space S: there will be no global directions.", generator.identity
        )
        return
    num_channels = num_images = seconds = 0.0
    for block in measure_relevance(
        generator,
        data.scorer(encoder),
        config,
        seed=seed,
        device=pick_device(device),
        progress=progress,
        resume=resume,
    ):
        yield block
        if block.arrays:
            moved = int(block.arrays["direction"].any(axis=1).sum())
            num_channels += moved
            num_images += 2 * config.num_images * moved
            seconds += float(block.arrays["seconds"].sum())
    logger.info(
        "Measured the relevance of %d channels with %d pictures in %.1f s.",
        num_channels,
        num_images,
        seconds,
    )


def create_pipeline() -> Pipeline:
    """Return generator, encoder -> channel_relevance."""
    return Pipeline(
        [
            wire(
                measure_channel_relevance,
                "channel_relevance",
                config="params:editing.relevance",
                progress="channel_relevance_progress",
            )
        ]
    )
