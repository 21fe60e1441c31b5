"""Settings of the training loop."""

from dataclasses import dataclass
from typing import Literal, get_args

from clip2latent_kedro.errors import InputError

LrDecay = Literal["none", "cosine", "linear"]


@dataclass(frozen=True)
class TrainConfig:
    """How a prior is trained (`params:train`), under clip2latent's names.

    Attributes:
        max_it: Training steps.
        val_it: Steps between measurements of the losses.
        val_pairs: Last pairs of the set, kept from training to measure with.
        save_it: Steps between checkpoints.
        lr: Learning rate.
        lr_decay: How it falls towards `max_it`; `none` as in the original.
        weight_decay: Of AdamW, on weights of two or more axes.
        ema_update_every: Steps between updates of the averaged weights.
        ema_beta: Largest decay of one update.
        ema_power: How fast the decay comes there (see `ema.ema_decay`).
        znorm_latent: Normalise each channel of w.
        buffer_pairs: Pairs in memory at once; more are shuffled by chunks.
    """

    max_it: int
    val_it: int
    val_pairs: int
    save_it: int
    lr: float
    lr_decay: LrDecay
    weight_decay: float
    ema_update_every: int
    ema_beta: float
    ema_power: float
    znorm_latent: bool
    buffer_pairs: int

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("max_it", "val_it", "save_it", "ema_update_every", "buffer_pairs"):
            self._check(name, getattr(self, name) >= 1, "1 or more")
        for name in ("val_pairs", "weight_decay"):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        for name in ("lr", "ema_power"):
            self._check(name, getattr(self, name) > 0, "above 0")
        self._check("ema_beta", 0 <= self.ema_beta <= 1, "within 0 and 1")
        known = get_args(LrDecay)
        self._check("lr_decay", self.lr_decay in known, f"one of {', '.join(known)}")

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            msg = f"train.{name} must be {expected}, got {getattr(self, name)!r}."
            raise InputError(msg)
