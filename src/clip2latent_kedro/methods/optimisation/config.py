"""How a latent is searched for: `params:baselines.optimisation`, one a method."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Interval, Len

from clip2latent_kedro.checked import (
    Checked,
    Decay,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rule,
)

Start = Literal["zero", "mean", "best_of", "samples"]
Space = Literal["w", "w+"]
CoordinatesName = Literal["raw", "standardised", "whitened"]
Loss = Literal["inverse_cosine", "one_minus_cosine", "spherical"]
Resize = Literal["encoder", "bilinear", "styleclip"]


@dataclass(frozen=True)
class OptimisationConfig(Checked):
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
        betas: Decays of the two moments in AdamW, from 0 to below 1.
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
    num_steps: NonNegativeInt
    lr: PositiveFloat
    space: Space = "w"
    coordinates: CoordinatesName = "raw"
    loss: Loss = "one_minus_cosine"
    num_candidates: PositiveInt = 1
    candidate_psi: NonNegativeFloat = 1.0
    betas: Annotated[list[Decay], Len(2, 2)] = field(
        default_factory=lambda: [0.9, 0.999]
    )
    weight_decay: NonNegativeFloat = 0.0
    warmup: Fraction = 0.0
    rampdown: Fraction = 0.0
    ema_decay: Decay = 0.0
    resize: Resize = "encoder"
    num_cutouts: NonNegativeInt = 0
    cutout_least: Annotated[float, Interval(gt=0, le=1)] = 0.5
    cutout_power: PositiveFloat = 1.0
    l2_lambda: NonNegativeFloat = 0.0
    cloud_quantile: Fraction | None = None
    trust_radius: NonNegativeFloat | None = None
    batch_size: PositiveInt = 64
    checkpoint_synthesis: bool = False
    record_steps: list[NonNegativeInt] = field(default_factory=list)

    def rules(self) -> Iterator[Rule]:
        """Yield that the recorded steps rise."""
        steps = self.record_steps
        yield steps == sorted(set(steps)), "record_steps", "rising"


@dataclass(frozen=True)
class OptimisationParameters(Checked):
    """`params:baselines.optimisation`: the ways of searching."""

    article: OptimisationConfig
    plain: OptimisationConfig
    strong: OptimisationConfig
    styleclip: OptimisationConfig
    refine: OptimisationConfig
