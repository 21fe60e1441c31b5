"""Settings of the distillation."""

from dataclasses import dataclass
from typing import Literal, get_args

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.training.rates import LrDecay

ObjectiveName = Literal["energy", "endpoint", "consistency"]

_CHOICES = {"objective": get_args(ObjectiveName), "lr_decay": get_args(LrDecay)}


@dataclass(frozen=True)
class DistillationConfig:
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
        weight_decay: Of AdamW, on weights of two or more axes.
        ema_beta: Largest decay of an update of the averaged weights, one a step.
        ema_power: How fast the decay comes there (see `rates.ema_decay`).
        warm_start: Begin with the teacher's weights; otherwise with random ones.
        guidance_range: Guidance scales to learn, [low, high].
        mix: Largest share of a second image's embedding in a condition, 0 to 1.
        teacher_steps: Steps of the teacher from noise to x0: of dpmpp_2m where the
            objective takes whole samples, of ddim for `consistency`.
        pool_batches: Batches of the teacher's samples that are kept at a time, ...
        pool_uses: ... and how often each is used.
    """

    objective: ObjectiveName
    max_it: int
    val_it: int
    save_it: int
    bs: int
    num_samples: int
    lr: float
    lr_decay: LrDecay
    weight_decay: float
    ema_beta: float
    ema_power: float
    warm_start: bool
    guidance_range: list[float]
    mix: float
    teacher_steps: int
    pool_batches: int
    pool_uses: int

    def __post_init__(self) -> None:
        """Check ranges."""
        for name, known in _CHOICES.items():
            is_known = getattr(self, name) in known
            self._check(name, is_known, f"one of {', '.join(known)}")
        for name in (
            "max_it",
            "val_it",
            "save_it",
            "bs",
            "teacher_steps",
            "pool_batches",
            "pool_uses",
        ):
            self._check(name, getattr(self, name) >= 1, "1 or more")
        # The spread of a condition's samples is measured, and learned by `energy`.
        self._check("num_samples", self.num_samples >= 2, "2 or more")
        self._check("weight_decay", self.weight_decay >= 0, "0 or more")
        for name in ("lr", "ema_power"):
            self._check(name, getattr(self, name) > 0, "above 0")
        for name in ("ema_beta", "mix"):
            self._check(name, 0 <= getattr(self, name) <= 1, "within 0 and 1")
        scales = self.guidance_range
        rises = len(scales) == 2 and 0 <= scales[0] <= scales[1]
        self._check("guidance_range", rises, "two rising numbers, 0 or more")

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            msg = (
                f"distillation.{name} must be {expected}, got {getattr(self, name)!r}."
            )
            raise InputError(msg)
