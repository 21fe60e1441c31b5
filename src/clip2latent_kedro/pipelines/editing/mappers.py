"""Pipeline `mappers`: StyleCLIP's latent mappers, trained for targets side by side."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from kedro.pipeline import Pipeline

from clip2latent_kedro.editing.directions.measuring import (
    find_sources,
    measure_effects,
)
from clip2latent_kedro.editing.edit import EditTarget, read_targets, require_targets
from clip2latent_kedro.editing.mapper import (
    MapperConfig,
    MapperTeachers,
    StyleMapper,
    export_mapper,
    train_mappers,
)
from clip2latent_kedro.editing.mapper.teachers import draw_latents
from clip2latent_kedro.editing.mapper.training import choose_targets
from clip2latent_kedro.editing.mixing import synthesise_columns
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pipelines.studies import gather_models
from clip2latent_kedro.pipelines.wiring import wire
from clip2latent_kedro.study.grid import plot_grid
from clip2latent_kedro.training.state import (
    Weights,
    pack_state,
    stored_state,
    unpack_state,
)

logger = logging.getLogger(__name__)

StoredStates = Mapping[str, Callable[[], Weights | InputError]]

_STRENGTHS = (0.5, 1.0, 1.5)  # in the picture; the table has the middle one
_COLUMNS = ["target", "text", "training_seconds", "gained", "kept"]  # at least
_SHOWN = 2  # pictures of each target


def fit_mappers(
    models: Models,
    identity_encoder: Encoder | None,
    targets: dict[str, Any],
    config: MapperConfig,
    seed: int,
    resume: bool,
    progress: StoredStates,
) -> Iterator[dict[str, Weights]]:
    """Yield states of trainings, by target, each to be stored at once.

    Args:
        models: Generator, encoder and the device.
        identity_encoder: Tells who is in a picture; None leaves that loss out.
        targets: `params:editing.targets`.
        config: `params:editing.mapper`.
        seed: Decides the training.
        resume: False starts afresh.
        progress: What an earlier run left, read where it is needed.
    """
    teachers = _teachers(models, identity_encoder)
    chosen = choose_targets(require_targets(targets), config.only)
    if identity_encoder is None and config.id_weight:
        logger.warning("There is no identity_encoder: mappers go without its loss.")
    stored = {
        name: state
        for name in chosen
        if resume and name in progress
        if (state := stored_state(progress[name]())) is not None
    }
    logger.info("Training mappers of %s on %s.", ", ".join(chosen), models.device)
    for name, state in train_mappers(
        teachers, chosen, config, seed=seed, stored=stored
    ):
        yield {name: pack_state(state)}


def export_mappers(
    states: StoredStates, targets: dict[str, Any], config: MapperConfig
) -> dict[str, Weights]:
    """Return the mappers as they are used, by target.

    Args:
        states: All that are stored.
        targets: `params:editing.targets`.
        config: `params:editing.mapper`.
    """
    exported: dict[str, Weights] = {}
    for name, target in choose_targets(require_targets(targets), config.only).items():
        if name not in states:
            msg = (
                f"A trained mapper of {name} is expected in mapper_states, got none. "
                f"Run the whole of the pipeline mappers."
            )
            raise InputError(msg)
        stored = states[name]()
        if isinstance(stored, InputError):
            raise stored
        exported[name] = export_mapper(unpack_state(stored), target)
    return exported


def measure_mappers(
    mappers: dict[str, StyleMapper],
    models: Models,
    targets: dict[str, Any],
    config: MapperConfig,
    seed: int,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return what there is of mappers, as a table and as a picture.

    Args:
        mappers: All that are stored, by name.
        models: Generator, judge and the device.
        targets: `params:editing.targets`.
        config: `params:editing.mapper`.
        seed: Decides the pictures.

    Returns:
        `target`, `text`, `training_seconds`, the losses at the end of the training,
        and at strength 1, where there is a judge, the shares of `num_measured` other
        pictures that gain the target and of other attributes kept; and pictures
        before and after at three strengths, uint8 [h, w, 3].
    """
    known, teachers = read_targets(targets), _teachers(models, None)
    w = draw_latents(teachers, config.num_measured, 1.0, seed, "trial")
    rows, strips, labels = [], [], []
    for name, mapper in mappers.items():
        mapper.to(models.device).check_generator(models.generator)
        target = known.get(name, EditTarget(mapper.text, mapper.neutral, name=name))
        sources, read = find_sources(w, target, models.generator, models.judge)
        offset = mapper.offset(sources).detach()
        gained = kept = np.nan
        if models.judge is not None and read is not None and len(sources):
            (effect,) = measure_effects(
                {1.0: sources + offset}, target, models.generator, models.judge, read
            )
            gained, kept = effect.gained, effect.kept
        rows.append(
            {
                "target": name,
                "text": mapper.text,
                "training_seconds": mapper.training_seconds,
                **{k: x for k, x in mapper.losses.items() if k not in ("step", "loss")},
                "gained": gained,
                "kept": kept,
            }
        )
        for shown in range(min(_SHOWN, len(sources))):
            moved = [sources[shown] + s * offset[shown] for s in (0, *_STRENGTHS)]
            strips.append(torch.stack(moved))
            labels.append(f"{name}: {mapper.text}")
    table = pd.DataFrame(rows, columns=None if rows else _COLUMNS)
    for row in rows:
        logger.info("Mapper of %s: %s.", row["target"], _describe(row))
    if not strips:
        return table, plot_grid([], {})
    titles = ["before", *(f"strength {strength:g}" for strength in _STRENGTHS)]
    grid = synthesise_columns(models.generator, torch.stack(strips), titles)
    return table, plot_grid(labels, grid)


def create_mappers_pipeline() -> Pipeline:
    """Return models, targets -> mapper_states -> mappers, and how good they are."""
    settings = {
        "targets": "params:editing.targets",
        "config": "params:editing.mapper",
    }
    models = {"models": "frozen_models"}
    return Pipeline(
        [
            wire(gather_models, "frozen_models"),
            wire(
                fit_mappers,
                "mapper_states",
                progress="mapper_progress",
                **models,
                **settings,
            ),
            wire(export_mappers, "mappers", states="mapper_states", **settings),
            wire(
                measure_mappers,
                ["mappers_table", "mappers_strips"],
                **models,
                **settings,
            ),
        ]
    )


def _teachers(models: Models, identity_encoder: Encoder | None) -> MapperTeachers:
    who = None if identity_encoder is None else identity_encoder.to(models.device)
    return MapperTeachers(models.generator, models.encoder, who, models.device)


def _describe(row: Mapping[str, Any]) -> str:
    numbers = {k: x for k, x in row.items() if isinstance(x, float) and x == x}
    return ", ".join(f"{name} {value:.3f}" for name, value in numbers.items())
