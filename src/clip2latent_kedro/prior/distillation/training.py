"""Distillation: a trained prior and pairs in, checkpoints of a student out."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch

from clip2latent_kedro.engines.groups import AloneGroup, Group
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.pairs.batches import PairBatches
from clip2latent_kedro.prior.checkpoint import Checkpoint, prior_from_checkpoint
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.comparison import StudentComparison
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.prior.distillation.objectives import OBJECTIVES, Distillation
from clip2latent_kedro.prior.distillation.student import build_student, digest_weights
from clip2latent_kedro.prior.distillation.teacher import Teacher
from clip2latent_kedro.runtime import choose_precision
from clip2latent_kedro.training import (
    Objective,
    Run,
    Task,
    averaged_copy,
    describe_making,
    fit_together,
)
from clip2latent_kedro.training.optimizer import build_optimizer
from clip2latent_kedro.training.rates import decayed_lr, ema_decay
from clip2latent_kedro.training.team import Team


def distill_prior(
    teacher: Checkpoint,
    pairs: TrainingPairs,
    *,
    distillation: DistillationConfig,
    seed: int,
    device: str,
    start: Checkpoint | InputError | None = None,
    group: Group | None = None,
) -> Iterator[Checkpoint]:
    """Yield a checkpoint of the student every `save_it` steps, and one at the end.

    It learns to give in one step, from pure noise, what the averaged weights of the
    teacher give in many, guidance included. On a CPU, training that goes on from any
    of the checkpoints yields the same bits as training that was never interrupted.

    Args:
        teacher: A finished prior.
        pairs: Those of the teacher; its last `train.val_pairs` are kept to measure
            with.
        distillation: `params:distillation`.
        seed: Seed of the run.
        device: Where to compute, if there is no group.
        start: Where to go on, as for `train_prior`.
        group: Who trains; None for this process alone.

    Raises:
        InputError: If the teacher is unfinished or of other models than the pairs,
            if `start` is unfinished and of other settings, if there are too few
            pairs, or if the loss is not finite.
    """
    _check_teacher(teacher, pairs)
    group = AloneGroup(device) if group is None else group
    settings = describe_settings(teacher, pairs, distillation=distillation, seed=seed)
    untrained = replace(teacher, settings=settings)
    run = Run(
        entry="student_checkpoint",
        group="distillation",
        settings=settings,
        making={**describe_making(group, __name__), "pairs": pairs.made_by},
        max_it=distillation.max_it,
        save_it=distillation.save_it,
        val_it=distillation.val_it,
    )
    if group.size > 1:  # what travels is light
        pairs = pairs.from_store()
    prepare = partial(_prepare, teacher, pairs, settings, distillation, seed)
    states = fit_together(group, prepare, prepare, run, start)
    yield from map(untrained.with_state, states)


def _prepare(
    teacher: Checkpoint,
    pairs: TrainingPairs,
    settings: dict[str, Any],
    distillation: DistillationConfig,
    seed: int,
    device: str,
    team: Team,
) -> Task:
    """Return what one process trains, before the first step."""
    team.check_batch(distillation.bs, "distillation.bs")
    asked = Teacher(prior_from_checkpoint(teacher).to(device), distillation, seed)
    num_pairs = max(0, len(pairs) - teacher.settings["train"]["val_pairs"])
    batches = PairBatches(
        pairs,
        asked.prior.statistics,
        num_pairs=num_pairs,
        batch_size=distillation.bs,
        buffer_pairs=teacher.settings["train"]["buffer_pairs"],
        seed=seed,
        device=device,
        team=team,
    )
    student = build_student(
        teacher, settings, warm_start=distillation.warm_start, seed=seed
    )
    # What is held out is read by who measures.
    last = slice(num_pairs, len(pairs) if team.is_first else num_pairs)
    _, embedding = pairs.take(last)
    return student_task(
        student.to(device),
        OBJECTIVES[distillation.objective](asked, batches),
        StudentComparison(asked, torch.from_numpy(embedding).to(device)),
    )


def student_task(
    student: DiffusionPrior, objective: Distillation, comparison: StudentComparison
) -> Task:
    """Return what `fit` trains.

    Args:
        student: With its first weights, on its device.
        objective: What it learns from.
        comparison: What it is measured by.
    """
    config = objective.teacher.config
    average = averaged_copy(student)
    optimizer = build_optimizer(
        student.network, lr=config.lr, weight_decay=config.weight_decay
    )
    return Task(
        network=student.network,
        average=average.network,
        objectives=[Objective(optimizer, partial(objective.loss, student, average))],
        batch=lambda step: {"step": step},
        learning_rate=partial(decayed_lr, decay=config.lr_decay, max_it=config.max_it),
        ema_decay=partial(ema_decay, beta=config.ema_beta, power=config.ema_power),
        lr_setting=f"distillation.lr = {config.lr}",
        measure=lambda step, is_validated: comparison(average),
        precision=choose_precision(config.precision, str(student.alpha_bar.device)),
        num_rows=config.bs,
    )


def describe_settings(
    teacher: Checkpoint,
    pairs: TrainingPairs,
    *,
    distillation: DistillationConfig,
    seed: int,
) -> dict[str, Any]:
    """Return everything that decides a student, as plain JSON (see `Checkpoint`).

    These are the teacher's settings, with a fingerprint of its weights, and its own.
    """
    model = teacher.settings["model"]
    diffusion = {**model["diffusion"], "predict_x_start": True}
    settings = {
        **teacher.settings,
        "model": {**model, "diffusion": diffusion},
        "distillation": {
            **asdict(distillation),
            "teacher": digest_weights(teacher.ema),
        },
        "seed": seed,
        "pairs": pairs.settings,
    }
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def _check_teacher(teacher: Checkpoint, pairs: TrainingPairs) -> None:
    """Check that there is a whole teacher, and that the pairs are of its models."""
    for name in ("max_it", "val_pairs", "buffer_pairs"):
        if name not in teacher.settings["train"]:
            msg = (
                f"The teacher must come with the settings of its training, got one "
                f"without train.{name}. Distil a prior that was trained here."
            )
            raise InputError(msg)
    if not teacher.finished:
        msg = (
            f"The teacher must be trained for all of its "
            f"{teacher.settings['train']['max_it']} steps, got {teacher.step}. Run "
            f"the training pipeline to its end first."
        )
        raise InputError(msg)
    for role in ("generator", "encoder"):
        identity = getattr(teacher, f"{role}_identity")
        if pairs.recipe[role] != f"{identity.name}@{identity.digest}":
            msg = (
                f"training_pairs must be of the teacher's {role}, {identity}, got "
                f"{pairs.recipe[role]}. Train the prior on these pairs first."
            )
            raise InputError(msg)
