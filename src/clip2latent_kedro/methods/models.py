"""All models and data of a domain that methods sample with and studies score with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clip2latent_kedro.engines.arrival import worker_device
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

if TYPE_CHECKING:  # their code is in the key of the rows alone that sample with them
    from clip2latent_kedro.generators.text_adapter import TextGenerator
    from clip2latent_kedro.methods.clip2gan.mapper import Clip2Gan

PriorName = Literal["prior", "prior_best", "student"]
_MADE_BY = {"prior": "training", "prior_best": "training", "student": "distillation"}


@dataclass(frozen=True, kw_only=True)
class Models:
    """The models of a domain, on one device; None stands for what it lacks.

    Attributes:
        generator: w -> image.
        encoder: Embeds texts, and scores images.
        embedder: The same encoder, reading images as the prior has learned them.
        latent_repeats: Layers of the generator that each latent stands for.
        latent_batch_size: Latents denoised at a time.
        image_batch_size: Images synthesised at a time.
        device: Where to compute; all models are moved there.
        held_out: An encoder that only scores.
        judge: Names the attributes of images.
        priors: Those that have been made, by the name of their catalog entry.
        lafite: A trained LAFITE.
        clip2gan: A trained CLIP2GAN.
        clip2gan_abstract: One trained as its abstract tells it.
        training_pairs: For retrieval.
        reference_images: uint8, [num_prompts, num_references, h, w, 3].
        reference_z: [num_prompts, num_references, z_dim].
        sampling: `params:sampling`, by which a refined prior is sampled first.
    """

    generator: Generator
    encoder: Encoder
    embedder: Encoder
    latent_repeats: Sequence[int]
    latent_batch_size: int
    image_batch_size: int
    device: str = "cpu"
    held_out: Encoder | None = None
    judge: Judge | None = None
    priors: Mapping[str, DiffusionPrior] = field(default_factory=dict)
    lafite: "TextGenerator | None" = None
    clip2gan: "Clip2Gan | None" = None
    clip2gan_abstract: "Clip2Gan | None" = None
    training_pairs: TrainingPairs | None = None
    reference_images: np.ndarray | None = None
    reference_z: np.ndarray | None = None
    sampling: SamplingConfig | None = None

    def __post_init__(self) -> None:
        """Move all models to the device."""
        for model in (
            self.generator,
            self.encoder,
            self.embedder,
            self.held_out,
            self.judge,
            self.lafite,
            self.clip2gan,
            self.clip2gan_abstract,
            *self.priors.values(),
        ):
            if model is not None:
                model.to(self.device)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive in another process, on the device of its worker."""
        self.__dict__.update(state, device=worker_device() or state["device"])
        self.__post_init__()

    def text_to_image(self, prior: DiffusionPrior) -> TextToImage:
        """Return the whole method with a prior, such as one of `priors`."""
        pairs = self.training_pairs
        return TextToImage(
            self.generator,
            self.embedder,
            prior,
            self.latent_repeats,
            latent_batch_size=self.latent_batch_size,
            image_batch_size=self.image_batch_size,
            device=self.device,
            retrieval_bank=None if pairs is None else pairs.clip_embedding,
            scorer=self.encoder,
        )

    def find_prior(self, name: PriorName) -> DiffusionPrior:
        """Return a prior by name.

        Raises:
            UnavailableError: If it is not there; the message names what makes it.
        """
        if name not in self.priors:
            msg = (
                f"The prior {name!r} has not been made yet. Run the pipeline "
                f"{_MADE_BY[name]} first."
            )
            raise UnavailableError(msg)
        return self.priors[name]

    def find_pairs(self) -> TrainingPairs:
        """Return the training pairs, or raise `UnavailableError`."""
        if self.training_pairs is None:
            msg = "There are no training_pairs. Run the pipeline data_generation first."
            raise UnavailableError(msg)
        return self.training_pairs
