"""Settings of LAFITE's training."""

from dataclasses import dataclass
from typing import get_args

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.lafite.losses import Form
from clip2latent_kedro.prior.config import LrDecay

_AT_LEAST_ONE = ("max_it", "bs", "save_it", "text_features", "r1_every")
_POSITIVE = (
    "lr",
    "lr_styles",
    "lr_discriminator",
    "text_lr",
    "temperature",
    "ema_power",
)
_NOT_NEGATIVE = ("discriminator_first", "itd", "itc", "r1_gamma")
_BELOW_ONE = ("noise_share", "beta1", "ema_beta")


@dataclass(frozen=True)
class LafiteTrainingConfig:
    """Size and training of LAFITE, with the source's names where it has them.

    Attributes:
        text_features: Channels that a layer makes of the text, 512 there.
        text_lr: Learning-rate multiplier in the layers before, 0.01 there.
        channel_base: Of the discriminator, see `DiscriminatorConfig`.
        channel_max: Likewise.
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
        temperature: Of both contrasts.
        lam: See `contrastive_loss`.
        form: `released` or `corrected`, see `losses`.
        r1_gamma: Weight of the gradient penalty.
        r1_every: Steps between two penalties, each that much heavier.
        ema_beta: Largest decay of the averaged generator.
        ema_power: See `ema_decay`.
        save_it: Steps between two saved states.
    """

    text_features: int
    text_lr: float
    channel_base: int
    channel_max: int
    max_it: int
    discriminator_first: int
    bs: int
    lr: float
    lr_styles: float
    lr_discriminator: float
    lr_decay: LrDecay
    beta1: float
    noise_share: float
    itd: float
    itc: float
    temperature: float
    lam: float
    form: Form
    r1_gamma: float
    r1_every: int
    ema_beta: float
    ema_power: float
    save_it: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in _AT_LEAST_ONE:
            self._check(name, getattr(self, name) >= 1, "1 or more")
        for name in _POSITIVE:
            self._check(name, getattr(self, name) > 0, "above 0")
        for name in _NOT_NEGATIVE:
            self._check(name, getattr(self, name) >= 0, "0 or more")
        for name in _BELOW_ONE:
            self._check(name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        self._check("lam", 0 <= self.lam <= 1, "in [0, 1]")
        for name, choices in (("form", Form), ("lr_decay", LrDecay)):
            value = getattr(self, name)
            if value not in get_args(choices):
                msg = (
                    f"baselines.lafite.{name} must be one of "
                    f"{', '.join(get_args(choices))}, got {value!r}."
                )
                raise InputError(msg)

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            value = getattr(self, name)
            msg = f"baselines.lafite.{name} must be {expected}, got {value}."
            raise InputError(msg)
