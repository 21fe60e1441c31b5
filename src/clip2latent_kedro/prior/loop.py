"""The loop of every training of a prior: where it starts, and its steps."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import Checkpoint, check_settings
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.provenance import extend_provenance
from clip2latent_kedro.runtime import Stopwatch

logger = logging.getLogger(__name__)

CHECK_EVERY = 50  # steps between looks at the loss, for which a GPU must wait


def accept_start(
    start: Checkpoint | InputError | None,
    settings: dict[str, Any],
    making: Mapping[str, Any],
) -> Checkpoint | None:
    """Return the checkpoint if it can be gone on from; None if it may be replaced.

    Args:
        start: That is stored; None if there is none.
        settings: Of the run; `made_by` is added to them, of all steps.
        making: How the next steps are made (see `provenance.describe_provenance`). A
            checkpoint that other code has made is gone on from, with a warning.

    Raises:
        InputError: If it is unfinished and of other settings, or was not readable.
    """
    settings["made_by"] = [making]
    if start is None:
        return None
    if isinstance(start, InputError):
        raise start
    try:
        check_settings(start, settings)
    except InputError:
        if not start.finished:
            raise
        logger.info("The stored prior has other settings: training a new one.")
        return None
    entry = "student" if "distillation" in settings else "prior"
    settings["made_by"] = extend_provenance(
        start.settings.get("made_by", [{}]), making, what=entry
    )
    return start


def run_steps(
    description: str,
    *,
    first: int,
    max_it: int,
    val_it: int,
    save_it: int,
    lr: tuple[str, float],
    step: Callable[[int], Tensor],
    has_finite_weights: Callable[[], bool],
    measure: Callable[[int, float, bool], Mapping[str, float]],
    stopwatch: Stopwatch,
) -> Iterator[int]:
    """Train, and yield each step after which to save a checkpoint.

    Args:
        description: What is trained, for the progress bar.
        first: Steps done already.
        max_it: Last step.
        val_it: Steps between validations.
        save_it: Steps between checkpoints; the last step is one as well.
        lr: Name and value of the learning rate, for a message.
        step: Makes a step (from 1) and returns the loss before, detached.
        has_finite_weights: Looks at all of them.
        measure: (step, mean loss since the last measurement, whether to validate)
            -> what to log. Called at every checkpoint and validation.
        stopwatch: Paused while something is measured, or stored by the caller.

    Raises:
        InputError: If the loss or a weight is not finite.
    """
    saved = recorded = first  # last steps with a checkpoint and with a measurement
    total: Tensor | float = 0.0  # of losses since, in double precision
    began = time.perf_counter()
    with progress_bar(description, total=max_it, completed=first) as advance:
        for number in range(first + 1, max_it + 1):
            total = total + step(number).double()
            is_saved = number % save_it == 0 or number == max_it
            is_validated = number % val_it == 0
            is_recorded = is_saved or is_validated
            mean = math.nan
            if is_recorded or number % CHECK_EVERY == 0:
                mean = float(total) / (number - recorded)
                if not math.isfinite(mean) or not has_finite_weights():
                    steps = range(recorded + 1, number + 1)
                    raise InputError(_explain_divergence(mean, steps, saved, lr))
            advance(loss=mean)
            if is_recorded:
                with stopwatch.paused():
                    row = measure(number, mean, is_validated)
                logger.info(
                    "Step %d of %d: %s, %.1f steps/s.",
                    number,
                    max_it,
                    ", ".join(f"{k} {row[k]:.4f}" for k in row if k != "step"),
                    (number - first) / (time.perf_counter() - began),
                )
                recorded, total = number, 0.0
            if is_saved:
                saved = number
                with stopwatch.paused():
                    yield number


def _explain_divergence(
    mean: float, steps: range, saved: int, lr: tuple[str, float]
) -> str:
    kept = f"The checkpoint of step {saved} is kept" if saved else "None is kept"
    name, value = lr
    return (
        f"The training loss of steps {steps[0]} to {steps[-1]} must be finite, and the "
        f"weights too, got a mean loss of {mean}. {kept}. Lower {name} = {value}, or "
        f"look for values that are not finite in training_pairs."
    )
