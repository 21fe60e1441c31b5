"""Settings of CLIP2GAN's training."""

from dataclasses import dataclass

from clip2latent_kedro.errors import InputError

_AT_LEAST_ONE = ("dim", "depth", "max_it", "bs", "image_bs", "low_pass", "save_it")
_NOT_NEGATIVE = (
    "images_from",
    "weight_decay",
    "embed_noise_scale",
    "latent_weight",
    "pixel_weight",
    "clip_weight",
)


@dataclass(frozen=True)
class Clip2GanTrainingConfig:
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
        weight_decay: Of its weights.
        embed_noise_scale: Norm of the noise on a unit embedding in training; 0 is
            the paper's way.
        latent_weight: Of the distance of the latents.
        pixel_weight: Of the distance of the images.
        clip_weight: Of the angle between the embeddings of the images.
        low_pass: Pixels a side of the squares whose means are compared; 1 compares
            the pixels themselves.
        ema_beta: Largest decay of the averaged weights.
        val_pairs: Last pairs, kept from training to measure with.
        save_it: Steps between saved states, each with a measurement.
    """

    dim: int
    depth: int
    max_it: int
    images_from: int
    bs: int
    image_bs: int
    lr: float
    weight_decay: float
    embed_noise_scale: float
    latent_weight: float
    pixel_weight: float
    clip_weight: float
    low_pass: int
    ema_beta: float
    val_pairs: int
    save_it: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in _AT_LEAST_ONE:
            self._check(name, getattr(self, name) >= 1, "1 or more")
        for name in _NOT_NEGATIVE:
            self._check(name, getattr(self, name) >= 0, "0 or more")
        self._check("lr", self.lr > 0, "above 0")
        self._check("ema_beta", 0 <= self.ema_beta < 1, "in [0, 1)")
        # Latents and images alike are measured.
        self._check("val_pairs", self.val_pairs >= 1, "1 or more")
        self._check("image_bs", self.image_bs <= self.bs, f"at most bs = {self.bs}")
        weights = (self.latent_weight, self.pixel_weight, self.clip_weight)
        if not any(weights):
            msg = (
                "One of baselines.clip2gan.latent_weight, pixel_weight and clip_weight "
                "must be above 0, got 0 for each."
            )
            raise InputError(msg)
        if self.images_from > 0 and self.latent_weight == 0:
            msg = (
                f"baselines.clip2gan.images_from must be 0 where latent_weight is 0, "
                f"since nothing would be learned before, got {self.images_from}."
            )
            raise InputError(msg)

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            msg = (
                f"baselines.clip2gan.{name} must be {expected}, got "
                f"{getattr(self, name)}."
            )
            raise InputError(msg)
