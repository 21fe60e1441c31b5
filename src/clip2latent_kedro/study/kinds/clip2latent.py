"""The method itself, with one way of sampling."""

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.sampling import check_sampling
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.digests import digest_prior
from clip2latent_kedro.study.method import Queries
from clip2latent_kedro.study.models import Models, find_prior
from clip2latent_kedro.study.rows import LackingError, Row, RowSpec
from clip2latent_kedro.study.variants import ALLOWED, PriorName
from clip2latent_kedro.text_to_image import TextToImage

__all__ = ["ALLOWED", "Clip2Latent", "build"]


@dataclass(frozen=True)
class Clip2Latent:
    """w drawn from the prior.

    Attributes:
        model: Generator, encoder and prior.
        sampling: How to draw; x_T of a sample is the same whatever it says.
    """

    gives_w: ClassVar[bool] = True

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


def build(spec: RowSpec, models: Models, queries: Queries) -> Row:
    """Return a row of clip2latent; it is timed with the guidance of the protocol.

    Raises:
        LackingError: If its prior has not been made, or does not know the means that
            a shift takes, or there is nothing to retrieve from.
        InputError: If a setting is out of its range, or does not suit the prior.
    """
    sampling: SamplingConfig = models.need_settings(spec, ALLOWED)
    name: PriorName = ALLOWED.get(spec.settings, "prior")
    prior = find_prior(models.priors, name)
    if sampling.mean_shift and not prior.knows_text_mean:
        msg = (
            f"The prior {name!r} does not know the means of images and texts, so that "
            f"a mean_shift is not possible. Train a prior by the pipeline training."
        )
        raise LackingError(msg)
    retrieves = sampling.retrieval_share > 0
    pairs = models.need_pairs() if retrieves else models.training_pairs
    method = Clip2Latent(
        TextToImage(
            models.generator,
            models.embedder or models.encoder,
            prior,
            models.latent_repeats,
            latent_batch_size=models.latent_batch_size,
            image_batch_size=models.image_batch_size,
            device=models.device,
            retrieval_bank=None if pairs is None else pairs.clip_embedding,
            scorer=models.encoder,
        ),
        sampling,
    )
    timed = method.guided_by(models.timing_guidance_scale)
    for what, asked in (
        (f"evaluation.rows.{spec.name}", sampling),
        (f"evaluation.timing_guidance_scale, {spec.name}", timed.sampling),
    ):
        try:
            check_sampling(prior, asked)
        except InputError as error:
            msg = f"{what}: {error}"
            raise InputError(msg) from None
    made_with: dict[str, Any] = {name: digest_prior(prior)}
    if retrieves and pairs is not None:
        made_with["training_pairs"] = dict(pairs.recipe)
    return Row(
        method,
        settings={"prior": name, **asdict(sampling)},
        made_with=made_with,
        timed=timed,
        training_seconds=prior.training_seconds,
    )
