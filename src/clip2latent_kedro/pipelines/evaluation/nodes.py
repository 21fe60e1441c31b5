"""Nodes of `evaluation` that answer the prompts."""

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.methods.clip2gan import Clip2Gan
from clip2latent_kedro.methods.optimisation import OptimisationConfig
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.provenance import describe_making
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study import (
    Answers,
    EvaluationConfig,
    Models,
    PlannedRow,
    Queries,
    Stored,
    as_record,
    check_apart,
    draw_row,
    embed_generator_images,
    name_changes,
    plan_rows,
    read_queries,
    rows_of,
    to_arrays,
)
from clip2latent_kedro.study.rows import GENERATOR_IMAGES

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]
Rows = dict[str, PlannedRow]
Model = TypeVar("Model", Encoder, Judge)


def embed_prompts(
    prompts: pd.DataFrame,
    prompt_bank: pd.DataFrame | None,
    encoder: Encoder,
    held_out_encoder: Encoder | None,
    judge: Judge | None,
    evaluation: EvaluationConfig,
    device: str,
) -> Queries:
    """Return the prompts with their embeddings and what they state.

    Args:
        prompts: A column `prompt`, and one for each attribute that is stated.
        prompt_bank: What settings are chosen on, and so must not be among them;
            None if there is none.
        encoder: Text -> embedding.
        held_out_encoder: The same; None if there is none.
        judge: Knows the attributes; None if there is none.
        evaluation: `params:evaluation`.
        device: `params:device`.
    """
    check_apart(
        *([row["prompt"] for row in rows_of(table)] for table in (prompts, prompt_bank))
    )
    return read_queries(
        rows_of(prompts),
        encoder.to(pick_device(device)),
        judge.attributes if isinstance(judge, Judge) else {},
        num_prompts=evaluation.num_prompts,
        held_out=present(held_out_encoder, device),
    )


def gather_models(
    generator: Generator,
    encoder: Encoder,
    prior: DiffusionPrior,
    prior_best: DiffusionPrior | None,
    student: DiffusionPrior | None,
    training_pairs: TrainingPairs | None,
    reference_images: Arrays | None,
    reference_z: Arrays | None,
    lafite: TextGenerator | None,
    clip2gan: Clip2Gan | None,
    data: DataConfig,
    sampling: SamplingConfig,
    baselines: dict[str, Any],
    evaluation: EvaluationConfig,
    device: str,
) -> Models:
    """Return all that rows may draw with, on its device.

    Args:
        generator: w -> image.
        encoder: The one that the prior was trained on.
        prior: Averaged weights.
        prior_best: Those that validated best; None if there are none.
        student: One-step prior; None if there is none.
        training_pairs: For retrieval; None if there are none.
        reference_images: `images`, uint8 [num_prompts, num_references, h, w, 3];
            None if there are none.
        reference_z: `z`, [num_prompts, num_references, z_dim]; likewise.
        lafite: A trained LAFITE; None if there is none.
        clip2gan: A trained CLIP2GAN; likewise.
        data: `params:data`.
        sampling: `params:sampling`.
        baselines: `params:baselines`, of which the ways of searching are read.
        evaluation: `params:evaluation`.
        device: `params:device`.
    """
    device = pick_device(device)
    return Models(
        generator=generator.to(device),
        encoder=data.scorer(encoder).to(device),
        embedder=data.embedder(encoder),
        priors={"prior": prior, "prior_best": prior_best, "student": student},
        latent_repeats=data.latent_repeats,
        latent_batch_size=evaluation.latent_batch_size,
        image_batch_size=evaluation.image_batch_size,
        device=device,
        groups={
            "sampling": sampling,
            **{
                f"baselines.optimisation.{name}": OptimisationConfig(**settings)
                for name, settings in baselines.get("optimisation", {}).items()
            },
        },
        timing_guidance_scale=evaluation.timing_guidance_scale,
        training_pairs=(
            training_pairs if isinstance(training_pairs, TrainingPairs) else None
        ),
        reference_images=(reference_images or {}).get("images"),
        reference_z=(reference_z or {}).get("z"),
        baselines={"lafite": lafite, "clip2gan": clip2gan},
    )


