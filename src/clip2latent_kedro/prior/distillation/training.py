"""Distillation: a trained prior and pairs in, checkpoints of a student out."""

import copy
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.checkpoint import Checkpoint, prior_from_checkpoint
from clip2latent_kedro.prior.config import LOSS_SCORE
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.comparison import Comparison
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.prior.distillation.objectives import OBJECTIVES, Objective
from clip2latent_kedro.prior.distillation.student import build_student, digest_weights
from clip2latent_kedro.prior.distillation.teacher import Teacher
from clip2latent_kedro.prior.ema import ema_decay, update_ema
from clip2latent_kedro.prior.loop import accept_start, run_steps
from clip2latent_kedro.prior.optimizer import (
    build_optimizer,
    decayed_lr,
    optimizer_tensors,
    restore_optimizer,
)
from clip2latent_kedro.prior.record import Record
from clip2latent_kedro.prior.trainer import copy_to_cpu
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import Stopwatch

logger = logging.getLogger(__name__)


def distill_prior(
    teacher: Checkpoint,
    pairs: TrainingPairs,
    *,
    distillation: DistillationConfig,
    seed: int,
    device: str,
    start: Checkpoint | InputError | None = None,
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
        device: Where to compute.
        start: Where to go on, as for `train_prior`.

    Raises:
        InputError: If the teacher is unfinished or of other models than the pairs,
            if `start` is unfinished and of other settings, if there are too few
            pairs, or if the loss is not finite.
    """
    _check_teacher(teacher, pairs)
    settings = describe_settings(teacher, pairs, distillation=distillation, seed=seed)
    making = {**describe_provenance(device, __name__), "pairs": pairs.made_by}
    start = accept_start(start, settings, making)
    if start is not None and start.step >= distillation.max_it:
        logger.info("The student is trained already, for %d steps.", start.step)
        settings["made_by"] = start.settings.get("made_by", [{}])
        yield replace(
            start, settings=settings, embedding_statistics=teacher.embedding_statistics
        )
        return

    asked = Teacher(prior_from_checkpoint(teacher).to(device), distillation)
    train = teacher.settings["train"]
    num_pairs = max(0, len(pairs) - train["val_pairs"])
    batches = PairBatches(
        pairs,
        asked.prior.statistics,
        num_pairs=num_pairs,
        batch_size=distillation.bs,
        buffer_pairs=train["buffer_pairs"],
        seed=seed,
        device=device,
    )
    trainer = StudentTrainer(
        build_student(teacher, settings, warm_start=distillation.warm_start, seed=seed),
        OBJECTIVES[distillation.objective](asked, batches, seed=seed, device=device),
        distillation,
        device=device,
        start=start,
    )
    _, held_out = pairs.take(slice(num_pairs, len(pairs)))
    comparison = Comparison(
        asked, torch.from_numpy(held_out).to(device), seed=seed, device=device
    )
    record = Record(LOSS_SCORE, start)

    def measure(step: int, loss: float, is_validated: bool) -> dict[str, float]:
        return record.add(step, loss, comparison(trainer.average))

    stopwatch = Stopwatch(0.0 if start is None else start.seconds)
    for step in run_steps(
        "distillation",
        first=0 if start is None else start.step,
        max_it=distillation.max_it,
        val_it=distillation.val_it,
        save_it=distillation.save_it,
        lr=("distillation.lr", distillation.lr),
        step=trainer.step,
        has_finite_weights=trainer.has_finite_weights,
        measure=measure,
        stopwatch=stopwatch,
    ):
        state = trainer.state()
        yield replace(
            teacher,
            step=step,
            network=state["network"],
            ema=state["ema"],
            optimizer=state["optimizer"],
            best={},
            best_step=0,
            history=list(record.history),
            settings=settings,
            seconds=stopwatch.seconds,
        )


class StudentTrainer:
    """A student, its averaged copy and its optimiser.

    Attributes:
        student: On the device.
        average: The same with averaged weights.
    """

    def __init__(
        self,
        student: DiffusionPrior,
        objective: Objective,
        config: DistillationConfig,
        *,
        device: str,
        start: Checkpoint | None,
    ) -> None:
        """Move the student to the device and take over the state of `start`."""
        self.student = student
        self.average = copy.deepcopy(student).requires_grad_(False).eval()
        if start is not None:
            self.student.network.load_state_dict(start.network)
            self.average.network.load_state_dict(start.ema)
        self.student.to(device)
        self.average.to(device)
        self._optimizer = build_optimizer(
            student.network, lr=config.lr, weight_decay=config.weight_decay
        )
        if start is not None:
            restore_optimizer(self._optimizer, start.optimizer)
        self._objective = objective
        self._config = config

    def step(self, step: int) -> Tensor:
        """Update weights and average; return the loss before, a detached scalar."""
        config = self._config
        lr = decayed_lr(config.lr, config.lr_decay, step, config.max_it)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.zero_grad()
        loss = self._objective(self.student, self.average, step)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        decay = ema_decay(step, beta=config.ema_beta, power=config.ema_power)
        update_ema(self.average.network, self.student.network, decay)
        return loss.detach()

    def has_finite_weights(self) -> bool:
        """Whether no weight is infinite or NaN."""
        weights = self.student.network.parameters()
        return all(bool(weight.isfinite().all()) for weight in weights)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return `network`, `ema` and `optimizer` of a `Checkpoint`, as copies."""
        return {
            "network": copy_to_cpu(self.student.network.state_dict()),
            "ema": copy_to_cpu(self.average.network.state_dict()),
            "optimizer": copy_to_cpu(optimizer_tensors(self._optimizer)),
        }


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
