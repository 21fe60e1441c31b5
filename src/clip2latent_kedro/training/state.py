"""What a training has come to: the state that it goes on from, and how it is stored."""

import json
import logging
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from annotated_types import Le
from torch import Tensor

from clip2latent_kedro.checked import NonNegativeInt
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.provenance import extend_provenance, list_differences

logger = logging.getLogger(__name__)

Weights = tuple[Mapping[str, Tensor], Mapping[str, str]]
"""Tensors and strings, as a safetensors file holds them."""

Score = Annotated[float, Le(inf)]  # of any size

_GROUPS = ("network", "ema", "optimizer", "best")
# When something is stored or measured does not decide what is learned.
_FREE = ("save_it", "save_every", "val_it")


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """The state of a training after `step` steps, on the CPU.

    Random numbers are functions of the seed (in `settings`) and the step, and so
    need no state of their own.

    Attributes:
        step: Training steps done.
        network: State dict of everything that learns.
        ema: State dict of the averaged network.
        optimizer: What `optimizer_tensors` returned.
        best: State dict of the averaged network where validation was best; empty
            before there is one.
        best_step: The step of it, 0 before.
        history: What was measured, a row each: `step`; `loss`, the mean of the
            training loss since the row before; and scores of the averaged network.
        settings: Everything that decided the run, as plain JSON, and `made_by`, every
            code and device that has trained it, in turn.
        seconds: Time that the steps took, without validation and storing; None if
            unknown.
        pictures: What validation has drawn since the state before, by step, uint8
            [h, w, 3]; it is no part of what is stored.
    """

    step: NonNegativeInt
    network: dict[str, Tensor] = field(default_factory=dict)
    ema: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_step: NonNegativeInt = 0
    history: list[dict[str, Score]] = field(default_factory=list)
    settings: dict[str, Any]
    seconds: float | None = field(default=None, compare=False)
    pictures: dict[int, np.ndarray] = field(default_factory=dict, compare=False)


State = TypeVar("State", bound=TrainingState)


@dataclass(frozen=True)
class Run:
    """Which training it is, and how long it is.

    Attributes:
        entry: The catalog entry that its states are stored as, for messages.
        group: The group of `settings` that is its own; others are of what it learns
            from.
        settings: Everything that decides it, as plain JSON.
        making: How its next steps are made (see `provenance.describe_provenance`).
        max_it: Last step.
        save_it: Steps between states; the last step is one as well.
        val_it: Steps between validations; None for none.
    """

    entry: str
    group: str
    settings: Mapping[str, Any]
    making: Mapping[str, Any]
    max_it: int
    save_it: int
    val_it: int | None = None


def resume(
    stored: State | InputError | None, run: Run
) -> tuple[State | None, dict[str, Any]]:
    """Return the state to go on from, None to begin, and the settings of what follows.

    A finished training of other settings is replaced; an unfinished one is not. One
    that other code has made is gone on from, with a warning.

    Args:
        stored: What an earlier run left; why it cannot be read; None if nothing.
        run: What is asked for. Its last step may be another, unless the learning rate
            depends on it.

    Raises:
        InputError: If what is stored is unfinished and of other settings, or damaged.
    """
    settings: dict[str, Any] = json.loads(json.dumps(run.settings))
    settings["made_by"] = [run.making]
    if isinstance(stored, InputError):
        msg = f"{stored} Or use --params=resume:false to train anew."
        raise InputError(msg)
    if stored is None:
        return None, settings
    # What has trained it is told, not refused. Of the other free ones one is in the
    # identity of the encoder, the other decides no more than scores.
    free = {"made_by", "data.embed_preprocess", "data.score_preprocess"}
    free |= {f"{group}.{name}" for group in settings for name in _FREE}
    if settings[run.group].get("lr_decay") == "none":
        free.add(f"{run.group}.max_it")
    if differing := list_differences(stored.settings, settings, free=free):
        own = stored.settings.get(run.group, {})
        if stored.step < own.get("max_it", own.get("steps", inf)):
            msg = (
                f"The stored {run.entry} of step {stored.step} was trained under other "
                f"settings: {', '.join(differing)}. Use the same settings, or "
                f"`--params=resume:false` to replace it."
            )
            raise InputError(msg)
        reasons = ", ".join(differing)
        logger.info(
            "The stored %s has other settings, %s: training anew.", run.entry, reasons
        )
        return None, settings
    made_by = stored.settings.get("made_by", [{}])
    settings["made_by"] = made_by
    if stored.step < run.max_it:
        settings["made_by"] = extend_provenance(made_by, run.making, what=run.entry)
    return stored, settings


def pack_state(state: TrainingState) -> Weights:
    """Return a state as a safetensors file holds it."""
    tensors = {
        f"{group}.{name}": tensor
        for group in _GROUPS
        for name, tensor in getattr(state, group).items()
    }
    aside = (*_GROUPS, "pictures")
    header = {name: x for name, x in vars(state).items() if name not in aside}
    strings = {"header": json.dumps(header)}
    return tensors, {**strings, "checksum": _checksum(tensors, strings)}


def unpack_state(stored: Weights) -> TrainingState:
    """Return a state of `pack_state`.

    Raises:
        InputError: If it is damaged, or was stored before there was this form.
    """
    tensors, strings = stored
    if strings.get("checksum") != _checksum(tensors, strings):
        msg = (
            "The stored state of a training is damaged: its numbers are not those of "
            "its checksum. Use --params=resume:false to train anew."
        )
        raise InputError(msg)
    if "header" not in strings:
        msg = (
            "The stored state of a training is of an earlier version of this project, "
            "and cannot be gone on from. Use --params=resume:false to train anew."
        )
        raise InputError(msg)
    groups: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
    for key, tensor in tensors.items():
        group, _, name = key.partition(".")
        groups[group][name] = tensor
    header: dict[str, Any] = json.loads(strings["header"])
    return TrainingState(**{**header, **groups})


def stored_state(stored: Weights | InputError) -> TrainingState | InputError | None:
    """Return what a catalog entry for progress holds: None if nothing is stored yet."""
    if isinstance(stored, InputError):
        return stored
    return unpack_state(stored) if stored[0] else None


def _checksum(tensors: Mapping[str, Tensor], strings: Mapping[str, str]) -> str:
    """Return the CRC-32 of what is stored, its own aside."""
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
