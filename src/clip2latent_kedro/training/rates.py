"""Learning rates and decays of averaged weights as functions of the update.

Updates count from 1. Decays mean what they mean in ema_pytorch, with one difference:
the average starts at the network's own first weights.
"""

import math
from typing import Literal

LrDecay = Literal["none", "cosine", "linear"]


def decayed_lr(
    lr: float, update: int, *, decay: LrDecay, max_it: int, warmup_it: int = 0
) -> float:
    """Return a learning rate that rises linearly, and falls to almost 0.

    Args:
        lr: Of the first update without a warm-up.
        update: 1 to `max_it`.
        decay: How it falls from the first update to the last; `none` keeps it.
        max_it: Last update.
        warmup_it: Updates over which it rises besides; 0 for none.
    """
    progress = (update - 1) / max_it
    if decay == "cosine":
        lr = lr * 0.5 * (1 + math.cos(math.pi * progress))
    if decay == "linear":
        lr = lr * (1 - progress)
    return lr * min(1.0, update / warmup_it) if warmup_it else lr


def rising_and_falling_lr(
    lr: float, update: int, *, max_it: int, rise: float, fall: float
) -> float:
    """Return a learning rate that rises linearly, stays, and falls as a cosine.

    Args:
        lr: Its peak.
        update: 1 to `max_it`.
        max_it: Last update.
        rise: Share of the updates in which it rises from 0.
        fall: Share of them, the last, in which it falls to 0.
    """
    risen = min(1.0, update / max(1.0, rise * max_it))
    left = (max_it - update + 1) / max(1.0, fall * max_it)
    return lr * (risen * 0.5 * (1 - math.cos(math.pi * min(1.0, left))))


def ema_decay(update: int, *, beta: float, power: float) -> float:
    """Return the share of the average that one update keeps.

    min(beta, 1 - (1 + update)^-power): short memory first, `beta` in the end.

    Args:
        update: 1 or more.
        beta: Largest decay.
        power: 2/3 suits long runs, 3/4 shorter ones, 1 is a plain mean until `beta`.
    """
    warm_up: float = 1 - (1 + update) ** -power
    return min(beta, warm_up)


def ramped_ema_decay(update: int, *, beta: float) -> float:
    """Return the decay that TensorFlow ramps: min(beta, update / (9 + update))."""
    return min(beta, update / (9 + update))
