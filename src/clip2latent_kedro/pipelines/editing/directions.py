"""Pipeline `directions`: directions of w, learned for targets, tried and shipped."""

import logging
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from kedro.pipeline import Pipeline

from clip2latent_kedro.editing.directions.config import DirectionsConfig
from clip2latent_kedro.editing.directions.direction import Direction, sweep_direction
from clip2latent_kedro.editing.directions.files import pack_directions
from clip2latent_kedro.editing.directions.learning import learn_directions
from clip2latent_kedro.editing.directions.measuring import (
    find_sources,
    measure_direction,
    random_latents,
    tried_strengths,
)
from clip2latent_kedro.editing.directions.samples import needs_text, sample_latents
from clip2latent_kedro.editing.edit import read_targets, require_targets
from clip2latent_kedro.editing.mixing import synthesise_columns
from clip2latent_kedro.editing.texts import text_direction
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.wiring import wire
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.study.grid import plot_grid
from clip2latent_kedro.training.state import Weights

logger = logging.getLogger(__name__)

_SHOWN = ("class_means", "transport")  # kinds in the picture
_COLUMNS = ["target", "kind", "accuracy", "strength", "gained", "kept"]


def learn_directions_of_targets(
    generator: Generator,
    encoder: Encoder,
    judge: Judge | None,
    data: DataConfig,
    targets: dict[str, Any],
    config: DirectionsConfig,
    seed: int,
    device: str,
) -> tuple[Weights, dict[str, Any]]:
    """Return directions of each kind for each target, and the seconds they took.

    Args:
        generator: z -> w -> image.
        encoder: Tells by a target's texts what a picture shows, where the judge cannot.
        judge: Tells attributes; None if there is none.
        data: In which form the encoder reads images.
        targets: `params:editing.targets`.
        config: `params:editing.directions`.
        seed: Decides the pictures.
        device: Where to compute.

    Returns:
        Tensors and metadata of a file of directions; `sampling`, seconds, and
        `learning`, seconds by direction.
    """
    device = pick_device(device)
    asked = require_targets(targets)
    attributes = {} if judge is None else judge.attributes
    by_text = [one for one in asked.values() if needs_text(one, attributes)]
    scorer = data.scorer(encoder).to(device) if by_text else None
    known = judge.to(device) if isinstance(judge, Judge) else None

    began = time.perf_counter()
    latents = sample_latents(
        generator.to(device),
        scorer,
        known,
        num_samples=config.num_samples,
        seed=seed,
        device=device,
        batch_size=config.batch_size,
    )
    sampling = time.perf_counter() - began

    made_with = {
        "generator": generator.identity.digest,
        "encoder": None if scorer is None else scorer.identity.digest,
        "judge": None if known is None else known.identity.digest,
        "settings": asdict(config),
        "seed": seed,
    }
    found = {}
    for one in learn_directions(
        latents,
        list(asked.values()),
        config,
        text_directions={
            target.name: text_direction(scorer, target)
            for target in by_text
            if scorer is not None
        },
        seed=seed,
        made_with=made_with,
    ):
        found[one.name] = one
    logger.info("Learned %d directions of %d targets.", len(found), len(asked))
    seconds = {name: one.preparation["target"] for name, one in found.items()}
    return pack_directions(found), {"sampling": sampling, "learning": seconds}


def measure_directions(
    directions: dict[str, Direction],
    generator: Generator,
    judge: Judge | None,
    targets: dict[str, Any],
    config: DirectionsConfig,
    seed: int,
    device: str,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return what each direction does to other pictures, as a table and as a picture.

    Args:
        directions: By name.
        generator: w -> image.
        judge: Tells attributes; None if there is none, for an empty table.
        targets: `params:editing.targets`.
        config: `params:editing.directions`.
        seed: Decides the pictures.
        device: Where to compute.

    Returns:
        `target`, `kind`, `accuracy` of a boundary on held-out latents, `strength`,
        share of pictures that gained the target and share of other attributes kept; and
        strips of one picture a target, uint8 [h, w, 3].
    """
    device = pick_device(device)
    generator = generator.to(device)
    known = judge.to(device) if isinstance(judge, Judge) else None
    w = random_latents(generator, config.num_measured, seed=seed, device=device)
    rows: list[dict[str, Any]] = []
    strips, labels = [], []
    for target in read_targets(targets).values():
        sources, read = find_sources(w, target, generator, known, config.batch_size)
        for name, direction in directions.items():
            kind = direction.made_with.get("kind", "given")
            if name != f"{target.name}_{kind}":
                continue
            strengths = tried_strengths(direction, config)
            if kind in _SHOWN and len(sources):
                swept = sweep_direction(sources[:1], direction, [0.0, *strengths])
                strips.append(swept[:, 0])
                shown = ", ".join(f"{one:g}" for one in strengths)
                labels.append(f"{target.name}, {kind} at {shown}")
            if known is None or read is None or not len(sources):
                continue
            for effect in measure_direction(
                direction,
                target,
                strengths,
                generator,
                known,
                sources,
                read,
                batch_size=config.batch_size,
            ):
                accuracy = direction.made_with.get("accuracy")
                named = {"target": target.name, "kind": kind, "accuracy": accuracy}
                rows.append(named | asdict(effect))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    for kind, of_kind in table.groupby("kind"):
        means = of_kind.groupby("strength", as_index=False)[["gained", "kept"]].mean()
        best = means.loc[(means["gained"] + means["kept"]).idxmax()]
        logger.info(
            "%s at %g: %.3f gained, %.3f of other attributes kept.", kind, *best
        )
    return table, _draw_strips(strips, labels, generator)


def ship_directions(
    directions: Weights, seconds: dict[str, Any]
) -> tuple[Weights, dict[str, Any]]:
    """Return learned directions as they are, to be put where models are shipped.

    Args:
        directions: Tensors and metadata.
        seconds: What they took.
    """
    return directions, seconds


def create_learning_pipeline() -> Pipeline:
    """Return generator, encoder, judge -> learned_directions, and how good they are."""
    settings = {
        "targets": "params:editing.targets",
        "config": "params:editing.directions",
    }
    return Pipeline(
        [
            wire(
                learn_directions_of_targets,
                ["learned_directions@weights", "learned_directions_seconds"],
                name="learn_directions",
                **settings,
            ),
            wire(
                measure_directions,
                ["directions_quality", "directions_strips"],
                directions="learned_directions@model",
                **settings,
            ),
        ]
    )


def create_pipeline() -> Pipeline:
    """Return the learning of directions, and what puts them where they are shipped."""
    return create_learning_pipeline() + Pipeline(
        [
            wire(
                ship_directions,
                ["shipped_directions", "shipped_directions_seconds"],
                directions="learned_directions@weights",
                seconds="learned_directions_seconds",
            )
        ]
    )


def _draw_strips(
    strips: list[torch.Tensor], labels: list[str], generator: Generator
) -> np.ndarray:
    num_columns = min((len(strip) for strip in strips), default=0)
    if not num_columns:
        return plot_grid([], {})
    grid = torch.stack([strip[:num_columns] for strip in strips])
    titles = ["before", *map(str, range(1, num_columns))]
    return plot_grid(labels, synthesise_columns(generator, grid, titles))