def plan(
    models: Models,
    queries: Queries,
    held_out_encoder: Encoder | None,
    judge: Judge | None,
    evaluation: EvaluationConfig,
    seed: int,
) -> tuple[Rows, dict[str, str]]:
    """Return the rows of the comparison by name, and why others are left out.

    Args:
        models: Of `gather_models`.
        queries: Prompts.
        held_out_encoder: None if there is none.
        judge: None if there is none.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
    """
    return plan_rows(
        evaluation,
        models,
        queries,
        judge=judge if isinstance(judge, Judge) else None,
        held_out=held_out_encoder if isinstance(held_out_encoder, Encoder) else None,
        seed=seed,
    )


def answer_prompts(
    rows: Rows,
    models: Models,
    queries: Queries,
    held_out_encoder: Encoder | None,
    judge: Judge | None,
    progress: Mapping[str, Stored],
    evaluation: EvaluationConfig,
    psi: float,
    seed: int,
    resume: bool,
) -> Iterator[dict[str, tuple[Arrays, dict[str, Any]]]]:
    """Yield each row's answers as they come, to be stored at once.

    Args:
        rows: Of `plan`.
        models: Of `gather_models`.
        queries: Prompts.
        held_out_encoder: For scores only; None if there is none.
        judge: For the attributes; None if there is none.
        progress: Answers that are stored; those that depend on the same are kept.
        evaluation: `params:evaluation`.
        psi: `params:data_generation.psi`.
        seed: `params:seed`.
        resume: `params:resume`; false computes everything again.

    Yields:
        `generator_images`, features of what the generator draws of random w; then
        each row (see `evaluation.to_arrays`), with all that it depends on.
    """
    held_out = present(held_out_encoder, models.device)
    kept = progress if resume else {}
    yield {}  # a folder, even if there is nothing to add
    if evaluation.generator_images is not None:
        made_by = as_record(
            {
                "generator": models.generator.identity.digest,
                "encoder": models.encoder.identity.digest,
                "held_out_encoder": None
                if held_out is None
                else str(held_out.identity),
                "num_images": evaluation.generator_images,
                "psi": psi,
                "seed": seed,
                "made_by": describe_making(
                    models.device,
                    "clip2latent_kedro.study.distances",
                    models.generator,
                    models.encoder,
                    held_out,
                ),
            }
        )
        if is_due(GENERATOR_IMAGES, "features", kept, made_by):
            found = embed_generator_images(
                models.generator,
                models.encoder,
                held_out,
                num_images=evaluation.generator_images,
                psi=psi,
                batch_size=evaluation.image_batch_size,
                seed=seed,
            )
            features = {
                name: part for name, part in vars(found).items() if part is not None
            }
            yield {GENERATOR_IMAGES: (features, made_by)}
    for number, (name, planned) in enumerate(rows.items(), start=1):
        if not is_due(name, "answers", kept, planned.answered_by):
            continue
        began = time.perf_counter()
        drawn = draw_row(
            planned.row.method,
            queries.take(planned.prompts.tolist()),
            encoder=models.encoder,
            judge=present(judge, models.device),
            num_samples=planned.num_samples,
            image_batch_size=evaluation.image_batch_size,
            stored_image_size=evaluation.stored_image_size,
            seed=seed,
            held_out=held_out,
        )
        logger.info(
            "%s has answered %d prompts in %.1f s (row %d of %d).",
            name,
            len(planned.prompts),
            time.perf_counter() - began,
            number,
            len(rows),
        )
        arrays = to_arrays(Answers(drawn, planned.prompts))
        yield {name: (arrays, planned.answered_by)}


def is_due(
    name: str, what: str, progress: Mapping[str, Stored], asked: Mapping[str, Any]
) -> bool:
    """Return whether something has to be computed, and log why if it was before.

    Args:
        name: Of a row.
        what: Is due, for the log: its answers or its seconds.
        progress: What is stored, each with what it depends on.
        asked: What it would depend on now.
    """
    changes = name_changes(progress[name][1] if name in progress else None, asked)
    if changes == []:
        logger.info("The %s of %s are stored already.", what, name)
        return False
    if changes:
        logger.info("The %s of %s are due again: %s.", what, name, ", ".join(changes))
    return True


def present(model: Model | None, device: str) -> Model | None:
    """Return a model on its device; None if there is none."""
    return model.to(pick_device(device)) if model else None
