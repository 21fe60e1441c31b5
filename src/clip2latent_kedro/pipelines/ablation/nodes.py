"""Nodes of `ablation` that draw and score."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from clip2latent_kedro.ablation import (
    AblationConfig,
    Bench,
    Outcome,
    PlannedVariant,
    Settings,
    plan_variants,
    run_variants,
)
from clip2latent_kedro.ablation.bench import image_queries
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.latents import measure_cloud
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, DiffusionPrior
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.training import CLOUD_SAMPLES
from clip2latent_kedro.provenance import describe_making, find_current
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study import EvaluationConfig, Stored, read_queries, rows_of
from clip2latent_kedro.study.digests import digest_prior

logger = logging.getLogger(__name__)


def prepare(
    prompt_bank: pd.DataFrame,
    generator: Generator,
    encoder: Encoder,
    held_out_encoder: Encoder | None,
    judge: Judge | None,
    prior: DiffusionPrior,
    training_pairs: TrainingPairs,
    data: DataConfig,
    train: TrainConfig,
    evaluation: EvaluationConfig,
    ablation: AblationConfig,
    num_validation_prompts: int,
    device: str,
) -> Bench:
    """Return models and queries of all variants, on their device.

    Args:
        prompt_bank: A column `prompt`, and one for each attribute that is stated.
        generator: w -> image.
        encoder: The one that the prior was trained on.
        held_out_encoder: Only scores; None if there is none.
        judge: None if there is none.
        prior: Averaged weights.
        training_pairs: All; the last ones are the pictures that are asked for.
        data: `params:data`.
        train: `params:train`, which says how many pairs are kept from training.
        evaluation: `params:evaluation`, of which sizes of batches are read.
        ablation: `params:ablation`.
        num_validation_prompts: `params:validation.num_prompts`; the first prompts of
            the bank, which are left to the validation.
        device: `params:device`.

    Raises:
        InputError: If there are too few prompts, or too few pairs are kept from
            training.
    """
    bank = rows_of(prompt_bank)
    rows = bank[num_validation_prompts:]
    if len(rows) < ablation.num_prompts:
        msg = (
            f"ablation.num_prompts must be at most {len(rows)}, the prompts of the "
            f"bank that the validation does not use, got {ablation.num_prompts}."
        )
        raise InputError(msg)
    num_kept = train.val_pairs
    if num_kept < ablation.num_prompts:
        msg = (
            f"train.val_pairs must be {ablation.num_prompts} or more, for "
            f"ablation.num_prompts pictures that no training saw, got {num_kept}."
        )
        raise InputError(msg)
    device = pick_device(device)
    generator, scorer = generator.to(device), data.scorer(encoder).to(device)
    held_out = held_out_encoder if isinstance(held_out_encoder, Encoder) else None
    reads = judge.to(device) if isinstance(judge, Judge) else None
    if held_out is not None:
        held_out = held_out.to(device)
    texts = read_queries(
        rows,
        scorer,
        {} if reads is None else reads.attributes,
        num_prompts=ablation.num_prompts,
        held_out=held_out,
    )
    first = len(training_pairs) - num_kept
    w, embedding = training_pairs.take(slice(first, first + ablation.num_prompts))
    images, given = image_queries(
        torch.from_numpy(w).to(device),
        torch.from_numpy(embedding).to(device),
        generator,
        held_out,
        reads,
        data.latent_repeats,
        strip_prompts=ablation.strip_prompts,
        stored_image_size=evaluation.stored_image_size,
    )
    own_w, own_embedding = training_pairs.take(slice(0, first))
    return Bench(
        generator=generator,
        encoder=scorer,
        embedder=data.embedder(encoder).to(device),
        held_out=held_out,
        judge=reads,
        prior=prior,
        pairs=TrainingPairs(own_w, own_embedding, training_pairs.recipe),
        cloud=measure_cloud(torch.from_numpy(own_w[:CLOUD_SAMPLES])),
        texts=texts,
        images=images,
        given=given,
        latent_repeats=data.latent_repeats,
        latent_batch_size=evaluation.latent_batch_size,
        image_batch_size=evaluation.image_batch_size,
        stored_image_size=evaluation.stored_image_size,
        device=device,
    )


def plan(
    bench: Bench,
    sampling: SamplingConfig,
    data: DataConfig,
    network: NetworkConfig,
    diffusion: DiffusionConfig,
    train: TrainConfig,
    ablation: AblationConfig,
    seed: int,
) -> list[PlannedVariant]:
    """Return every variant with the key of its result.

    Args:
        bench: Of `prepare`.
        sampling: `params:sampling`.
        data: `params:data`.
        network: `params:model.network`.
        diffusion: `params:model.diffusion`.
        train: `params:train`.
        ablation: `params:ablation`.
        seed: `params:seed`.
    """
    held_out, judge = bench.held_out, bench.judge
    text_mean = bench.text_mean
    circumstances = {
        "prior": digest_prior(bench.prior),
        "generator": bench.generator.identity.digest,
        "encoder": bench.encoder.identity.digest,
        "held_out_encoder": None if held_out is None else held_out.identity.digest,
        "judge": None if judge is None else judge.identity.digest,
        "pairs": bench.pairs.settings,
        "num_pairs": len(bench.pairs),
        "text_mean": None if text_mean is None else text_mean.tolist(),
        "latent_repeats": list(bench.latent_repeats),
        "texts": bench.texts.texts,
        "stated": bench.texts.stated.tolist(),
        "num_samples": ablation.num_samples,
        "num_seeds": ablation.num_seeds,
        "strip_prompts": ablation.strip_prompts,
        "stored_image_size": bench.stored_image_size,
        "seed": seed,
    }
    base = Settings(sampling, data, network, diffusion, train)
    return plan_variants(ablation, base, circumstances)


def run(
    bench: Bench,
    variants: list[PlannedVariant],
    progress: Mapping[str, Stored],
    ablation: AblationConfig,
    seed: int,
    resume: bool,
) -> Iterator[dict[str, Stored]]:
    """Yield the result of each variant as it comes, to be stored at once.

    Args:
        bench: Of `prepare`.
        variants: Of `plan`.
        progress: Results that are stored; those without a problem are kept.
        ablation: `params:ablation`.
        seed: `params:seed`.
        resume: `params:resume`; false runs everything again.
    """
    keys = {variant.key for variant in variants}
    making = {
        **describe_making(
            bench.device,
            "clip2latent_kedro.ablation.run",
            bench.generator,
            bench.encoder,
            bench.held_out,
            bench.judge,
        ),
        "pairs": bench.pairs.made_by,
    }
    made_by = {
        key: record.get("made_by", {})
        for key, (_, record) in progress.items()
        if resume and key in keys and record["problem"] is None
    }
    done = find_current(made_by, making, what="stored variants")
    logger.info(
        "Running %d variants of %d studies on %s; %d are stored already.",
        len(keys) - len(done),
        len({variant.study for variant in variants}),
        bench.device,
        len(done),
    )
    yield {}
    for key, outcome in run_variants(variants, bench, ablation, seed=seed, done=done):
        yield {key: to_stored(replace(outcome, made_by=making))}


def to_stored(outcome: Outcome) -> Stored:
    """Return an outcome as its pictures, and the rest as plain JSON."""
    record = {k: v for k, v in vars(outcome).items() if k != "pictures"}
    return {"pictures": outcome.pictures}, record


def from_stored(stored: Stored) -> Outcome:
    """Return the outcome of `to_stored`."""
    arrays, record = stored
    return Outcome(pictures=np.asarray(arrays["pictures"]), **record)


def describe_base(
    sampling: SamplingConfig,
    data: DataConfig,
    network: NetworkConfig,
    diffusion: DiffusionConfig,
    train: TrainConfig,
) -> dict[str, Any]:
    """Return the parameters that variants start from, by group."""
    groups = {
        "sampling": sampling,
        "data": data,
        "model.network": network,
        "model.diffusion": diffusion,
        "train": train,
    }
    return {name: asdict(group) for name, group in groups.items()}  # type: ignore[call-overload]
