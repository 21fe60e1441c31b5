"""The student: the teacher's network with the guidance scale as a further input."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import Checkpoint, build_prior
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.runtime import derive_seed, seeded_weights


def build_student(
    teacher: Checkpoint, settings: dict[str, Any], *, warm_start: bool, seed: int
) -> DiffusionPrior:
    """Return a new student, on the CPU.

    Args:
        teacher: Where it comes from.
        settings: Of the student, with its own `model`, which predicts x0: noise
            says nothing of it at T - 1, where x_T is nothing else.
        warm_start: Begin as the teacher is without guidance; it then does not yet
            look at the guidance scale.
        seed: Seed of the other weights.

    Raises:
        InputError: If it is to begin as a teacher that predicts the noise.
    """
    if warm_start and not teacher.settings["model"]["diffusion"]["predict_x_start"]:
        msg = (
            "distillation.warm_start must be false where the teacher predicts the "
            "noise (model.diffusion.predict_x_start: false), since the student "
            "predicts x0, got true."
        )
        raise InputError(msg)
    with seeded_weights(derive_seed(seed, "weights")):
        student = build_prior(replace(teacher, settings=settings))
    if warm_start:
        weights = teacher.ema
        if not settings["model"]["network"]["noise_level_input"]:
            weights = {f"network.{name}": weights[name] for name in weights}
        student.network.load_state_dict(_widened(weights, student.network.state_dict()))
    return student


def one_step(student: DiffusionPrior, x_T: Tensor, condition: Tensor) -> Tensor:
    """Return the student's samples, as x_T, of a single evaluation.

    Args:
        student: Distilled or about to be.
        x_T: Pure noise, [n, num_latents, latent_dim].
        condition: With noise level and guidance scale, [m, width]; each holds for
            n / m latents in a row.
    """
    last = len(student.alpha_bar) - 1
    t = torch.full((len(condition),), last, device=x_T.device)
    return student.predict_x0(x_T, t, condition)


def digest_weights(weights: Mapping[str, Tensor]) -> str:
    """Return a fingerprint of a state dict, names and float32 values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(
            weights[name].detach().cpu().float().contiguous().numpy().tobytes()
        )
    return digest.hexdigest()


def _widened(
    weights: Mapping[str, Tensor], new: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return weights for a network with one more scalar, whose own ones are 0.

    Args:
        weights: State dict of a `ScalarInputs`, or of what is in it if that is all.
        new: State dict of the wider one.
    """
    if "embed.weight" not in weights:
        return {**new, **weights}
    widened = torch.zeros_like(new["embed.weight"])  # the new scalar is the last
    widened[:, : weights["embed.weight"].shape[1]] = weights["embed.weight"]
    return {**weights, "embed.weight": widened}
