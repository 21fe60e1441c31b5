"""Settings of the training loop."""

from dataclasses import dataclass
from typing import Literal

from clip2latent_kedro.checked import (
    Checked,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
)

LrDecay = Literal["none", "cosine", "linear"]
Precision = Literal["float32", "bfloat16", "float16"]

LOSS_SCORE = "validation_loss"  # the one score of which less is better


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
        weight_decay: Of AdamW, on weights of two or more axes.
        clip_grad: Largest norm of the gradient of all weights; None for no limit.
        accumulate: Parts that a batch is split into, to save memory; the gradient
            is that of the whole batch.
        precision: Of the network's arithmetic; weights and optimiser are float32.
        compile: Compile the network first, which takes a C++ compiler.
        ema_update_every: Steps between updates of the averaged weights.
        ema_beta: Largest decay of one update.
        ema_power: How fast the decay comes there (see `ema.ema_decay`).
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
    precision: Precision
    compile: bool
    ema_update_every: PositiveInt
    ema_beta: Share
    ema_power: PositiveFloat
    znorm_latent: bool
    buffer_pairs: PositiveInt
