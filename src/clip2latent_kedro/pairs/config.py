"""What is to be paired: `params:data` and `params:data_generation`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from clip2latent_kedro.checked import Checked, NonNegativeFloat, PositiveInt, Rule
from clip2latent_kedro.encoders.open_clip import Preprocess, choose_preprocess
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.runtime import Precision

PairDtype = Literal["float32", "float16"]


@dataclass(frozen=True)
class DataConfig(Checked):
    """`params:data`: the pairs as the prior sees them, under clip2latent's names.

    Attributes:
        bs: Batch size of training.
        embed_noise_scale: Norm of the noise on a unit embedding, in training only; the
            most of it where the network is told how much there is.
        embed_noise_least: The least of it there; any other prior has no use for it.
        clip_variant: Which encoder; the catalog chooses it by this name.
        n_latents: Groups of layers that get a latent each (1: w, 3: w3, num_ws: w+).
        latent_dim: Width of w.
        latent_repeats: Layers in each group; they add up to the generator's num_ws.
        embed_preprocess: How images are read that the prior is conditioned on, in
            training and as prompts (see `encoders.open_clip.preprocess`).
        score_preprocess: How images are read to be scored and ranked.
    """

    bs: PositiveInt
    embed_noise_scale: NonNegativeFloat
    clip_variant: str
    n_latents: PositiveInt
    latent_dim: PositiveInt
    latent_repeats: list[PositiveInt]
    embed_preprocess: Preprocess = "standard"
    score_preprocess: Preprocess = "standard"
    embed_noise_least: NonNegativeFloat = 0.0

    def rules(self) -> Iterator[Rule]:
        """Yield what settings ask of each other."""
        expected = (
            f"as many layer counts as n_latents, {self.n_latents} (for w one, num_ws)"
        )
        fits = len(self.latent_repeats) == self.n_latents
        yield fits, "latent_repeats", expected
        is_range = self.embed_noise_least <= self.embed_noise_scale
        yield is_range, "embed_noise_least", "at most embed_noise_scale"

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
class GenerationConfig(Checked):
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

    n_samples: PositiveInt
    batch_size: PositiveInt
    out_image_size: PositiveInt | None
    psi: Annotated[float, Interval(ge=0, le=2)]
    samples_per_shard: PositiveInt
    save_images: bool
    dtype: PairDtype
    precision: Precision = "float32"
    channels_last: bool = False
    compile: bool = False
