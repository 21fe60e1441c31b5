"""Settings of CLIP2GAN's training."""

from collections.abc import Iterator
from dataclasses import dataclass

from clip2latent_kedro.checked import (
    Checked,
    Decay,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rule,
)


@dataclass(frozen=True)
class Clip2GanTrainingConfig(Checked):
    """Size and training of the mapping network (`params:baselines.clip2gan`).

    Attributes:
        dim: Width of its residual blocks.
        depth: Their number.
        max_it: Training steps.
        images_from: Steps before images are drawn: till then only latents are
            compared, which costs almost nothing.
        bs: Pairs a step, of which the latents are compared.
        image_bs: The first of them, of which images are drawn too.
        lr: Peak learning rate of AdamW.
        weight_decay: Weight decay of its weights.
        embed_noise_scale: Norm of the noise on a unit embedding in training; 0 is
            the paper's way.
        latent_weight: Weight of the distance of the latents.
        pixel_weight: Weight of the distance of the images.
        clip_weight: Of the angle between the embeddings of the images.
        low_pass: Pixels a side of the squares whose means are compared; 1 compares
            the pixels themselves.
        ema_beta: Largest decay of the averaged weights.
        val_pairs: Last pairs, kept from training to measure with.
        save_it: Steps between saved states, each with a measurement.
    """

    dim: PositiveInt
    depth: PositiveInt
    max_it: PositiveInt
    images_from: NonNegativeInt
    bs: PositiveInt
    image_bs: PositiveInt
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    embed_noise_scale: NonNegativeFloat
    latent_weight: NonNegativeFloat
    pixel_weight: NonNegativeFloat
    clip_weight: NonNegativeFloat
    low_pass: PositiveInt
    ema_beta: Decay
    val_pairs: PositiveInt
    save_it: PositiveInt

    def rules(self) -> Iterator[Rule]:
        """Yield what settings ask of each other."""
        yield self.image_bs <= self.bs, "image_bs", f"at most bs, {self.bs}"
        learns = self.latent_weight + self.pixel_weight + self.clip_weight > 0
        yield (
            learns,
            "latent_weight",
            "above 0 where the other weights are 0",
        )
        # Before that, nothing else would be learned.
        learns = self.images_from == 0 or self.latent_weight > 0
        yield learns, "images_from", "0 where latent_weight is 0"
