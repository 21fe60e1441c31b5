"""Nodes of `evaluation` that answer the prompts, score and time the answers."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.evaluation import (
    Clip2Latent,
    Drawn,
    EvaluationConfig,
    GeneratorBound,
    Method,
    NearestPair,
    Queries,
    RandomW,
    References,
    draw_row,
    find_prior,
    measure_bridges,
    read_queries,
    score_prompts,
    time_rows,
    variants_of_rows,
)
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.metrics.modality_gap import ModalityGap
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.runtime import describe_machine, pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]
Absent = Mapping[str, Any]  # an empty mapping, in the place of what a domain lacks


def embed_prompts(
    prompts: pd.DataFrame,
    encoder: Encoder,
    judge: Judge | Absent,
    evaluation: EvaluationConfig,
    device: str,
) -> Queries:
    """Return the prompts with their embeddings and what they state.

    Args:
        prompts: A column `prompt`, and one for each attribute that is stated.
        encoder: Text -> embedding.
        judge: Knows the attributes; an empty mapping if there is none.
        evaluation: `params:evaluation`.
        device: `params:device`.
    """
    return read_queries(
        prompts.fillna("").astype(str).to_dict("records"),
        encoder.to(pick_device(device)),
        judge.attributes if isinstance(judge, Judge) else {},
        num_prompts=evaluation.num_prompts,
    )


def assemble_methods(
    generator: Generator,
    encoder: Encoder,
    prior: DiffusionPrior,
    prior_best: DiffusionPrior,
    student: DiffusionPrior | Absent,
    training_pairs: TrainingPairs,
    reference_images: Arrays,
    reference_z: Arrays,
    data: DataConfig,
    sampling: SamplingConfig,
    evaluation: EvaluationConfig,
    device: str,
) -> tuple[dict[str, Method], dict[str, str]]:
    """Return the rows of the comparison by name, and what they are made of.

    Args:
        generator: w -> image.
        encoder: The one that the prior was trained on.
        prior: Averaged weights.
        prior_best: Those that validated best.
        student: One-step prior; an empty mapping if there is none.
        training_pairs: For retrieval.
        reference_images: `images`, uint8 [num_prompts, num_references, h, w, 3]; an
            empty mapping leaves their row out.
        reference_z: `z`, [num_prompts, num_references, z_dim]; likewise.
        data: `params:data`.
        sampling: `params:sampling`.
        evaluation: `params:evaluation`.
        device: `params:device`.
    """
    variants = variants_of_rows(sampling, evaluation.rows)
    known: dict[str, DiffusionPrior | Absent] = {
        "prior": prior,
        "prior_best": prior_best,
        "student": student,
    }
    wanted = [variant.prior for variant in variants.values()]
    priors = {str(name): find_prior(known, name) for name in dict.fromkeys(wanted)}
    to_image = {
        name: TextToImage(
            generator,
            encoder,
            found,
            data.latent_repeats,
            latent_batch_size=evaluation.latent_batch_size,
            image_batch_size=evaluation.image_batch_size,
            device=pick_device(device),
            retrieval_bank=training_pairs.clip_embedding,
        )
        for name, found in priors.items()
    }
    generator.to(pick_device(device))
    methods: dict[str, Method] = {"random_w": RandomW(generator)}
    if reference_images:
        methods["reference"] = References(reference_images["images"])
    if reference_z:
        methods["generator_bound"] = GeneratorBound(generator, reference_z["z"])
    methods["nearest_pair"] = NearestPair(
        generator, training_pairs, data.latent_repeats
    )
    for row, variant in variants.items():
        methods[row] = Clip2Latent(to_image[variant.prior], variant.sampling)
    models = {
        "generator": str(generator.identity),
        "encoder": str(encoder.identity),
        **{name: _describe_prior(found) for name, found in priors.items()},
        "training_pairs": f"{len(training_pairs):,}",
    }
    return methods, models


def draw_samples(
    methods: dict[str, Method],
    queries: Queries,
    encoder: Encoder,
    judge: Judge | Absent,
    evaluation: EvaluationConfig,
    seed: int,
    device: str,
) -> tuple[dict[str, Drawn], Arrays, Arrays]:
    """Return every method's answers, their images alone, and their w alone.

    Args:
        methods: By row name.
        queries: Prompts.
        encoder: For the CLIP score.
        judge: For the attributes; an empty mapping if there is none.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
        device: `params:device`.
    """
    device = pick_device(device)
    drawn: dict[str, Drawn] = {}
    for row, method in methods.items():
        logger.info("Answering %d prompts by %s.", len(queries.texts), row)
        drawn[row] = draw_row(
            method,
            queries,
            encoder=encoder.to(device),
            judge=judge.to(device) if isinstance(judge, Judge) else None,
            num_samples=evaluation.num_samples,
            image_batch_size=evaluation.image_batch_size,
            stored_image_size=evaluation.stored_image_size,
            seed=seed,
        )
    samples = {row: answers.images for row, answers in drawn.items()}
    w = {row: answers.w for row, answers in drawn.items() if answers.w is not None}
    return drawn, samples, w


def score_samples(
    drawn: dict[str, Drawn],
    queries: Queries,
    prior: DiffusionPrior,
    data: DataConfig,
) -> pd.DataFrame:
    """Return one row for each method and prompt, with the scores of its samples.

    Args:
        drawn: The answers by row name.
        queries: Prompts.
        prior: Knows the cloud of the training data.
        data: `params:data`.
    """
    tables = [
        pd.DataFrame(
            {
                "method": row,
                "prompt_index": range(len(queries.texts)),
                "prompt": queries.texts,
                "num_samples": answers.images.shape[1],
                **score_prompts(answers, queries, prior.cloud, data.latent_repeats),
            }
        )
        for row, answers in drawn.items()
    ]
    return pd.concat(tables, ignore_index=True)


def measure_gap(
    drawn: dict[str, Drawn],
    queries: Queries,
    prior: DiffusionPrior,
    training_pairs: TrainingPairs,
    sampling: SamplingConfig,
    seed: int,
) -> pd.DataFrame:
    """Return the gap between the prompts and their references for each bridge.

    Args:
        drawn: The answers by row name, `reference` among them.
        queries: Prompts.
        prior: Bridges texts by what it knows of embeddings.
        training_pairs: For retrieval.
        sampling: `params:sampling`.
        seed: `params:seed`.

    Returns:
        A row for each bridge (see `metrics.modality_gap`); none without references.
    """
    columns = ["bridge", *(field.name for field in fields(ModalityGap))]
    if "reference" not in drawn:
        return pd.DataFrame(columns=columns)
    gaps = measure_bridges(
        prior.to(queries.embedding.device),
        queries,
        drawn["reference"].image_embedding,
        sampling,
        retrieval_bank=training_pairs.clip_embedding,
        seed=seed,
    )
    rows = [{"bridge": bridge, **gap} for bridge, gap in gaps.items()]
    return pd.DataFrame(rows, columns=columns)


def time_methods(
    methods: dict[str, Method],
    queries: Queries,
    encoder: Encoder,
    evaluation: EvaluationConfig,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Return seconds of each method, stage and repeat, with machine and protocol.

    Args:
        methods: By row name.
        queries: Prompts.
        encoder: For text and re-ranking.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
        device: `params:device`.
    """
    device = pick_device(device)
    logger.info(
        "Timing %d images of %r.", evaluation.timing_images, evaluation.timing_prompt
    )
    protocol = {
        name: value
        for name, value in asdict(evaluation).items()
        if name.startswith("timing_")
    }
    seconds = time_rows(methods, queries, encoder.to(device), evaluation, seed=seed)
    machine = {"device": device, **describe_machine()}
    return {"machine": machine, "protocol": protocol, "seconds": seconds}


def _describe_prior(prior: DiffusionPrior) -> str:
    num_weights = sum(weight.numel() for weight in prior.parameters())
    return f"{num_weights:,} weights"
