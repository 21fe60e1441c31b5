"""The method itself, with one way of sampling."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from clip2latent_kedro.conditioning import condition_on_image
from clip2latent_kedro.methods.digests import digest_prior
from clip2latent_kedro.methods.method import Method, Queries, UnavailableError
from clip2latent_kedro.methods.models import Models, PriorName
from clip2latent_kedro.prior.sampling import check_sampling
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage


@dataclass(frozen=True)
class Clip2LatentSettings(SamplingConfig):
    """A prior, and how latents are drawn from it (`params:sampling`).

    Attributes:
        prior: The last averaged weights, those that validated best, or the student
            that does it in one step.
    """

    prior: PriorName = "prior"


@dataclass(frozen=True, kw_only=True)
class Clip2Latent(Method):
    """w drawn from the prior; x_T of a sample is the same whatever the settings say.

    Attributes:
        model: Generator, encoder and prior.
    """

    Settings: ClassVar[type] = Clip2LatentSettings
    parameters: ClassVar[str | None] = "sampling"

    settings: SamplingConfig
    model: TextToImage

    @classmethod
    def build(
        cls, settings: Clip2LatentSettings, models: Models, queries: Queries
    ) -> Self:
        """Return clip2latent with one of the priors.

        Raises:
            UnavailableError: If the prior has not been made, or does not know the means
                that a shift takes, or there is nothing to retrieve from.
            InputError: If the settings do not suit the prior.
        """
        prior = models.find_prior(settings.prior)
        if settings.mean_shift and not prior.knows_text_mean:
            msg = (
                f"The prior {settings.prior!r} does not know the means of images and "
                f"texts, so that a mean_shift is not possible. Train a prior by the "
                f"pipeline training, with a prompt_bank."
            )
            raise UnavailableError(msg)
        made_with: dict[str, Any] = {settings.prior: digest_prior(prior)}
        if settings.retrieval_share > 0:
            made_with["training_pairs"] = dict(models.find_pairs().recipe)
        model = models.text_to_image(prior)
        check_sampling(prior, settings)
        return cls(
            model=model,
            settings=settings,
            made_with=made_with,
            training_seconds=prior.training_seconds,
        )

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples, num_ws, w_dim]."""
        condition = self.model.condition(
            queries.embedding, self.settings, num_samples=num_samples, seed=seed
        )
        return self.model.sample_w(
            condition, self.settings, num_samples=num_samples, seed=seed
        )

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of w."""
        return self.model.synthesise(samples)

    def timed(self, guidance_scale: float) -> Method:
        """Return the method with another guidance; CFG++ keeps its own scale."""
        if self.settings.guidance == "cfgpp":
            return self
        settings = replace(self.settings, guidance_scale=guidance_scale)
        check_sampling(self.model.prior, settings)
        return replace(self, settings=settings)


@dataclass(frozen=True, kw_only=True)
class ImageConditioned(Clip2Latent):
    """Variations of pictures: queries are embeddings of images, which need no bridge.

    It is no row of the evaluation, whose queries are texts.
    """

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_queries, num_samples, num_ws, w_dim]."""
        condition = condition_on_image(self.model.prior, queries.embedding)
        return self.model.sample_w(
            condition, self.settings, num_samples=num_samples, seed=seed
        )
