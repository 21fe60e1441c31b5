"""Settings of the distillation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Len

from clip2latent_kedro.checked import (
    Checked,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Rule,
)
from clip2latent_kedro.runtime import AskedPrecision
from clip2latent_kedro.training.rates import LrDecay

ObjectiveName = Literal["energy", "endpoint", "consistency"]


@dataclass(frozen=True)
class DistillationConfig(Checked):
    """How a student is trained (`params:distillation`).

    Attributes:
        objective: A name of `OBJECTIVES`.
        max_it: Training steps.
        val_it: Steps between comparisons with the teacher.
        save_it: Steps between checkpoints, each with a comparison.
        bs: Conditions in a step.
        num_samples: Latents of each of them.
        lr: Learning rate.
        lr_decay: How it falls towards `max_it`.
        weight_decay: Weight decay of AdamW, on weights of two or more axes.
        ema_beta: Largest decay of an update of the averaged weights, one a step.
        ema_power: How fast the decay comes there (see `rates.ema_decay`).
        warm_start: Begin with the teacher's weights; otherwise with random ones.
        guidance_range: Guidance scales to learn, [low, high].
        mix: Largest share of a second image's embedding in a condition, 0 to 1.
        teacher_steps: Steps of the teacher from noise to x0: of dpmpp_2m where the
            objective takes whole samples, of ddim for `consistency`.
        pool_batches: Batches of the teacher's samples that are kept at a time, ...
        pool_uses: ... and how often each is used.
        precision: Of both networks' arithmetic; weights and optimiser are float32.
            `auto` is bfloat16 where the device is made for it, and else float32.
    """

    objective: ObjectiveName
    max_it: PositiveInt
    val_it: PositiveInt
    save_it: PositiveInt
    bs: PositiveInt
    num_samples: Annotated[int, Ge(2)]
    lr: PositiveFloat
    lr_decay: LrDecay
    weight_decay: NonNegativeFloat
    ema_beta: Fraction
    ema_power: PositiveFloat
    warm_start: bool
    guidance_range: Annotated[list[NonNegativeFloat], Len(2, 2)]
    mix: Fraction
    teacher_steps: PositiveInt
    pool_batches: PositiveInt
    pool_uses: PositiveInt
    precision: AskedPrecision = "float32"

    def rules(self) -> Iterator[Rule]:
        """Yield that the range rises."""
        low, high = self.guidance_range
        yield low <= high, "guidance_range", "rising"
