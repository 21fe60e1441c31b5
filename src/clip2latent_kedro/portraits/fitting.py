"""One training loop for the small models of the domain: resumable, deterministic.

A step's data depend on (seed, step) alone, so that a state needs no random state
and a run that was killed and resumed equals one that was not.
"""

import json
import logging
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.provenance import extend_provenance, list_differences
from clip2latent_kedro.runtime import Stopwatch

logger = logging.getLogger(__name__)

StepLoss = Callable[[int], Tensor]
Weights = tuple[Mapping[str, Tensor], Mapping[str, str]]  # as a file holds them


@dataclass(frozen=True)
class Schedule:
    """Learning rate and averaging over a run.

    Attributes:
        steps: Length of the run.
        warmup: Share of it during which the learning rate rises from 0.
        decay: Share of it, at the end, during which the rate falls to 0 as a cosine.
        ema_beta: Decay of the averaged weights; the first steps use a smaller one.
    """

    steps: int
    warmup: float
    decay: float
    ema_beta: float

    def factor(self, step: int) -> float:
        """Return what the learning rate is multiplied by at a step."""
        rise = min(1.0, (step + 1) / max(1.0, self.warmup * self.steps))
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return rise * 0.5 * (1 - math.cos(math.pi * min(1.0, left)))

    def beta(self, step: int) -> float:
        """Return the decay of the averaged weights at a step."""
        return min(self.ema_beta, (1 + step) / (10 + step))


@dataclass(frozen=True)
class FitState:
    """Everything that a run needs to go on.

    Attributes:
        step: Number of steps done.
        seconds: Time that they took, without the storing of states.
        tensors: `model.*`, `ema.*`, `optimizer.<index>.*` and `losses` [step].
    """

    step: int
    seconds: float
    tensors: dict[str, Tensor]

    def weights(self) -> dict[str, Tensor]:
        """Return the averaged weights by the model's own names."""
        return {
            name.removeprefix("ema."): value
            for name, value in self.tensors.items()
            if name.startswith("ema.")
        }


def go_on(
    train: Callable[[FitState | None], Iterator[FitState]],
    settings: Mapping[str, Any],
    *,
    making: Mapping[str, Any],
    steps: int,
    stored: Weights | InputError | None,
) -> Iterator[Weights]:
    """Yield the states of a training as they are stored, from where it stopped.

    Args:
        train: Starts from a state, or from nothing.
        settings: All that decides the training, as plain JSON.
        making: How the next steps are made (see `provenance.describe_provenance`). What
            other code has made is gone on from, with a warning.
        steps: Its length.
        stored: What an earlier run left, empty if nothing; why that cannot be read;
            None to start afresh.

    Raises:
        InputError: If what is stored is damaged, or has other settings.
    """
    if isinstance(stored, InputError):
        msg = f"{stored} Or use --params=resume:false to start afresh."
        raise InputError(msg)
    plain = json.loads(json.dumps(settings))
    state, made_by = None, [making]
    if stored is not None and stored[0]:
        state = unpack_state(stored)
        if differing := list_differences(json.loads(stored[1]["settings"]), plain):
            msg = (
                f"The stored training has other settings: {', '.join(differing)}. Use "
                f"the same settings, or --params=resume:false to start afresh."
            )
            raise InputError(msg)
        made_by = extend_provenance(
            json.loads(stored[1].get("made_by", "[{}]")), making, what="training"
        )
        if state.step == steps:
            logger.info("Already trained: %d steps are stored.", state.step)
            yield stored
            return
        logger.info("Going on after step %d.", state.step)
    strings = {
        "settings": json.dumps(plain, sort_keys=True),
        "made_by": json.dumps(made_by),
    }
    for reached in train(state):
        numbers = {"step": str(reached.step), "seconds": f"{reached.seconds:.1f}"}
        every = {**numbers, **strings}
        checksum = _checksum(reached.tensors, every)
        yield reached.tensors, {**every, "checksum": checksum}


