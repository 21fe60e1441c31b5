"""Nodes of `inversion`."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.inverter import ImageInverter
from clip2latent_kedro.editing.inversion.pictures import (
    ERRORS,
    PICTURE,
    InputPictures,
    Record,
    Stored,
    invert_files,
    list_pictures,
    name_inversion,
)
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import read_picture
from clip2latent_kedro.inference import LabelledPicture
from clip2latent_kedro.interfaces import Encoder, Generator, PerceptualLoss
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.grid import plot_grid

logger = logging.getLogger(__name__)

GRID_PICTURES = 64  # rows of the grid at most
_IMAGES_AT_ONCE = 64


def accept_pictures(inversion: InputPictures) -> tuple[list[str], dict[str, str]]:
    """Return the pictures that can be inverted, and what is wrong with the others.

    Args:
        inversion: Paths of pictures and folders.

    Raises:
        InputError: If no picture is left.
    """
    given = inversion.pictures
    pictures, problems = list_pictures([given] if isinstance(given, str) else given)
    for problem in problems.values():
        logger.warning("Left out: %s", problem)
    if not pictures:
        reason = next(iter(problems.values()), "there are none.")
        msg = (
            f"inversion.pictures must name a picture that can be read, got none: "
            f"{reason} Use --params=inversion.pictures:face.png."
        )
        raise InputError(msg)
    return pictures, problems


def gather_inverting(
    generator: Generator,
    encoder: Encoder,
    prior: DiffusionPrior | None,
    data: DataConfig,
    sampling: SamplingConfig,
    config: InversionConfig,
    device: str,
) -> Models:
    """Return the models that pictures are drawn and embedded with, together.

    Args:
        generator: w -> image.
        encoder: Image -> embedding.
        prior: Embedding -> w, to start from; None if there is none.
        data: In which form the encoder reads images, and layers of each latent.
        sampling: How the prior is sampled.
        config: Which prior it is, and how many samples of it are drawn.
        device: Where to compute.
    """
    return Models(
        generator=generator,
        encoder=data.scorer(encoder),
        embedder=data.embedder(encoder),
        latent_repeats=data.latent_repeats,
        latent_batch_size=config.num_candidates,
        image_batch_size=_IMAGES_AT_ONCE,
        priors={} if prior is None else {config.prior: prior},
        sampling=sampling,
        device=pick_device(device),
    )


def add_inverters(
    models: Models,
    identity_encoder: Encoder | None,
    perceptual: PerceptualLoss | None,
    image_inverter: ImageInverter | None,
) -> EditingModels:
    """Add what pictures are compared by, and the trained encoder.

    Args:
        models: What `gather_inverting` returned.
        identity_encoder: Image -> features of who it is; None if there is none.
        perceptual: How far two pictures are from each other; likewise.
        image_inverter: Image -> w; likewise.
    """
    return EditingModels(
        models=models,
        identity_encoder=identity_encoder,
        perceptual=perceptual,
        image_inverter=image_inverter,
    )


def invert(
    models: EditingModels,
    records: dict[str, Record],
    progress: Mapping[str, Stored],
    config: InversionConfig,
    seed: int,
    resume: bool,
) -> Iterator[dict[str, Stored]]:
    """Yield the latents of pictures, but for those that are there already.

    Args:
        models: What is inverted with.
        records: What each picture's inversion depends on.
        progress: What an earlier run made; those of the same record stay.
        config: How pictures are inverted.
        seed: Seed of the run.
        resume: Whether to keep those; otherwise all are made again.

    Yields:
        Arrays and record by name; empty at first.
    """
    made = list(progress) if resume else []
    num_due = sum(name_inversion(path, records[path]) not in made for path in records)
    logger.info("Inverting %d of %d pictures.", num_due, len(records))
    yield {}
    yield from invert_files(records, models, config, seed=seed, made=made)


def draw_reconstructions(
    latents: Mapping[str, Stored], records: dict[str, Record]
) -> dict[str, LabelledPicture]:
    """Return what the latents of a run draw, by the name of the latents.

    Args:
        latents: All that are in the folder.
        records: Of the run.
    """
    pictures = {}
    for path, record in records.items():
        name = name_inversion(path, record)
        arrays, found = latents[name]
        labels = {key: f"{found[key]:.4f}" for key in ERRORS if key in found}
        labels = {"picture": path, **labels}
        pictures[name] = LabelledPicture(arrays[PICTURE], labels)
    return pictures


def collect(
    latents: Mapping[str, Stored],
    records: dict[str, Record],
    problems: dict[str, str],
    config: InversionConfig,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return pictures beside their reconstructions, and the table of errors.

    Args:
        latents: All that are in the folder, by name.
        records: What each picture's inversion depends on.
        problems: Why pictures were refused, by path.
        config: How pictures are inverted.

    Returns:
        The grid, uint8 [h, w, 3], a row for each of the first pictures. And a row for
        each picture, also for each refused one: `picture`, `start`, `space`, `steps`,
        the errors, `seconds`, `file`, `problem`.
    """
    rows: list[dict[str, Any]] = []
    given: list[np.ndarray] = []
    found: list[np.ndarray] = []
    for path, record in records.items():
        name = name_inversion(path, record)
        arrays, facts = latents[name]
        rows.append(
            {
                "picture": path,
                "start": config.start,
                "space": config.space,
                "steps": config.num_steps,
                **{key: facts.get(key) for key in (*ERRORS, "seconds")},
                "file": f"{name}.npz",
            }
        )
        if len(given) < GRID_PICTURES:
            image = arrays[PICTURE]
            given.append(read_picture(path, image.shape[0]))
            found.append(image)
    rows += [{"picture": path, "problem": text} for path, text in problems.items()]
    columns = ["picture", "start", "space", "steps", *ERRORS, "seconds", "file"]
    table = pd.DataFrame(rows, columns=[*columns, "problem"]).convert_dtypes()
    shown = [path.rpartition("/")[2] for path in records][:GRID_PICTURES]
    cells = {"given": np.stack(given), "found": np.stack(found)}
    return plot_grid(shown, cells), table
