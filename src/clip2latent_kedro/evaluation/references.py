"""The ceiling: pictures that are known to show what the prompt says."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.evaluation.method import Queries
from clip2latent_kedro.images import uint8_to_image


@dataclass(frozen=True)
class References:
    """Given pictures of each prompt.

    Attributes:
        images: uint8, [num_prompts or more, num_references, h, w, 3].
    """

    images: np.ndarray

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return pictures, uint8 [num_prompts, num_samples or fewer, h, w, 3]."""
        num_prompts = len(queries.texts)
        if len(self.images) < num_prompts:
            msg = (
                f"reference_images must hold pictures of all {num_prompts} prompts, "
                f"got {len(self.images)}. Make them from the same table of prompts."
            )
            raise InputError(msg)
        return torch.tensor(self.images[:num_prompts, :num_samples])

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of uint8 pictures, [n, h, w, 3]."""
        return uint8_to_image(samples)
