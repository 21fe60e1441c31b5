"""AdamW as clip2latent sets it up, and the state of optimisers as named tensors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from clip2latent_kedro.errors import InputError

_QUANTITIES = ("step", "exp_avg", "exp_avg_sq")  # of a parameter, in Adam and AdamW
_SCALER = "grad_scaler"  # stands where the name of a parameter does


def build_optimizer(
    network: nn.Module, *, lr: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return AdamW over the network; only weights of two or more axes decay."""
    groups = split_by_axes(network.named_parameters(), weight_decay=weight_decay)
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.999), eps=1e-6, fused=True)


def split_by_axes(
    named: Iterable[tuple[str, nn.Parameter]], *, weight_decay: float
) -> list[dict[str, Any]]:
    """Return groups of parameters, as AdamW takes them, of which vectors do not decay.

    Args:
        named: Names and parameters.
        weight_decay: Weight decay of those of two or more axes.
    """
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": weight_decay},
        {"params": [], "weight_decay": 0.0},
    ]
    for name, parameter in named:
        groups[parameter.ndim < 2]["params"].append((name, parameter))
    return [group for group in groups if group["params"]]


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the state as `{parameter}:{quantity}` -> tensor."""
    return {
        f"{name}:{quantity}": tensor
        for name, parameter in _named(optimizer)
        for quantity, tensor in optimizer.state[parameter].items()
    }


def restore_optimizers(
    optimizers: Sequence[Optimizer], tensors: Mapping[str, Tensor]
) -> None:
    """Put back what `optimizer_tensors` returned of each; the scaler's is passed over.

    Raises:
        InputError: If it is the state of other optimisers or of other weights.
    """
    left = {name for name in tensors if not name.startswith(f"{_SCALER}:")}
    for optimizer in optimizers:
        state: dict[int, dict[str, Tensor]] = {}
        for index, (name, parameter) in enumerate(_named(optimizer)):
            keys = {quantity: f"{name}:{quantity}" for quantity in _QUANTITIES}
            if left.isdisjoint(keys.values()):
                continue  # it has not moved yet
            for quantity, key in keys.items():
                shape = () if quantity == "step" else parameter.shape
                tensor = tensors.get(key)
                is_right = tensor is not None and tensor.shape == shape
                if tensor is None or not (is_right and tensor.is_floating_point()):
                    raise InputError(_other_state(key))
                state.setdefault(index, {})[quantity] = tensor.clone()
            left -= set(keys.values())
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    if left:
        raise InputError(_other_state(min(left)[:80]))


def scaler_tensors(scaler: torch.amp.GradScaler) -> dict[str, Tensor]:
    """Return the state in the form of `optimizer_tensors`; none if it is disabled."""
    state = scaler.state_dict()
    if not state:
        return {}
    return {
        f"{_SCALER}:scale": torch.tensor(state["scale"], dtype=torch.float64),
        f"{_SCALER}:growth_tracker": torch.tensor(state["_growth_tracker"]),
    }


def restore_scaler(scaler: torch.amp.GradScaler, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `scaler_tensors` returned.

    Raises:
        InputError: If it is not there, or is none.
    """
    if not scaler.is_enabled():
        return
    found = {}
    for name, key in (("scale", "scale"), ("growth_tracker", "_growth_tracker")):
        tensor = tensors.get(f"{_SCALER}:{name}")
        if tensor is None or tensor.numel() != 1 or not tensor.isfinite().all():
            raise InputError(_other_state(f"{_SCALER}:{name}"))
        found[key] = tensor.item()
    scaler.load_state_dict({**scaler.state_dict(), **found})


def _named(optimizer: Optimizer) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield names and parameters, in the order of the optimiser's own numbers."""
    for group in optimizer.param_groups:
        yield from zip(group["param_names"], group["params"], strict=True)


def _other_state(name: str) -> str:
    return (
        f"The stored state of the optimiser does not fit the network: {name} is "
        f"missing or another. Use --params=resume:false to replace the checkpoint."
    )
