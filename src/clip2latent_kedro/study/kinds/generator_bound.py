"""The generator's own bound: what it draws of portraits that fit the prompt."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.study.digests import digest_arrays
from clip2latent_kedro.study.method import Queries
from clip2latent_kedro.study.models import Models
from clip2latent_kedro.study.rows import LackingError, Row, RowSpec


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

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples or fewer, num_ws, w_dim]."""
        num_prompts = len(queries.texts)
        z = torch.tensor(self.z[:num_prompts, :num_samples])
        w = self.generator.mapping(z.flatten(0, 1).to(queries.embedding.device))
        return w.reshape(*z.shape[:2], *w.shape[1:])

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of w."""
        return self.generator.synthesis(samples, noise_mode="const")


def build(spec: RowSpec, models: Models, queries: Queries) -> Row:
    """Return the generator's bound.

    Raises:
        LackingError: If the domain knows no z that fit the prompts and this generator.
    """
    z, num_prompts = models.reference_z, len(queries.texts)
    if z is None:
        msg = "The catalog has no reference_z. Add z that stand for what prompts say."
        raise LackingError(msg)
    z_dim = models.generator.z_dim
    if z.ndim != 3 or len(z) < num_prompts or z.shape[1] < 1 or z.shape[2] != z_dim:
        msg = (
            f"reference_z must have shape [{num_prompts} or more, num_references, "
            f"{z_dim}], got {list(z.shape)}. Make them for this generator and these "
            f"prompts, or put a NothingDataset in the catalog."
        )
        raise LackingError(msg)
    made_with = {"reference_z": digest_arrays({"z": z})}
    return Row(GeneratorBound(models.generator, z), settings={}, made_with=made_with)
