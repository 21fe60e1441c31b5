"""Settings of LAFITE's training."""

from dataclasses import dataclass

from clip2latent_kedro.checked import (
    Checked,
    Decay,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from clip2latent_kedro.methods.lafite.losses import Form
from clip2latent_kedro.training.rates import LrDecay


@dataclass(frozen=True)
class LafiteTrainingConfig(Checked):
    """Size and training of LAFITE, with the source's names where it has them.

    Attributes:
        text_features: Channels that a layer makes of the text, 512 there.
        text_lr: Learning-rate multiplier in the layers before, 0.01 there.
        channel_base: Of the discriminator, see `DiscriminatorConfig`.
        channel_max: Most channels of a layer of the discriminator.
        max_it: Training steps.
        discriminator_first: The first of them, in which only the discriminator learns:
            a random one would lead a trained generator astray.
        bs: Images a step.
        lr: Learning rate of Adam; the mapping has a hundredth of it.
        lr_styles: That of the layers from w and text to styles.
        lr_discriminator: That of the discriminator.
        lr_decay: How all of them fall towards the end; `none` in the source.
        beta1: Decay of the generator's first moment in Adam.
        noise_share: Share of noise in an image's embedding that stands for a text.
        itd: Weight of the contrast between text and the discriminator's features.
        itc: Weight of the contrast between text and CLIP's embedding of the image.
        temperature: Temperature of both contrasts.
        lam: Weight of images that look for their text (see `contrastive_loss`).
        form: `released` or `corrected`, see `losses`.
        r1_gamma: Weight of the gradient penalty.
        r1_every: Steps between two penalties, each that much heavier.
        ema_beta: Largest decay of the averaged generator.
        ema_power: How fast the decay rises to it (see `ema_decay`).
        save_it: Steps between two saved states.
    """

    text_features: PositiveInt
    text_lr: PositiveFloat
    channel_base: PositiveInt
    channel_max: PositiveInt
    max_it: PositiveInt
    discriminator_first: NonNegativeInt
    bs: PositiveInt
    lr: PositiveFloat
    lr_styles: PositiveFloat
    lr_discriminator: PositiveFloat
    lr_decay: LrDecay
    beta1: Decay
    noise_share: Decay
    itd: NonNegativeFloat
    itc: NonNegativeFloat
    temperature: PositiveFloat
    lam: Fraction
    form: Form
    r1_gamma: NonNegativeFloat
    r1_every: PositiveInt
    ema_beta: Decay
    ema_power: PositiveFloat
    save_it: PositiveInt
