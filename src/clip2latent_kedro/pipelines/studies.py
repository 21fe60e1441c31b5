"""Nodes of all pipelines that compare: their models, and the run of their variants."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from clip2latent_kedro.engines import Engines
from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.methods.clip2gan import Clip2Gan
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult, find_pending
from clip2latent_kedro.study.run import run_study

Arrays = dict[str, np.ndarray]


def gather_models(
    generator: Generator,
    encoder: Encoder,
    held_out_encoder: Encoder | None,
    judge: Judge | None,
    data: DataConfig,
    evaluation: EvaluationConfig,
    device: str,
) -> Models:
    """Move the frozen models to the device, together.

    Args:
        generator: w -> image.
        encoder: The one that the prior was trained on.
        held_out_encoder: Only scores; None if there is none.
        judge: Tells attributes; None if there is none.
        data: In which form the encoder reads images, and layers of each latent.
        evaluation: How much is in memory at a time.
        device: Where to compute.
    """
    return Models(
        generator=generator,
        encoder=data.scorer(encoder),
        embedder=data.embedder(encoder),
        held_out=held_out_encoder,
        judge=judge,
        latent_repeats=data.latent_repeats,
        latent_batch_size=evaluation.latent_batch_size,
        image_batch_size=evaluation.image_batch_size,
        device=pick_device(device),
    )


def add_priors(
    models: Models,
    prior: DiffusionPrior,
    prior_best: DiffusionPrior | None,
    student: DiffusionPrior | None,
    training_pairs: TrainingPairs | None,
) -> Models:
    """Add the priors to the frozen models, with the pairs to retrieve from.

    Args:
        models: What `gather_models` returned.
        prior: Averaged weights.
        prior_best: Those that validated best; None if there are none.
        student: One-step prior; None if there is none.
        training_pairs: None if there are none.
    """
    priors = {
        "prior": prior,
        "prior_best": prior_best,
        "student": student,
    }
    return replace(
        models,
        priors={name: found for name, found in priors.items() if found is not None},
        training_pairs=training_pairs,
    )


def add_references(
    models: Models,
    reference_images: Arrays | None,
    reference_z: Arrays | None,
    lafite: TextGenerator | None,
    clip2gan: Clip2Gan | None,
    clip2gan_abstract: Clip2Gan | None,
) -> Models:
    """Add what only the comparison of methods has.

    Args:
        models: What `add_priors` returned.
        reference_images: `images`, uint8 [num_prompts, num_references, h, w, 3];
            None if there are none.
        reference_z: `z`, [num_prompts, num_references, z_dim]; likewise.
        lafite: A trained LAFITE; None if there is none.
        clip2gan: A trained CLIP2GAN; likewise.
        clip2gan_abstract: One that was trained as its abstract tells it; likewise.
    """
    return replace(
        models,
        reference_images=(reference_images or {}).get("images"),
        reference_z=(reference_z or {}).get("z"),
        lafite=lafite,
        clip2gan=clip2gan,
        clip2gan_abstract=clip2gan_abstract,
    )


def run_variants(
    variants: list[PlannedVariant],
    engines: Engines,
    progress: Mapping[str, StoredResult],
    resume: bool,
) -> Iterator[dict[str, StoredResult]]:
    """Run each variant that is due, and yield its result as it comes, by its key.

    Args:
        variants: Those of one key come to the same: the first is run.
        engines: What to compute with; variants that train suit a process a core.
        progress: Results that are stored; those without a problem are kept.
        resume: False runs everything again.
    """
    first = {one.key: one for one in reversed(variants)}
    planned = {one.key: first[one.key] for one in variants}
    trains = any(one.together for one in variants)
    engine = engines.of("studies", one_a_core=trains)
    yield from run_study(
        planned, find_pending(planned, progress, resume=resume), engine
    )
