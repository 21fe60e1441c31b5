"""AdamW as clip2latent sets it up, and its state as named tensors."""

import math

import torch
from torch import Tensor, nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.config import LrDecay

BETAS = (0.9, 0.999)
EPS = 1e-6
_QUANTITIES = ("step", "exp_avg", "exp_avg_sq")  # of a parameter
SCALER = "grad_scaler"  # stands where the name of a parameter does


def build_optimizer(
    network: nn.Module, *, lr: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return AdamW over the network; only weights of two or more axes decay."""
    named = list(network.named_parameters())
    groups = [
        {
            "params": [(name, p) for name, p in named if p.ndim >= 2],
            "weight_decay": weight_decay,
        },
        {
            "params": [(name, p) for name, p in named if p.ndim < 2],
            "weight_decay": 0.0,
        },
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=lr,
        betas=BETAS,
        eps=EPS,
        fused=True,
    )


def decayed_lr(lr: float, decay: LrDecay, step: int, max_it: int) -> float:
    """Return the learning rate of a step (from 1), which decays to almost 0.

    Args:
        lr: Of the first step.
        decay: `none` keeps it, as in the original.
        step: 1 to `max_it`.
        max_it: Last step.
    """
    progress = (step - 1) / max_it
    if decay == "cosine":
        return lr * 0.5 * (1 + math.cos(math.pi * progress))
    if decay == "linear":
        return lr * (1 - progress)
    return lr


def warmup_factor(step: int, warmup_it: int) -> float:
    """Return the factor on the learning rate of a step (from 1), which rises to 1.

    step / warmup_it, and 1 from step `warmup_it` on; 0 steps are none.
    """
    return min(1.0, step / warmup_it) if warmup_it else 1.0


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state as `{parameter}:{quantity}` -> tensor."""
    return {
        f"{name}:{quantity}": tensor
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
        for quantity, tensor in optimizer.state[parameter].items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    """Put back what `optimizer_tensors` returned; the scaler's are passed over.

    Raises:
        InputError: If it is the state of another optimiser or of other weights.
    """
    weights = {
        name: parameter
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
    }
    state = optimizer.state_dict()
    names = [name for group in state["param_groups"] for name in group["param_names"]]
    state["state"] = {index: {} for index in range(len(names))}
    for key, tensor in tensors.items():
        name, _, quantity = key.rpartition(":")
        if name == SCALER:
            continue
        is_right = name in weights and quantity in _QUANTITIES
        shape = () if quantity == "step" else weights.get(name, tensor).shape
        if not is_right or tensor.shape != shape or not tensor.is_floating_point():
            raise InputError(_other_state(key[:80]))
        state["state"][names.index(name)][quantity] = tensor.clone()
    for index, quantities in state["state"].items():
        if quantities and quantities.keys() != set(_QUANTITIES):
            raise InputError(_other_state(names[index]))
    optimizer.load_state_dict(state)


def scaler_tensors(scaler: torch.amp.GradScaler) -> dict[str, Tensor]:
    """Return the state in the form of `optimizer_tensors`; none if it is disabled."""
    state = scaler.state_dict()
    if not state:
        return {}
    return {
        f"{SCALER}:scale": torch.tensor(state["scale"], dtype=torch.float64),
        f"{SCALER}:growth_tracker": torch.tensor(state["_growth_tracker"]),
    }


def restore_scaler(scaler: torch.amp.GradScaler, tensors: dict[str, Tensor]) -> None:
    """Put back what `scaler_tensors` returned.

    Raises:
        InputError: If it is not there, or is none.
    """
    if scaler.is_enabled():
        for name in ("scale", "growth_tracker"):
            tensor = tensors.get(f"{SCALER}:{name}")
            if tensor is None or tensor.numel() != 1 or not tensor.isfinite().all():
                raise InputError(_other_state(f"{SCALER}:{name}"))
        scale = tensors[f"{SCALER}:scale"].item()
        tracker = tensors[f"{SCALER}:growth_tracker"].item()
        state = scaler.state_dict() | {"scale": scale, "_growth_tracker": tracker}
        scaler.load_state_dict(state)


def _other_state(name: str) -> str:
    return (
        f"The stored state of the optimiser does not fit the network: {name} is "
        f"missing or another. Use --params=resume:false to replace the checkpoint."
    )
