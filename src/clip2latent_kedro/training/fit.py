"""The loop of every training."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from clip2latent_kedro.engines.groups import Group, Report, Seat
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import Stopwatch
from clip2latent_kedro.training.state import Run, State, TrainingState, resume
from clip2latent_kedro.training.task import LOSS_SCORE, Task
from clip2latent_kedro.training.team import ALONE, Team
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
        yield _finished(start, run, settings)
        return
    with _reporting(run, start) as report:
        yield from train_steps(prepare(), run, settings, start, report)


def fit_together(
    group: Group,
    lead: Callable[[str, Team], Task],
    follow: Callable[[str, Team], Task],
    run: Run,
    stored: State | InputError | None = None,
) -> Iterator[State | TrainingState]:
    """Yield the states of a training by several processes (see `fit`).

    Its losses are those of one process, but for rounding, and its states the same.

    Args:
        group: The processes. It travels to them what is given here.
        lead: (device, team) -> what the first of them trains; it measures.
        follow: The same for each other one, without what only measuring takes.
        run: Which training it is.
        stored: As for `fit`.

    Raises:
        InputError: As for `fit`; or if processes die more often than the group allows.
    """
    start, settings = resume(stored, run)
    if start is not None and start.step >= run.max_it:
        yield _finished(start, run, settings)
        return
    first, others = (partial(_train, each, run, settings) for each in (lead, follow))
    with _reporting(run, start) as report:
        yield from group.run(first, others, start, report)


def describe_making(group: Group, *parts: object) -> dict[str, Any]:
    """Return how a group trains, for `made_by` (see `describe_provenance`).

    Args:
        group: Several workers are told: they round otherwise than one.
        parts: What computes it.
    """
    made = describe_provenance(group.device, *parts)
    return made | ({"workers": group.size} if group.size > 1 else {})


def train_steps(
    task: Task,
    run: Run,
    settings: dict[str, Any],
    start: TrainingState | None,
    report: Report,
    team: Team = ALONE,
) -> Iterator[TrainingState]:
    """Yield the states of a training after where it starts; none but from the first.

    Args:
        task: What is trained, as it is before the first step.
        run: Which training it is.
        settings: Of the states.
        start: Where to go on; None to begin. Only the first of a team needs it.
        report: Is told of the steps of the first of a team.
        team: Who trains.

    Raises:
        InputError: If a loss or a weight is not finite, in all of a team alike.
    """
    updates = Updates(task, team)
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    first = best_step = 0
    if start is not None:
        history, best, best_step = list(start.history), start.best, start.best_step
    if start := team.broadcast(_lighten(start, team)):
        task.network.load_state_dict(start.network)
        task.average.load_state_dict(start.ema)
        updates.restore(start.optimizer)
        first = start.step

    stopwatch = Stopwatch(0.0 if start is None else start.seconds)
    saved = recorded = first  # last steps with a state and with a row of the history
    # Of losses since, in double precision; of a team's process its share of them.
    total: Tensor | float = 0.0
    for step in range(first + 1, run.max_it + 1):
        total = total + updates.step(step).double()
        is_saved = step % run.save_it == 0 or step == run.max_it
        is_validated = run.val_it is not None and step % run.val_it == 0
        is_recorded = is_saved or is_validated
        loss = math.nan
        if is_recorded or step % CHECK_EVERY == 0:
            loss, is_finite = _look(total, task.network, team)
            loss /= step - recorded
            if not is_finite:
                steps = range(recorded + 1, step + 1)
                raise InputError(_explain_divergence(loss, steps, saved, task))
        if not is_recorded:
            report(step, loss, None)
            continue
        recorded, total = step, 0.0
        saved = step if is_saved else saved
        if not team.is_first:
            continue  # and wait for it with the next step
        with stopwatch.paused():
            scores = task.measure(step, is_validated)
            finite = {name: x for name, x in scores.items() if math.isfinite(x)}
            history.append({"step": step, "loss": loss, **finite})
            report(step, loss, history[-1])
            if is_validated and _is_best(history, task.best_by, best_step):
                best, best_step = _copy_to_cpu(task.average.state_dict()), step
            if is_saved:
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
                    pictures=dict(task.pictures),
                )
                task.pictures.clear()


def _train(
    prepare: Callable[[str, Team], Task],
    run: Run,
    settings: dict[str, Any],
    seat: Seat,
    start: TrainingState | None,
    report: Report,
) -> Iterator[TrainingState]:
    """Train at a seat of a group (see `engines.groups.Work`)."""
    team = Team(seat.rank, seat.size)
    task = prepare(seat.device, team)
    yield from train_steps(task, run, settings, start, report, team)


def _finished(
    state: State, run: Run, settings: dict[str, Any]
) -> State | TrainingState:
    logger.info("%s is trained already, for %d steps.", run.entry, state.step)
    return replace(state, settings=settings)


def _lighten(state: TrainingState | None, team: Team) -> TrainingState | None:
    """Return of a state what all of a team need, and take nothing from one alone."""
    if state is None or team.size == 1:
        return state
    return TrainingState(
        step=state.step,
        network=state.network,
        ema=state.ema,
        optimizer=state.optimizer,
        settings={},
        seconds=state.seconds,
    )


@contextmanager
def _reporting(run: Run, start: TrainingState | None) -> Iterator[Report]:
    """Show a bar, and log what is measured; yield what is told of the steps."""
    first = last = 0 if start is None else start.step
    began = time.perf_counter()

    with progress_bar(run.entry, total=run.max_it, completed=first) as advance:

        def report(step: int, loss: float, row: Mapping[str, float] | None) -> None:
            nonlocal last
            advance(step - last, loss=loss)
            last = step
            if row is not None:
                _log(row, run.max_it, step - first, began)

        yield report


def _look(total: Tensor | float, network: nn.Module, team: Team) -> tuple[float, bool]:
    """Return the loss of all, and whether it and all weights are finite."""
    share = torch.as_tensor(total).clone()
    is_finite = torch.tensor(_is_finite(network)).to(share)
    whole, num_finite = team.sum(torch.stack([share, is_finite])).tolist()
    return whole, math.isfinite(whole) and num_finite == team.size


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
