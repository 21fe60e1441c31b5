"""The one training loop (`fit`), and what it is told of a training (`Task`, `Run`)."""

from clip2latent_kedro.training.fit import describe_making, fit, fit_together
from clip2latent_kedro.training.state import Run, TrainingState
from clip2latent_kedro.training.task import LOSS_SCORE, Objective, Task, averaged_copy

__all__ = [
    "LOSS_SCORE",
    "Objective",
    "Run",
    "Task",
    "TrainingState",
    "averaged_copy",
    "describe_making",
    "fit",
    "fit_together",
]
