"""Nodes of `sweep`."""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import pandas as pd

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.provenance import describe_making, find_current
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study import (
    Clip2Latent,
    EvaluationConfig,
    PriorName,
    Queries,
    Variant,
    find_prior,
    read_queries,
    rows_of,
)
from clip2latent_kedro.study.digests import digest_prior
from clip2latent_kedro.study.sweep import (
    SweepConfig,
    Trial,
    key_of,
    plan_trials,
    run_trials,
)
from clip2latent_kedro.text_to_image import TextToImage

logger = logging.getLogger(__name__)

Results = dict[str, dict[str, Any]]
Plan = list[tuple[str, Trial]]


@dataclass(frozen=True)
class SweepModels:
    """What every variant draws with.

    Attributes:
        generator: w -> image.
        encoder: Embeds texts, and images to be scored.
        embedder: The same, as the priors know images.
        judge: For the attributes; None if there is none.
        priors: By name; None for one that has not been made.
        training_pairs: For retrieval.
    """

    generator: Generator
    encoder: Encoder
    embedder: Encoder
    judge: Judge | None
    priors: dict[str, DiffusionPrior | None]
    training_pairs: TrainingPairs


def gather_models(
    generator: Generator,
    encoder: Encoder,
    judge: Judge | None,
    prior: DiffusionPrior,
    prior_best: DiffusionPrior,
    student: DiffusionPrior | None,
    training_pairs: TrainingPairs,
    data: DataConfig,
    device: str,
) -> SweepModels:
    """Return the models together, on their device.

    Args:
        generator: w -> image.
        encoder: Text and image -> embedding.
        judge: None if there is none.
        prior: Averaged weights.
        prior_best: Those that validated best.
        student: One-step prior; None if there is none.
        training_pairs: For retrieval.
        data: `params:data`.
        device: `params:device`.
    """
    device = pick_device(device)
    return SweepModels(
        generator.to(device),
        data.scorer(encoder).to(device),
        data.embedder(encoder),
        judge.to(device) if isinstance(judge, Judge) else None,
        {"prior": prior, "prior_best": prior_best, "student": student},
        training_pairs,
    )


def plan(
    prompt_bank: pd.DataFrame,
    models: SweepModels,
    data: DataConfig,
    sampling: SamplingConfig,
    evaluation: EvaluationConfig,
    sweep: SweepConfig,
    num_validation_prompts: int,
    seed: int,
) -> tuple[Queries, Plan]:
    """Return the prompts, and every trial with the key of its result.

    Args:
        prompt_bank: A column `prompt`, and one for each attribute that is stated.
        models: Of `gather_models`.
        data: `params:data`.
        sampling: `params:sampling`.
        evaluation: `params:evaluation`.
        sweep: `params:sweep`.
        num_validation_prompts: `params:validation.num_prompts`; the first prompts of
            the bank, which are left to the validation.
        seed: `params:seed`.

    Returns:
        Queries; and trials in the order of their grids, of which those that come to
        the same share a key.
    """
    bank = rows_of(prompt_bank)
    rows = bank[num_validation_prompts:]
    if len(rows) < sweep.num_prompts:
        msg = (
            f"sweep.num_prompts must be at most {len(rows)}, the prompts of the bank "
            f"that the validation does not use, got {sweep.num_prompts}."
        )
        raise InputError(msg)
    judge = models.judge
    queries = read_queries(
        rows,
        models.encoder,
        {} if judge is None else judge.attributes,
        num_prompts=sweep.num_prompts,
    )
    shared = {
        "generator": models.generator.identity.digest,
        "encoder": models.encoder.identity.digest,
        "judge": None if judge is None else judge.identity.digest,
        "pairs": models.training_pairs.settings,
        "latent_repeats": data.latent_repeats,
        "texts": queries.texts,
        "stated": queries.stated.tolist(),
        "num_samples": sweep.num_samples,
        "stored_image_size": evaluation.stored_image_size,
        "seed": seed,
    }
    digests = {
        name: digest_prior(prior) if isinstance(prior, DiffusionPrior) else None
        for name, prior in models.priors.items()
    }
    trials = []
    for trial in plan_trials(sweep, sampling):
        circumstances = {"prior": digests[trial.variant.prior], **shared}
        trials.append((key_of(trial.variant, circumstances), trial))
    return queries, trials


def run(
    queries: Queries,
    trials: Plan,
    models: SweepModels,
    progress: Results,
    data: DataConfig,
    evaluation: EvaluationConfig,
    sweep: SweepConfig,
    seed: int,
    device: str,
    resume: bool,
) -> Iterator[Results]:
    """Yield the result of each variant as it comes, to be stored at once.

    Args:
        queries: Of `plan`.
        trials: Of `plan`.
        models: Of `gather_models`.
        progress: Results that are stored; those without a problem are kept.
        data: `params:data`.
        evaluation: `params:evaluation`.
        sweep: `params:sweep`.
        seed: `params:seed`.
        device: `params:device`.
        resume: `params:resume`; false runs everything again.
    """
    different = dict(reversed(trials))  # the first of those that come to the same
    making = {
        **describe_making(
            pick_device(device),
            "clip2latent_kedro.study.sweep",
            "clip2latent_kedro.prior.network",
            models.generator,
            models.encoder,
            models.judge,
        ),
        "pairs": models.training_pairs.made_by,
    }
    made_by = {
        key: result.get("made_by", {})
        for key, result in progress.items()
        if resume and key in different and result["problem"] is None
    }
    done = find_current(made_by, making, what="stored variants")

    @cache
    def to_image(name: PriorName) -> TextToImage:
        return TextToImage(
            models.generator,
            models.embedder,
            find_prior(models.priors, name),
            data.latent_repeats,
            latent_batch_size=evaluation.latent_batch_size,
            image_batch_size=evaluation.image_batch_size,
            device=pick_device(device),
            retrieval_bank=models.training_pairs.clip_embedding,
            scorer=models.encoder,
        )

    def make_method(variant: Variant) -> Clip2Latent:
        return Clip2Latent(to_image(variant.prior), variant.sampling)

    logger.info(
        "Trying %d variants with %d images each; %d are stored already.",
        len(different) - len(done),
        sweep.num_prompts * sweep.num_samples,
        len(done),
    )
    yield {}
    for key, result in run_trials(
        {key: different[key] for key, _ in trials},
        make_method,
        queries,
        judge=models.judge,
        num_samples=sweep.num_samples,
        image_batch_size=evaluation.image_batch_size,
        stored_image_size=evaluation.stored_image_size,
        seed=seed,
        done=done,
    ):
        yield {key: asdict(replace(result, made_by=making))}
