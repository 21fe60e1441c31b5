"""Settings of a prior and its training."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from clip2latent_kedro.checked import (
    Checked,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionConfig
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.runtime import AskedPrecision
from clip2latent_kedro.training.rates import LrDecay


@dataclass(frozen=True)
class TrainConfig(Checked):
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
        weight_decay: Weight decay of AdamW, on weights of two or more axes.
        clip_grad: Largest norm of the gradient of all weights; None for no limit.
        accumulate: Parts that a batch is split into, to save memory; the gradient
            is that of the whole batch.
        precision: Of the network's arithmetic; weights and optimiser are float32.
            `auto` is bfloat16 where the device is made for it, and else float32.
        compile: Compile the network first, which takes a C++ compiler.
        ema_update_every: Steps between updates of the averaged weights.
        ema_beta: Largest decay of one update.
        ema_power: How fast the decay comes there (see `rates.ema_decay`).
        znorm_latent: Normalise each channel of w.
        buffer_pairs: Pairs in memory at once; more are shuffled by chunks.
    """

    max_it: PositiveInt
    val_it: PositiveInt
    val_pairs: NonNegativeInt
    best_by: str
    save_it: PositiveInt
    lr: PositiveFloat
    lr_decay: LrDecay
    warmup_it: NonNegativeInt
    weight_decay: NonNegativeFloat
    clip_grad: PositiveFloat | None
    accumulate: PositiveInt
    precision: AskedPrecision
    compile: bool
    ema_update_every: PositiveInt
    ema_beta: Fraction
    ema_power: PositiveFloat
    znorm_latent: bool
    buffer_pairs: PositiveInt


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
        if not self.data.embed_noise_least:  # what is trained is as it was without it
            del plain["data"]["embed_noise_least"]
        return plain
