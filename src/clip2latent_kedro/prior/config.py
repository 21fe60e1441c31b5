"""Settings of a prior and its training."""

import json
from dataclasses import asdict, dataclass
from typing import Any, get_args

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionConfig
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.runtime import Precision
from clip2latent_kedro.training.rates import LrDecay

_CHOICES = {"lr_decay": get_args(LrDecay), "precision": get_args(Precision)}


@dataclass(frozen=True)
class TrainConfig:
    """How a prior is trained (`params:train`), under clip2latent's names.

    Attributes:
        max_it: Training steps.
        val_it: Steps between validations.
        val_pairs: Last pairs of the set, kept from training to measure with.
        best_by: Score of a validation that picks the best prior: `validation_loss`,
            or another one of those that the validation finds.
        save_it: Steps between checkpoints, each with a measurement of the losses.
        lr: Learning rate.
        lr_decay: How it falls towards `max_it`; `none` as in the original.
        warmup_it: Steps over which it rises linearly, on top of that; 0 for none.
        weight_decay: Of AdamW, on weights of two or more axes.
        clip_grad: Largest norm of the gradient of all weights; None for no limit.
        accumulate: Parts that a batch is split into, to save memory; the gradient
            is that of the whole batch.
        precision: Of the network's arithmetic; weights and optimiser are float32.
        compile: Compile the network first, which takes a C++ compiler.
        ema_update_every: Steps between updates of the averaged weights.
        ema_beta: Largest decay of one update.
        ema_power: How fast the decay comes there (see `rates.ema_decay`).
        znorm_latent: Normalise each channel of w.
        buffer_pairs: Pairs in memory at once; more are shuffled by chunks.
    """

    max_it: int
    val_it: int
    val_pairs: int
    best_by: str
    save_it: int
    lr: float
    lr_decay: LrDecay
    warmup_it: int
    weight_decay: float
    clip_grad: float | None
    accumulate: int
    precision: Precision
    compile: bool
    ema_update_every: int
    ema_beta: float
    ema_power: float
    znorm_latent: bool
    buffer_pairs: int

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in (
            "max_it",
            "val_it",
            "save_it",
            "accumulate",
            "ema_update_every",
            "buffer_pairs",
        ):
            self._check(name, getattr(self, name) >= 1, "1 or more")
        for name in ("val_pairs", "warmup_it", "weight_decay"):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        for name in ("lr", "ema_power"):
            self._check(name, getattr(self, name) > 0, "above 0")
        clip_grad = self.clip_grad
        self._check("clip_grad", clip_grad is None or clip_grad > 0, "above 0 or null")
        self._check("ema_beta", 0 <= self.ema_beta <= 1, "within 0 and 1")
        for name, known in _CHOICES.items():
            is_known = getattr(self, name) in known
            self._check(name, is_known, f"one of {', '.join(known)}")

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            msg = f"train.{name} must be {expected}, got {getattr(self, name)!r}."
            raise InputError(msg)


@dataclass(frozen=True)
class PriorSettings:
    """All that decides a prior, but for the pairs.

    Attributes:
        data: `params:data`.
        network: `params:model.network`.
        diffusion: `params:model.diffusion`.
        train: `params:train`.
        seed: Of first weights, batches and noise.
    """

    data: DataConfig
    network: NetworkConfig
    diffusion: DiffusionConfig
    train: TrainConfig
    seed: int

    def describe(self, pairs: TrainingPairs) -> dict[str, Any]:
        """Return them as plain JSON with the recipe of pairs (see `Checkpoint`)."""
        settings = {
            "data": asdict(self.data),
            "model": {
                "network": asdict(self.network),
                "diffusion": asdict(self.diffusion),
            },
            "train": asdict(self.train),
            "seed": self.seed,
            "pairs": pairs.settings,
        }
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain
