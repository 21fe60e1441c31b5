"""Nodes of `inference`."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import is_picture, read_picture
from clip2latent_kedro.inference import (
    InferenceConfig,
    LabelledPicture,
    PictureReaders,
    PictureRecord,
    find_problems,
    generate_pictures,
    name_pictures,
    read_prompts,
)
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.figures import plot_grid
from clip2latent_kedro.text_to_image import TextToImage

logger = logging.getLogger(__name__)

GRID_PROMPTS = 64  # rows of the grid at most


def accept_prompts(
    prompts_file: str | None,
    encoder: Encoder,
    inference: InferenceConfig,
    device: str,
) -> tuple[list[str], dict[str, str]]:
    """Return the prompts that can be drawn, and what is wrong with the others.

    Args:
        prompts_file: Text of a file with a prompt a line; None without one.
        encoder: Which may refuse a text, as pictures are refused that are not there.
        inference: The prompts, if there is no file.
        device: Where pictures among the prompts are embedded.

    Raises:
        InputError: If no prompt is left.
    """
    prompts = read_prompts(inference, prompts_file)
    device = pick_device(device)
    problems = find_problems(prompts, encoder.to(device), device)
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


def generate(
    model: TextToImage,
    records: dict[str, PictureRecord],
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
        model, records, sampling, inference, seed=seed, made=made
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
        The grid, uint8 [h, w, 3], of the first prompts, a given picture before its
        variations. And a row for each picture and for each refused prompt, `prompt`,
        `sample`, `seed`, `score`, `file`, `problem`.
    """
    rows: list[dict[str, Any]] = []
    images: list[list[np.ndarray]] = []
    for prompt, record in records.items():
        names = name_pictures(prompt, record)
        drawn = [pictures[name]() for name in names]
        if len(images) < GRID_PROMPTS:
            images.append([picture.image_u8 for picture in drawn])
        rows += [
            {
                "prompt": prompt,
                "sample": number,
                "seed": seed,
                "score": picture.labels.get("score"),
                "file": f"{name}.png",
            }
            for number, (name, picture) in enumerate(zip(names, drawn, strict=True))
        ]
    rows += [
        {"prompt": prompt, "problem": problem} for prompt, problem in problems.items()
    ]
    columns = ["prompt", "sample", "seed", "score", "file", "problem"]
    stacked = np.array(images)  # [num_prompts, num_samples, h, w, 3]
    cells = {f"{number + 1}": stacked[:, number] for number in range(stacked.shape[1])}
    shown = list(records)[:GRID_PROMPTS]
    if any(map(is_picture, shown)):
        given = [_given(prompt, stacked.shape[2]) for prompt in shown]
        cells = {"given": np.array(given), **cells}
    grid = plot_grid(shown, cells)
    return grid, pd.DataFrame(rows, columns=columns).convert_dtypes()


def _given(prompt: str, side: int) -> np.ndarray:
    """Return the picture that a prompt names, or white where it is a text."""
    if is_picture(prompt):
        return read_picture(prompt, side)
    return np.full((side, side, 3), 255, np.uint8)