def unpack_state(stored: Weights) -> FitState:
    """Return a state as `go_on` yielded it.

    Raises:
        InputError: If it is damaged.
    """
    tensors, strings = stored
    if strings.get("checksum") != _checksum(tensors, strings):
        msg = (
            "The stored state of a training is damaged: its numbers are not those of "
            "its checksum. Use --params=resume:false to start afresh."
        )
        raise InputError(msg)
    return FitState(int(strings["step"]), float(strings["seconds"]), dict(tensors))


def _checksum(tensors: Mapping[str, Tensor], strings: Mapping[str, str]) -> str:
    """Return the CRC-32 of a stored state, its own aside."""
    value = 0
    for name in sorted(strings.keys() - {"checksum"}):
        value = zlib.crc32(f"{name}={strings[name]}".encode(), value)
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        value = zlib.crc32(
            f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), value
        )
        value = zlib.crc32(tensor.flatten().view(torch.uint8).numpy().data, value)
    return f"{value:08x}"


def fit(
    model: nn.Module,
    parameter_groups: Sequence[dict[str, Any]],
    loss_at: StepLoss,
    schedule: Schedule,
    *,
    save_every: int,
    lr: str,
    state: FitState | None = None,
    description: str = "fit",
    betas: tuple[float, float] = (0.9, 0.99),
) -> Iterator[FitState]:
    """Train a model in place and yield its state every `save_every` steps.

    Args:
        model: On its device; its buffers are averaged and saved too.
        parameter_groups: As AdamW takes them, each with its `lr`.
        loss_at: Loss of one step, whose data depend on the step number only.
        schedule: Learning rate and averaging.
        save_every: Steps between two states; the last step always gives one.
        lr: Names of the learning rate's parameters, for a message.
        state: Where to go on from.
        description: What the progress bar says.
        betas: AdamW's.

    Raises:
        InputError: If a loss or a weight is not finite; earlier states stay good.
    """
    optimizer = torch.optim.AdamW(parameter_groups, betas=betas)
    rates = [group["lr"] for group in optimizer.param_groups]
    average = {name: value.clone() for name, value in model.state_dict().items()}
    losses: list[float] = []
    start, seconds = 0, 0.0
    if state is not None:
        start, seconds = state.step, state.seconds
        _restore(state, model, optimizer, average)
        losses = state.tensors["losses"].tolist()
    stopwatch = Stopwatch(seconds)
    with progress_bar(description, total=schedule.steps, completed=start) as advance:
        for step in range(start, schedule.steps):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * schedule.factor(step)
            loss = loss_at(step)
            if not torch.isfinite(loss):
                raise InputError(
                    _explain_divergence(f"loss of {loss.item()}", step, lr)
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            _average(average, model, schedule.beta(step))
            losses.append(loss.item())
            advance(loss=losses[-1])
            if (step + 1) % save_every == 0 or step + 1 == schedule.steps:
                with stopwatch.paused():
                    if not all(
                        bool(each.isfinite().all()) for each in model.parameters()
                    ):
                        raise InputError(_explain_divergence("weight", step, lr))
                    tensors = _snapshot(model, optimizer, average, losses)
                    yield FitState(step + 1, stopwatch.seconds or 0.0, tensors)


def _explain_divergence(found: str, step: int, lr: str) -> str:
    return (
        f"Loss and weights of a training must be finite, got a {found} that is not at "
        f"step {step}. Lower {lr}; what was stored before is kept."
    )


def _average(average: dict[str, Tensor], model: nn.Module, beta: float) -> None:
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - beta)
            else:
                average[name].copy_(value)


def _snapshot(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    losses: list[float],
) -> dict[str, Tensor]:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"ema.{name}": value for name, value in average.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": slot for name, slot in slots.items()}
    copies = {name: value.detach().cpu().clone() for name, value in tensors.items()}
    copies["losses"] = torch.tensor(losses)
    return copies


def _restore(
    state: FitState,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
) -> None:
    slots: dict[int, dict[str, Tensor]] = {}
    weights = {}
    for name, value in state.tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "model":
            weights[rest] = value
        elif kind == "ema":
            average[rest].copy_(value)
        elif kind == "optimizer":
            index, _, slot = rest.partition(".")
            slots.setdefault(int(index), {})[slot] = value.clone()
    model.load_state_dict(weights)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
