"""All that rows of the comparison may draw with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.study.rows import Allowed, LackingError, RowSpec
from clip2latent_kedro.study.variants import PriorName

_MADE_BY = {
    "prior": "training",
    "prior_best": "training",
    "student": "distillation",
}


@dataclass(frozen=True)
class Models:
    """Frozen models and data of a domain, of which it may lack some.

    Attributes:
        generator: w -> image, on the device.
        encoder: Embeds texts, and images to be scored, on the device.
        priors: By name; None for one that has not been made.
        latent_repeats: Layers of the generator that each latent stands for.
        latent_batch_size: Latents denoised at a time.
        image_batch_size: Images synthesised at a time.
        device: Where to compute.
        groups: The parameters that rows change, by the name of their group.
        timing_guidance_scale: Guidance of what is timed.
        training_pairs: For retrieval; None if there are none.
        reference_images: uint8, [num_prompts, num_references, h, w, 3]; None if there
            are none.
        reference_z: [num_prompts, num_references, z_dim]; None if there are none.
        baselines: Trained models of other methods by name; None for one that has not
            been made.
        embedder: The encoder as the prior knows images; the same if None.
    """

    generator: Generator
    encoder: Encoder
    priors: Mapping[str, DiffusionPrior | None]
    latent_repeats: Sequence[int]
    latent_batch_size: int
    image_batch_size: int
    device: str
    groups: Mapping[str, Any]
    timing_guidance_scale: float
    training_pairs: TrainingPairs | None = None
    reference_images: np.ndarray | None = None
    reference_z: np.ndarray | None = None
    baselines: Mapping[str, Any] = field(default_factory=dict)
    embedder: Encoder | None = None

    def need_settings(self, spec: RowSpec, allowed: Allowed) -> Any:
        """Return the parameters of a row's group, changed as the row says.

        Raises:
            LackingError: If there is no such group.
            InputError: If a value is out of its range; the message names the row.
        """
        group = allowed.group_of(spec.settings)
        if group is None or group not in self.groups:
            msg = f"There are no parameters {group}. Add them to conf/."
            raise LackingError(msg)
        try:
            return replace(self.groups[group], **allowed.changes(spec.settings))
        except InputError as error:
            msg = f"evaluation.rows.{spec.name}: {error}"
            raise InputError(msg) from None

    def need_pairs(self) -> TrainingPairs:
        """Return the training pairs, or raise `LackingError`."""
        if self.training_pairs is None:
            msg = "There are no training_pairs. Run the pipeline data_generation first."
            raise LackingError(msg)
        return self.training_pairs

    def need_baseline(self, name: str) -> Any:
        """Return a trained model of another method, or raise `LackingError`."""
        model = self.baselines.get(name)
        if not model:
            msg = (
                f"There is no {name}. Point the catalog entry {name} at its file, "
                f"which the pipeline baselines makes."
            )
            raise LackingError(msg)
        return model


def find_prior(
    priors: Mapping[str, DiffusionPrior | None], name: PriorName
) -> DiffusionPrior:
    """Return a prior by name.

    Args:
        priors: Those that are there; None stands for one that is not.
        name: Which.

    Raises:
        LackingError: If it is not there; the message names the pipeline that makes it.
    """
    prior = priors.get(name)
    if isinstance(prior, DiffusionPrior):
        return prior
    msg = (
        f"The prior {name!r} has not been made yet. Run the pipeline "
        f"{_MADE_BY[name]} first."
    )
    raise LackingError(msg)
