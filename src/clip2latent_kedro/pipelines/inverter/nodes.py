"""Nodes of `inverter`: the encoder trained and exported."""

import logging
from collections.abc import Iterator

import pandas as pd

from clip2latent_kedro.editing.inversion.inverter import export_inverter
from clip2latent_kedro.editing.inversion.inverter_training import (
    InverterTrainingConfig,
    inverter_statistics,
    train_inverter,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.training.state import (
    Weights,
    pack_state,
    stored_state,
    unpack_state,
)

logger = logging.getLogger(__name__)


def fit_inverter(
    generator: Generator,
    training_pairs: TrainingPairs,
    config: InverterTrainingConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of the training, each to be stored at once.

    Args:
        generator: Draws the pictures.
        training_pairs: Whose w are drawn.
        config: `params:editing.inverter`.
        seed: Decides the training.
        device: Where to compute.
        resume: False starts afresh.
        progress: What an earlier run left.
    """
    device = pick_device(device)
    logger.info("Training image_inverter for %d steps on %s.", config.max_it, device)
    states = train_inverter(
        generator,
        training_pairs,
        config,
        seed=seed,
        device=device,
        start=stored_state(progress) if resume else None,
    )
    yield from map(pack_state, states)


def finalise_inverter(
    state: Weights,
    generator: Generator,
    training_pairs: TrainingPairs,
    config: InverterTrainingConfig,
) -> tuple[Weights, dict[str, float | None], pd.DataFrame]:
    """Return the averaged weights as they are used, what they took, and their course.

    Args:
        state: The last of `fit_inverter`.
        generator: The one whose w are learned.
        training_pairs: Those that it was trained on.
        config: The settings of its training.
    """
    reached = unpack_state(state)
    weights = export_inverter(
        reached.ema,
        inverter_statistics(training_pairs, config),
        generator,
        training_pairs.recipe["latent_repeats"],
        config.width,
    )
    seconds = {"training_seconds": reached.seconds}
    return weights, seconds, pd.DataFrame(reached.history)
