"""How a latent is searched for: `params:baselines.optimisation`, one a method."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from clip2latent_kedro.errors import InputError

Start = Literal["zero", "mean", "best_of", "samples"]
Space = Literal["w", "w+"]
CoordinatesName = Literal["raw", "standardised", "whitened"]
Loss = Literal["inverse_cosine", "one_minus_cosine", "spherical"]
Resize = Literal["encoder", "bilinear", "styleclip"]

_CHOICES = {
    "start": get_args(Start),
    "space": get_args(Space),
    "coordinates": get_args(CoordinatesName),
    "loss": get_args(Loss),
    "resize": get_args(Resize),
}
_RANGES: dict[str, tuple[float, float]] = {
    "num_steps": (0, math.inf),
    "num_candidates": (1, math.inf),
    "candidate_psi": (0, math.inf),
    "weight_decay": (0, math.inf),
    "warmup": (0, 1),
    "rampdown": (0, 1),
    "num_cutouts": (0, math.inf),
    "l2_lambda": (0, math.inf),
    "cloud_quantile": (0, 1),
    "trust_radius": (0, math.inf),
    "batch_size": (1, math.inf),
}


@dataclass(frozen=True)
class OptimisationConfig:
    """One way of searching; what is not given is left out.

    Attributes:
        start: Where from: w = 0, the mean of w, the best of some random w by CLIP, or
            the `samples` of another method, which `refine` takes.
        num_steps: Steps of the optimiser; 0 returns the start as it is.
        lr: Learning rate, in the unit of the coordinates.
        space: `w`: layers that share a latent at the start go on sharing it. `w+`:
            each layer has its own.
        coordinates: What the optimiser moves: w itself, w in units of each channel's
            spread, or w in units of the Gaussian's principal axes.
        loss: 1 / cosine, 1 - cosine or half the squared angle (see `losses`).
        num_candidates: Random w of each sample to choose from, for `best_of`.
        candidate_psi: Their truncation.
        betas: Of AdamW, two numbers from 0 to below 1.
        weight_decay: Of AdamW; pulls to the coordinates' origin, which is the mean
            of w unless they are `raw`.
        warmup: Share of the steps in which the learning rate rises, linearly.
        rampdown: Share of the steps in which it falls to 0, as a cosine.
        ema_decay: Of the moving average of w that is returned; 0 is none.
        resize: Who brings pictures to the encoder's size (see `views`).
        num_cutouts: Random squares of a picture that the loss sees at each step; 0
            for the whole picture.
        cutout_least: Smallest side of a square, as a share of the picture's.
        cutout_power: A side is least + (1 - least) u^power, u uniform: below 1 gives
            more large squares, above 1 more small ones.
        l2_lambda: Weight of the summed squared distance of w from the start, one
            count for each latent that moves.
        cloud_quantile: w may not leave the Gaussian that holds this share of random w,
            or where the start lies if that is farther out; None for no such bound.
        trust_radius: How far w may move from the start, in spreads of the Gaussian
            (see `LatentGaussian.distance`); None for no such bound.
        batch_size: Samples optimised at a time, cutouts not counted.
        checkpoint_synthesis: Save memory by running the generator twice a step.
        record_steps: Steps after which w and its score are kept, if there are so many;
            0 is the start.
    """

    start: Start
    num_steps: int
    lr: float
    space: Space = "w"
    coordinates: CoordinatesName = "raw"
    loss: Loss = "one_minus_cosine"
    num_candidates: int = 1
    candidate_psi: float = 1.0
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    weight_decay: float = 0.0
    warmup: float = 0.0
    rampdown: float = 0.0
    ema_decay: float = 0.0
    resize: Resize = "encoder"
    num_cutouts: int = 0
    cutout_least: float = 0.5
    cutout_power: float = 1.0
    l2_lambda: float = 0.0
    cloud_quantile: float | None = None
    trust_radius: float | None = None
    batch_size: int = 64
    checkpoint_synthesis: bool = False
    record_steps: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raise `InputError` for the first setting that is out of its range."""
        for name, choices in _CHOICES.items():
            is_known = getattr(self, name) in choices
            self._check(name, is_known, f"one of {', '.join(choices)}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            bound = f"at least {low:g}" if high == math.inf else f"{low:g} to {high:g}"
            is_right = value is None or (low <= value <= high and math.isfinite(value))
            self._check(name, is_right, bound)
        for name in ("lr", "cutout_power"):
            self._check(name, 0 < getattr(self, name) < math.inf, "above 0")
        self._check("cutout_least", 0 < self.cutout_least <= 1, "above 0, to 1")
        self._check("ema_decay", 0 <= self.ema_decay < 1, "0 to below 1")
        are_betas = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        self._check("betas", are_betas, "two numbers from 0 to below 1")
        steps = self.record_steps
        rise = steps == sorted(set(steps)) and min(steps, default=0) >= 0
        self._check("record_steps", rise, "rising numbers from 0 on")

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            msg = (
                f"optimisation.{name} must be {expected}, got {getattr(self, name)!r}."
            )
            raise InputError(msg)
