"""How latents are drawn, from the condition to the truncated w: `params:sampling`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Len

from clip2latent_kedro.checked import (
    Checked,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rule,
)

SamplerName = Literal["ddpm", "ddim", "dpmpp_2m", "unipc"]
Spacing = Literal["uniform", "karras"]
Variance = Literal["upstream", "corrected"]
Guidance = Literal["cfg", "cfgpp"]
Truncation = Literal["fixed", "auto"]
TruncationCentre = Literal["data_mean", "w_avg"]


@dataclass(frozen=True)
class SamplingConfig(Checked):
    """How latents are drawn from a trained prior; what is not given is left out.

    Attributes:
        sampler: A name of `SAMPLERS`.
        num_steps: Denoising steps; must divide the prior's timesteps for `ddpm`
            with spacing `uniform`.
        guidance_scale: 1 is none, 0 ignores the condition; 0 to 1 for `cfgpp`.
        spacing: `uniform` in the timestep, or `karras`, with small steps where there
            is little noise, so that five steps or more keep the data's narrow
            directions; with fewer, `uniform` is closer.
        eta: Fresh noise of `ddim`, 0 to 1.
        variance: Noise of a respaced `ddpm`.
        guidance: `cfg`, with one scale for all steps, or `cfgpp`, which renoises
            with the unconditional noise (see `samplers.guidance`).
        guidance_interval: Where guidance acts, as shares of the noise schedule
            from 0 (clean) to 1 (noise), [low, high].
        psi: Truncation of w; 1 is none, 0 gives the centre.
        truncation: `fixed` applies psi to every w; `auto` pulls a w back only as
            far as it lies outside the bulk of the training data, and ignores psi.
        truncation_centre: The mean of the training data, as in the original code,
            or the generator's own `w_avg`.
        truncation_cutoff: Layers of the generator to truncate, from the first on;
            None for all.
        truncation_quantile: Share of the training data that `auto` takes for their
            bulk.
        mean_shift: How much of the difference between the image and the text mean
            is added to a text embedding, 0 (none) to 1 (all of it).
        noise_level: Embedding noise that the prior is told to expect in a text, for
            a prior that takes it as an input; None for that of its training.
        retrieval_share: How much of the condition is a mix of the nearest training
            embeddings, 0 (none) to 1 (all of it).
        retrieval_neighbours: Nearest training embeddings to choose from.
        retrieval_spread: How many of those are mixed, the farthest from each other.
        retrieval_concentration: Of the Dirichlet distribution of their weights.
    """

    sampler: SamplerName
    num_steps: PositiveInt
    guidance_scale: NonNegativeFloat
    spacing: Spacing = "uniform"
    eta: Fraction = 0.0
    variance: Variance = "corrected"
    guidance: Guidance = "cfg"
    guidance_interval: Annotated[list[Fraction], Len(2, 2)] = field(
        default_factory=lambda: [0.0, 1.0]
    )
    psi: NonNegativeFloat = 1.0
    truncation: Truncation = "fixed"
    truncation_centre: TruncationCentre = "data_mean"
    truncation_cutoff: NonNegativeInt | None = None
    truncation_quantile: Fraction = 1.0
    mean_shift: Fraction = 0.0
    noise_level: NonNegativeFloat | None = None
    retrieval_share: Fraction = 0.0
    retrieval_neighbours: PositiveInt = 1
    retrieval_spread: PositiveInt = 1
    retrieval_concentration: PositiveFloat = 1.0

    def rules(self) -> Iterator[Rule]:
        """Yield what settings ask of each other."""
        few = self.retrieval_spread <= self.retrieval_neighbours
        yield few, "retrieval_spread", "at most retrieval_neighbours"
        low, high = self.guidance_interval
        yield low <= high, "guidance_interval", "rising"
        is_share = self.guidance != "cfgpp" or self.guidance_scale <= 1
        yield is_share, "guidance_scale", "at most 1 for guidance: cfgpp"
