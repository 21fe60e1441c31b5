"""What is to be paired: `params:data` and `params:data_generation`."""

from dataclasses import dataclass
from typing import Literal, get_args

from clip2latent_kedro.encoders.open_clip import Preprocess
from clip2latent_kedro.encoders.views import choose_preprocess
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.runtime import Precision

PairDtype = Literal["float32", "float16"]


@dataclass(frozen=True)
class DataConfig:
    """`params:data`: the pairs as the prior sees them, under clip2latent's names.

    Attributes:
        bs: Batch size of training.
        embed_noise_scale: Norm of the noise on a unit embedding, in training only.
        clip_variant: Which encoder; the catalog chooses it by this name.
        n_latents: Groups of layers that get a latent each (1: w, 3: w3, num_ws: w+).
        latent_dim: Width of w.
        latent_repeats: Layers in each group; they add up to the generator's num_ws.
        embed_preprocess: How images are read that the prior is conditioned on, in
            training and as prompts (see `encoders.open_clip.preprocess`).
        score_preprocess: How images are read to be scored and ranked.
    """

    bs: int
    embed_noise_scale: float
    clip_variant: str
    n_latents: int
    latent_dim: int
    latent_repeats: list[int]
    embed_preprocess: Preprocess = "standard"
    score_preprocess: Preprocess = "standard"

    def __post_init__(self) -> None:
        """Check ranges, and that the groups are as many as `n_latents`."""
        _check_positive("data", bs=self.bs, latent_dim=self.latent_dim)
        if self.embed_noise_scale < 0:
            msg = (
                f"data.embed_noise_scale must be 0 or more, "
                f"got {self.embed_noise_scale}."
            )
            raise InputError(msg)
        repeats = self.latent_repeats
        if not repeats or min(repeats) < 1 or len(repeats) != self.n_latents:
            msg = (
                f"data.latent_repeats must hold data.n_latents = {self.n_latents} "
                f"positive layer counts, got {repeats}. For w use n_latents: 1 and "
                f"latent_repeats: [num_ws]."
            )
            raise InputError(msg)
        for name in ("embed_preprocess", "score_preprocess"):
            _check_choice("data", name, getattr(self, name), get_args(Preprocess))

    def embedder(self, encoder: Encoder) -> Encoder:
        """Return the encoder as it embeds conditions."""
        return choose_preprocess(
            encoder, self.embed_preprocess, setting="data.embed_preprocess"
        )

    def scorer(self, encoder: Encoder) -> Encoder:
        """Return the encoder as it scores images."""
        return choose_preprocess(
            encoder, self.score_preprocess, setting="data.score_preprocess"
        )


@dataclass(frozen=True)
class GenerationConfig:
    """`params:data_generation`: how many pairs are made, and how.

    Attributes:
        n_samples: Number of pairs.
        batch_size: Images at a time through generator and encoder.
        out_image_size: Side to which images are resized, by area, before the encoder
            (and as which they are saved); None leaves the generator's resolution.
        psi: Truncation in the mapping network; 1 is none.
        samples_per_shard: Pairs in one chunk, the unit of saving and resuming.
        save_images: Whether to store the images too, uint8.
        dtype: Number format of the stored arrays.
        precision: Of the arithmetic of synthesis and encoder; that of z and w, and of
            what is stored, stays as it is.
        channels_last: Lay feature maps out with their channels together, which GPUs
            want for half precision; StyleGAN on a CPU always does.
        compile: Compile the synthesis first, which takes a C++ compiler.
    """

    n_samples: int
    batch_size: int
    out_image_size: int | None
    psi: float
    samples_per_shard: int
    save_images: bool
    dtype: PairDtype
    precision: Precision = "float32"
    channels_last: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        """Check ranges."""
        _check_positive(
            "data_generation",
            n_samples=self.n_samples,
            batch_size=self.batch_size,
            samples_per_shard=self.samples_per_shard,
            out_image_size=1 if self.out_image_size is None else self.out_image_size,
        )
        if not 0 <= self.psi <= 2:
            msg = f"data_generation.psi must lie in [0, 2], got {self.psi}."
            raise InputError(msg)
        section = "data_generation"
        _check_choice(section, "dtype", self.dtype, get_args(PairDtype))
        _check_choice(section, "precision", self.precision, get_args(Precision))


def _check_positive(section: str, **values: int) -> None:
    for name, value in values.items():
        if value < 1:
            msg = f"{section}.{name} must be 1 or more, got {value}."
            raise InputError(msg)


def _check_choice(section: str, name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        msg = f"{section}.{name} must be {' or '.join(known)}, got {value!r}."
        raise InputError(msg)
