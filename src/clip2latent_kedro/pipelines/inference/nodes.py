"""Nodes of `inference`."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.editing.edit import read_targets
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.inverter import ImageInverter
from clip2latent_kedro.editing.inversion.latent_files import read_latents
from clip2latent_kedro.editing.models import EditingModels, domain_of
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import is_picture, read_picture
from clip2latent_kedro.inference import (
    CHANGE,
    InferenceConfig,
    LabelledPicture,
    PictureReaders,
    PictureRecord,
    find_problems,
    generate_pictures,
    name_pictures,
    read_prompts,
    unchanged,
)
from clip2latent_kedro.inference.edits import PictureEdits, read_edits
from clip2latent_kedro.interfaces import Encoder, Generator, PerceptualLoss
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.grid import plot_grid
from clip2latent_kedro.text_to_image import TextToImage

logger = logging.getLogger(__name__)

GRID_PROMPTS = 64  # rows of the grid at most


def accept_prompts(
    prompts_file: str | None,
    generator: Generator,
    encoder: Encoder,
    inference: InferenceConfig,
    device: str,
) -> tuple[list[str], dict[str, str]]:
    """Return the prompts that can be drawn, and what is wrong with the others.

    Args:
        prompts_file: Text of a file with a prompt a line; None without one.
        generator: Which may refuse a stored w.
        encoder: Which may refuse a text, as pictures are refused that are not there.
        inference: The prompts, if there is no file.
        device: Where pictures among the prompts are embedded.

    Raises:
        InputError: If no prompt is left.
    """
    prompts = read_prompts(inference, prompts_file)
    device = pick_device(device)
    problems = find_problems(
        prompts,
        encoder.to(device),
        device,
        read_w=partial(read_latents, generator=generator),
    )
    accepted = [prompt for prompt in prompts if prompt not in problems]
    if not accepted:
        msg = f"None of the prompts can be drawn: {next(iter(problems.values()))}"
        raise InputError(msg)
    return list(dict.fromkeys(accepted)), problems


def gather(
    generator: Generator,
    encoder: Encoder,
    prior: DiffusionPrior,
    training_pairs: TrainingPairs | None,
    data: DataConfig,
    inference: InferenceConfig,
    device: str,
) -> TextToImage:
    """Return the method.

    Args:
        generator: w -> image.
        encoder: Text or picture -> embedding.
        prior: Embedding -> w.
        training_pairs: What samples may be retrieved from; None if there are none.
        data: How many layers a latent stands for, and how images are read.
        inference: Number of pictures and sizes of batches.
        device: Where to compute.
    """
    return TextToImage(
        generator,
        data.embedder(encoder),
        prior,
        data.latent_repeats,
        latent_batch_size=max(inference.num_samples, inference.image_batch_size),
        image_batch_size=inference.image_batch_size,
        device=pick_device(device),
        retrieval_bank=training_pairs.clip_embedding if training_pairs else None,
        scorer=data.scorer(encoder),
    )


def name_models(
    model: TextToImage, inference: InferenceConfig, sampling: SamplingConfig
) -> Models:
    """Return the models of the method as edits take them.

    Args:
        model: Generator, encoder and prior.
        inference: Names the prior.
        sampling: How latents are sampled.
    """
    return domain_of(model, sampling, prior=inference.prior)


def read_changes(
    model: TextToImage,
    models: EditingModels,
    perceptual: PerceptualLoss | None,
    image_inverter: ImageInverter | None,
    inference: InferenceConfig,
    inversion: InversionConfig,
    targets: dict[str, Any],
    neutral: str,
) -> PictureEdits:
    """Return what is to be done to each picture.

    Args:
        model: Generator, encoder and prior.
        models: All that edits are prepared with.
        perceptual: How far two pictures are from each other; None if there is none.
        image_inverter: Image -> w; likewise.
        inference: What is asked for.
        inversion: How pictures are inverted, if they are.
        targets: Edits that a name is enough for.
        neutral: The text that an edit to a single text starts from.
    """
    models = replace(models, perceptual=perceptual, image_inverter=image_inverter)
    known = read_targets(targets)
    edits = read_edits(model, models, inference, inversion, known, neutral)
    if (change := edits.describe_change()) is not None:
        logger.info("Each picture is changed: %s.", change["words"])
    return edits


def generate(
    model: TextToImage,
    records: dict[str, PictureRecord],
    changes: PictureEdits,
    progress: PictureReaders,
    sampling: SamplingConfig,
    inference: InferenceConfig,
    seed: int,
    resume: bool,
) -> Iterator[dict[str, LabelledPicture]]:
    """Yield the pictures of each prompt, but for those that are there already.

    Args:
        model: Prompt -> w -> image.
        records: What the pictures of each prompt depend on.
        changes: Other starts, and edits.
        progress: Pictures that an earlier run made; those of the same record stay.
        sampling: How latents are sampled.
        inference: Number of pictures, their order and what guidance leads away from.
        seed: Picture j of a prompt depends on (seed, j) alone.
        resume: Whether to keep those; otherwise all are made again.

    Yields:
        Pictures by name; empty if all are there.
    """
    logger.info(
        "Drawing %d pictures of each of %d prompts.",
        inference.num_samples,
        len(records),
    )
    yield {}
    made = progress if resume else {}
    yield from generate_pictures(
        model, records, sampling, inference, seed=seed, made=made, changes=changes
    )


def collect(
    pictures: PictureReaders,
    records: dict[str, PictureRecord],
    problems: dict[str, str],
    seed: int,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the grid of a run's pictures, and its table.

    Args:
        pictures: All that are in the folder, by name.
        records: What the pictures of each prompt depend on, and are named by.
        problems: Why prompts were refused, by prompt.
        seed: Seed of the run, for the table.

    Returns:
        The grid, uint8 [h, w, 3], of the first prompts: a given picture before its
        variations, and each picture before its edit. And a row for each picture and for
        each refused prompt, `prompt`, `sample`, `seed`, `score`, `edit`, `file`,
        `problem`.
    """
    rows: list[dict[str, Any]] = []
    cells: dict[str, dict[str, np.ndarray]] = {}  # by column, by prompt
    for prompt, record in records.items():
        forms = [unchanged(record), record] if CHANGE in record else [record]
        for form in forms:
            edit = form[CHANGE]["words"] if CHANGE in form else None
            for number, name in enumerate(name_pictures(prompt, form)):
                picture = pictures[name]()
                title = f"{number + 1}" if edit is None else f"{number + 1}: {edit}"
                cells.setdefault(title, {})[prompt] = picture.image_u8
                rows.append(
                    {
                        "prompt": prompt,
                        "sample": number,
                        "seed": seed,
                        "score": picture.labels.get("score"),
                        "edit": edit,
                        "file": f"{name}.png",
                    }
                )
    rows += [
        {"prompt": prompt, "problem": problem} for prompt, problem in problems.items()
    ]
    columns = ["prompt", "sample", "seed", "score", "edit", "file", "problem"]
    shown = list(records)[:GRID_PROMPTS]
    grid = plot_grid(shown, _arrange(shown, cells))
    return grid, pd.DataFrame(rows, columns=columns).convert_dtypes()


def _arrange(
    prompts: Sequence[str], cells: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the columns of the grid, each sample beside its edit, white for none."""
    titles = sorted(cells, key=lambda title: int(title.partition(":")[0]))
    side = len(next(iter(cells[titles[0]].values())))
    columns = {
        title: np.array([cells[title].get(p, _white(side)) for p in prompts])
        for title in titles
    }
    if any(map(is_picture, prompts)):
        given = [
            read_picture(p, side) if is_picture(p) else _white(side) for p in prompts
        ]
        columns = {"given": np.array(given), **columns}
    return columns


def _white(side: int) -> np.ndarray:
    return np.full((side, side, 3), 255, np.uint8)
