"""Nodes of `distillation`."""

import logging
from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from clip2latent_kedro.engines import Engines
from clip2latent_kedro.engines.groups import choose_group
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.prior.distillation.training import distill_prior

logger = logging.getLogger(__name__)


def distill(
    prior_checkpoint: Checkpoint,
    training_pairs: TrainingPairs,
    distillation: DistillationConfig,
    seed: int,
    engines: Engines,
    resume: bool,
    progress: Checkpoint | InputError | None,
) -> Iterator[Checkpoint]:
    """Yield the states of the student, the last one finished.

    Args:
        prior_checkpoint: The teacher, finished; its averaged weights are asked.
        training_pairs: Those of the teacher.
        distillation: How the student is trained.
        seed: Of the student's weights, of conditions and noise.
        engines: What to compute with.
        resume: False starts afresh.
        progress: What an earlier run left; None if nothing.

    Yields:
        Checkpoints; a single one if the student is finished already.
    """
    group = choose_group(engines, "training")
    logger.info(
        "Distilling the prior by %s on %s%s.",
        distillation.objective,
        group.device,
        f" by {group.size} workers" if group.size > 1 else "",
    )
    yield from distill_prior(
        prior_checkpoint,
        training_pairs,
        distillation=distillation,
        seed=seed,
        device=engines.device,
        start=progress if resume else None,
        group=group,
    )


def collect_distillation_history(student_checkpoint: Checkpoint) -> pd.DataFrame:
    """Return what was measured, a row each.

    Args:
        student_checkpoint: Finished.

    Returns:
        `step`; `loss`, the mean since the row before; and of the averaged weights
        `validation_loss` and `spread` (see `Comparison`).
    """
    return pd.DataFrame(student_checkpoint.history).astype({"step": int})


def plot_distillation_history(distillation_history: pd.DataFrame) -> Figure:
    """Return the comparisons with the teacher over the steps, in two panels.

    Args:
        distillation_history: What `collect_distillation_history` returned.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    labels = {
        "validation_loss": "energy distance to the teacher",
        "spread": "spread of samples, teacher = 1",
    }
    for axes, (name, label) in zip(figure.subplots(1, 2), labels.items(), strict=True):
        if name in distillation_history:  # not without held-out pairs
            axes.plot(
                distillation_history["step"], distillation_history[name], marker="."
            )
        axes.set_ylabel(label)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    return figure


def export_student(student_checkpoint: Checkpoint) -> Checkpoint:
    """Return the finished checkpoint, whose averaged weights become the student.

    Args:
        student_checkpoint: The entry `student` stores what sampling needs of it.
    """
    logger.info("Exporting the student after %d steps.", student_checkpoint.step)
    return student_checkpoint
