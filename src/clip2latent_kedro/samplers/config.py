"""How latents are drawn, from the condition to the truncated w: `params:sampling`."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from clip2latent_kedro.errors import InputError

SamplerName = Literal["ddpm", "ddim", "dpmpp_2m", "unipc"]
Spacing = Literal["uniform", "karras"]
Variance = Literal["upstream", "corrected"]
Guidance = Literal["cfg", "cfgpp"]
Truncation = Literal["fixed", "auto"]
TruncationCentre = Literal["data_mean", "w_avg"]

_CHOICES = {
    "sampler": get_args(SamplerName),
    "spacing": get_args(Spacing),
    "variance": get_args(Variance),
    "guidance": get_args(Guidance),
    "truncation": get_args(Truncation),
    "truncation_centre": get_args(TruncationCentre),
}
_RANGES: dict[str, tuple[float, float]] = {
    "num_steps": (1, math.inf),
    "eta": (0, 1),
    "guidance_scale": (0, math.inf),
    "psi": (0, math.inf),
    "truncation_cutoff": (0, math.inf),
    "truncation_quantile": (0, 1),
    "mean_shift": (0, 1),
    "noise_level": (0, math.inf),
    "retrieval_share": (0, 1),
    "retrieval_neighbours": (1, math.inf),
    "retrieval_spread": (1, math.inf),
}


@dataclass(frozen=True)
class SamplingConfig:
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
    num_steps: int
    guidance_scale: float
    spacing: Spacing = "uniform"
    eta: float = 0.0
    variance: Variance = "corrected"
    guidance: Guidance = "cfg"
    guidance_interval: list[float] = field(default_factory=lambda: [0.0, 1.0])
    psi: float = 1.0
    truncation: Truncation = "fixed"
    truncation_centre: TruncationCentre = "data_mean"
    truncation_cutoff: int | None = None
    truncation_quantile: float = 1.0
    mean_shift: float = 0.0
    noise_level: float | None = None
    retrieval_share: float = 0.0
    retrieval_neighbours: int = 1
    retrieval_spread: int = 1
    retrieval_concentration: float = 1.0

    def __post_init__(self) -> None:
        """Raise `InputError` for the first setting that is out of its range."""
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            self._check(name, value in choices, f"one of {', '.join(choices)}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            bound = f"at least {low:g}" if high == math.inf else f"{low:g} to {high:g}"
            is_right = value is None or (low <= value <= high and math.isfinite(value))
            self._check(name, is_right, bound)
        is_above = 0 < self.retrieval_concentration < math.inf
        self._check("retrieval_concentration", is_above, "above 0")
        few = self.retrieval_spread <= self.retrieval_neighbours
        self._check("retrieval_spread", few, "at most sampling.retrieval_neighbours")
        interval = self.guidance_interval
        rises = len(interval) == 2 and 0 <= interval[0] <= interval[1] <= 1
        self._check("guidance_interval", rises, "two rising numbers within 0 and 1")
        if self.guidance == "cfgpp":
            is_share = self.guidance_scale <= 1
            self._check("guidance_scale", is_share, "0 to 1 for guidance: cfgpp")

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            msg = f"sampling.{name} must be {expected}, got {getattr(self, name)!r}."
            raise InputError(msg)
