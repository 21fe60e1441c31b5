"""The generator's own bound: what it draws of portraits that fit the prompt."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.methods.digests import digest_arrays
from clip2latent_kedro.methods.method import (
    LatentMethod,
    NoSettings,
    Queries,
    UnavailableError,
)

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models


@dataclass(frozen=True, kw_only=True)
class GeneratorBound(LatentMethod):
    """w of given z, which are known to stand for what the prompt says.

    A prior can lose against it only by what it makes of the text; what both lack
    against the references is the generator's.

    Attributes:
        z: [num_prompts or more, num_references, z_dim].
    """

    z: np.ndarray

    @classmethod
    def build(cls, settings: NoSettings, models: "Models", queries: Queries) -> Self:
        """Return the generator's bound.

        Raises:
            UnavailableError: If the domain knows no z that fit the prompts and this
                generator.
        """
        z, num_prompts = models.reference_z, len(queries.texts)
        if z is None:
            msg = (
                "The catalog has no reference_z. Add z that stand for what prompts say."
            )
            raise UnavailableError(msg)
        z_dim = models.generator.z_dim
        if z.ndim != 3 or len(z) < num_prompts or z.shape[1] < 1 or z.shape[2] != z_dim:
            msg = (
                f"reference_z must have shape [{num_prompts} or more, num_references, "
                f"{z_dim}], got {list(z.shape)}. Make them for this generator and "
                f"these prompts, or put a NothingDataset in the catalog."
            )
            raise UnavailableError(msg)
        made_with = {"reference_z": digest_arrays({"z": z})}
        return cls(generator=models.generator, z=z, made_with=made_with)

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples or fewer, num_ws, w_dim]."""
        num_prompts = len(queries.texts)
        z = torch.tensor(self.z[:num_prompts, :num_samples])
        w = self.generator.mapping(z.flatten(0, 1).to(queries.embedding.device))
        return w.reshape(*z.shape[:2], *w.shape[1:])

    def timed(self, guidance_scale: float) -> None:
        """Return None: these z are not made from text."""
