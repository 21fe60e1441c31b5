"""The method itself, with one way of sampling."""

from dataclasses import dataclass, replace

from torch import Tensor

from clip2latent_kedro.evaluation.method import Queries
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage


@dataclass(frozen=True)
class Clip2Latent:
    """w drawn from the prior.

    Attributes:
        model: Generator, encoder and prior.
        sampling: How to draw; x_T of a sample is the same whatever it says.
    """

    model: TextToImage
    sampling: SamplingConfig

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples, num_ws, w_dim]."""
        condition = self.model.condition(
            queries.embedding, self.sampling, num_samples=num_samples, seed=seed
        )
        return self.model.sample_w(
            condition, self.sampling, num_samples=num_samples, seed=seed
        )

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of w."""
        return self.model.synthesise(samples)

    def guided_by(self, guidance_scale: float) -> "Clip2Latent":
        """Return the same with another guidance; CFG++ has a scale of its own."""
        if self.sampling.guidance == "cfgpp":
            return self
        sampling = replace(self.sampling, guidance_scale=guidance_scale)
        return replace(self, sampling=sampling)
