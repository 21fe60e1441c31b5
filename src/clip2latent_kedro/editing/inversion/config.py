"""How pictures are inverted: `params:editing.inversion`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from clip2latent_kedro.checked import (
    Checked,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rule,
)
from clip2latent_kedro.methods.models import PriorName

Start = Literal["mean", "prior", "encoder"]
Space = Literal["w", "w+", "s"]


@dataclass(frozen=True)
class InversionConfig(Checked):
    """One way from a picture to its latents.

    `ADA_PROJECTOR` has the values of StyleGAN2-ADA's projector.

    Attributes:
        start: Where from: the mean of w; the nearest of some samples of the prior
            given the picture's own embedding; or the trained encoder's w.
        space: What is moved: `w`, layers that share a latent go on sharing it; `w+`,
            each layer has its own; `s`, each channel of the styles.
        num_steps: Steps of Adam; 0 returns the start as it is.
        lr: Learning rate, in the unit of w or of the styles.
        warmup: Share of the steps in which the learning rate rises, linearly.
        rampdown: Share of the steps in which it falls to 0, as a cosine.
        latent_noise: Standard deviation of the noise on w in the first step, in units
            of the spread of w.
        latent_noise_end: Share of the steps after which there is no noise.
        noise_weight: Weight of the penalty that keeps noise maps noise; of generators
            whose maps do something.
        perceptual_weight: Weight of the perceptual loss.
        pixel_weight: Weight of the mean square difference of pixels.
        max_side: Larger pictures are compared at this many pixels a side.
        num_candidates: Samples of the prior to start from the nearest of.
        prior: Which prior.
        perceptual: Which perceptual loss; the catalog chooses it by this name.
        batch_size: Pictures inverted at a time.
    """

    start: Start = "prior"
    space: Space = "w"
    num_steps: NonNegativeInt = 100
    lr: PositiveFloat = 0.1
    warmup: Fraction = 0.05
    rampdown: Fraction = 0.25
    latent_noise: NonNegativeFloat = 0.0
    latent_noise_end: Fraction = 0.75
    noise_weight: NonNegativeFloat = 1e5
    perceptual_weight: NonNegativeFloat = 1.0
    pixel_weight: NonNegativeFloat = 1.0
    max_side: PositiveInt = 256
    num_candidates: PositiveInt = 8
    prior: PriorName = "prior"
    perceptual: str = "judge"
    batch_size: PositiveInt = 16

    def rules(self) -> Iterator[Rule]:
        """Yield that something is compared."""
        compares = self.perceptual_weight + self.pixel_weight > 0
        yield compares, "pixel_weight", "above 0 where perceptual_weight is 0"


ADA_PROJECTOR = InversionConfig(
    start="mean",
    num_steps=1000,
    latent_noise=0.05,
    pixel_weight=0.0,
    perceptual="lpips",
)
