"""The exponential moving average of the weights, which is what samples are drawn with.

Settings mean what they mean in ema_pytorch (`beta`, `power`, `update_every`), with
one difference: the average starts at the network's own first weights.
"""

import torch
from torch import nn


def ema_decay(step: int, *, beta: float, power: float) -> float:
    """Return the share of the average that one update keeps.

    min(beta, 1 - (1 + step)^-power): short memory first, `beta` in the end.

    Args:
        step: Training steps done, 1 or more.
        beta: Largest decay.
        power: 2/3 suits long runs, 3/4 shorter ones, 1 is a plain mean until `beta`.
    """
    warm_up: float = 1 - (1 + step) ** -power
    return min(beta, warm_up)


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move each weight of `average`: decay * average + (1 - decay) * network."""
    targets = tuple(average.parameters())
    torch._foreach_lerp_(targets, tuple(network.parameters()), 1 - decay)
