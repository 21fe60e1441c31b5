"""The loop of every training."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import Stopwatch
from clip2latent_kedro.training.state import Run, State, TrainingState, resume
from clip2latent_kedro.training.task import LOSS_SCORE, Task
from clip2latent_kedro.training.updates import Updates

logger = logging.getLogger(__name__)

CHECK_EVERY = 50  # steps between looks at the loss, for which a GPU must wait


def fit(
    prepare: Callable[[], Task], run: Run, stored: State | InputError | None = None
) -> Iterator[State | TrainingState]:
    """Yield the state of a training every `save_it` steps, and one at the end.

    On a CPU, a training that goes on from any of the states yields the same bits as
    one that was never interrupted, if what the task measures is a function of its
    arguments. A training that is finished already yields its state as it is.

    Args:
        prepare: Returns what is trained, as it is before the first step. It is called
            only if there is something to train.
        run: Which training it is.
        stored: What an earlier run left; why that cannot be read; None to begin.

    Raises:
        InputError: If what is stored is unfinished and of other settings (see
            `resume`), or if a loss or a weight is not finite.
    """
    start, settings = resume(stored, run)
    if start is not None and start.step >= run.max_it:
        logger.info("%s is trained already, for %d steps.", run.entry, start.step)
        yield replace(start, settings=settings)
        return
    task = prepare()
    updates = Updates(task)
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    first = best_step = 0
    if start is not None:
        task.network.load_state_dict(start.network)
        task.average.load_state_dict(start.ema)
        updates.restore(start.optimizer)
        history, best = list(start.history), start.best
        first, best_step = start.step, start.best_step

    stopwatch = Stopwatch(0.0 if start is None else start.seconds)
    saved = recorded = first  # last steps with a state and with a row of the history
    total: Tensor | float = 0.0  # of losses since, in double precision
    began = time.perf_counter()
    with progress_bar(run.entry, total=run.max_it, completed=first) as advance:
        for step in range(first + 1, run.max_it + 1):
            total = total + updates.step(step).double()
            is_saved = step % run.save_it == 0 or step == run.max_it
            is_validated = run.val_it is not None and step % run.val_it == 0
            is_recorded = is_saved or is_validated
            loss = math.nan
            if is_recorded or step % CHECK_EVERY == 0:
                loss = float(total) / (step - recorded)
                if not math.isfinite(loss) or not _is_finite(task.network):
                    steps = range(recorded + 1, step + 1)
                    raise InputError(_explain_divergence(loss, steps, saved, task))
            advance(loss=loss)
            if not is_recorded:
                continue
            with stopwatch.paused():
                scores = task.measure(step, is_validated)
                finite = {name: x for name, x in scores.items() if math.isfinite(x)}
                history.append({"step": step, "loss": loss, **finite})
                recorded, total = step, 0.0
                _log(history[-1], run.max_it, (step - first), began)
                if is_validated and _is_best(history, task.best_by, best_step):
                    best, best_step = _copy_to_cpu(task.average.state_dict()), step
                if is_saved:
                    saved = step
                    yield TrainingState(
                        step=step,
                        network=_copy_to_cpu(task.network.state_dict()),
                        ema=_copy_to_cpu(task.average.state_dict()),
                        optimizer=_copy_to_cpu(updates.state()),
                        best=best,
                        best_step=best_step,
                        history=list(history),
                        settings=settings,
                        seconds=stopwatch.seconds,
                    )


def _is_best(history: list[dict[str, float]], best_by: str, best_step: int) -> bool:
    """Return whether no earlier step did better than the last one of the history.

    Args:
        history: Of the run.
        best_by: The score that counts; a row that lacks it is never the best.
        best_step: The best so far, 0 if there is none.
    """
    score = history[-1].get(best_by)
    if score is None or not best_step:
        return score is not None
    (best,) = (row[best_by] for row in history if row["step"] == best_step)
    return score <= best if best_by == LOSS_SCORE else score >= best


def _is_finite(network: nn.Module) -> bool:
    return all(bool(weight.isfinite().all()) for weight in network.parameters())


def _copy_to_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: torch.empty_like(tensor, device="cpu").copy_(tensor)
        for name, tensor in tensors.items()
    }


def _log(row: Mapping[str, float], max_it: int, num_done: int, began: float) -> None:
    logger.info(
        "Step %d of %d: %s, %.1f steps/s.",
        row["step"],
        max_it,
        ", ".join(f"{name} {row[name]:.4f}" for name in row if name != "step"),
        num_done / (time.perf_counter() - began),
    )


def _explain_divergence(loss: float, steps: range, saved: int, task: Task) -> str:
    kept = f"The state of step {saved} is kept" if saved else "None is kept"
    return (
        f"The training loss of steps {steps[0]} to {steps[-1]} must be finite, and the "
        f"weights too, got a mean loss of {loss}. {kept}. Lower {task.lr_setting}, or "
        f"look for values that are not finite in what it learns from."
    )
