"""The generator's own bound: what it draws of portraits that fit the prompt."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.evaluation.digests import digest_arrays
from clip2latent_kedro.evaluation.method import Queries
from clip2latent_kedro.evaluation.models import Models
from clip2latent_kedro.evaluation.rows import LackingError, Row, RowSpec
from clip2latent_kedro.interfaces import Generator


@dataclass(frozen=True)
class GeneratorBound:
    """w of given z, which are known to stand for what the prompt says.

    A prior can lose against it only by what it makes of the text; what both lack
    against the references is the generator's.

    Attributes:
        generator: z -> w -> image.
        z: [num_prompts or more, num_references, z_dim].
    """

    gives_w: ClassVar[bool] = True

    generator: Generator
    z: np.ndarray

    def __post_init__(self) -> None:
        """Check that the z are of this generator's kind."""
        if self.z.ndim != 3 or self.z.shape[2] != self.generator.z_dim:
            msg = (
                f"reference_z must have shape [num_prompts, num_references, "
                f"{self.generator.z_dim}], got {list(self.z.shape)}. Make them for "
                f"this generator, or put an empty mapping in the catalog."
            )
            raise InputError(msg)

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples or fewer, num_ws, w_dim]."""
        num_prompts = len(queries.texts)
        if len(self.z) < num_prompts:
            msg = (
                f"reference_z must hold z of all {num_prompts} prompts, got "
                f"{len(self.z)}. Make them from the same table of prompts."
            )
            raise InputError(msg)
        z = torch.tensor(self.z[:num_prompts, :num_samples])
        w = self.generator.mapping(z.flatten(0, 1).to(queries.embedding.device))
        return w.reshape(*z.shape[:2], *w.shape[1:])

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of w."""
        return self.generator.synthesis(samples, noise_mode="const")


def build(spec: RowSpec, models: Models, queries: Queries) -> Row:
    """Return the generator's bound.

    Raises:
        LackingError: If the domain knows no z that fit the prompts.
    """
    if models.reference_z is None:
        msg = "The catalog has no reference_z. Add z that stand for what prompts say."
        raise LackingError(msg)
    method = GeneratorBound(models.generator, models.reference_z)
    made_with = {"reference_z": digest_arrays({"z": models.reference_z})}
    return Row(method, settings={}, made_with=made_with)
