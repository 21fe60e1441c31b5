"""The ceiling: pictures that are known to show what the prompt says."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.images import uint8_to_image
from clip2latent_kedro.methods.digests import digest_arrays
from clip2latent_kedro.methods.method import (
    Method,
    NoSettings,
    Queries,
    UnavailableError,
)

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models


@dataclass(frozen=True, kw_only=True)
class References(Method):
    """Given pictures of each prompt.

    Attributes:
        images: uint8, [num_prompts or more, num_references, h, w, 3].
    """

    gives_w: ClassVar[bool] = False

    images: np.ndarray

    @classmethod
    def build(cls, settings: NoSettings, models: "Models", queries: Queries) -> Self:
        """Return the ceiling.

        Raises:
            UnavailableError: If the domain has no such pictures of these prompts.
        """
        images, num_prompts = models.reference_images, len(queries.texts)
        if images is None:
            msg = (
                "The catalog has no reference_images. Add pictures that fit each "
                "prompt."
            )
            raise UnavailableError(msg)
        is_u8 = images.dtype == np.uint8 and images.ndim == 5 and images.shape[4] == 3
        if not is_u8 or len(images) < num_prompts or 0 in images.shape:
            msg = (
                f"reference_images must be uint8 [{num_prompts} or more, "
                f"num_references, h, w, 3], got {images.dtype} {list(images.shape)}. "
                f"Make them from the same table of prompts, or put a NothingDataset "
                f"in the catalog."
            )
            raise UnavailableError(msg)
        digest = digest_arrays({"images": images})
        return cls(images=images, made_with={"reference_images": digest})

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return pictures, uint8 [num_prompts, num_samples or fewer, h, w, 3]."""
        return torch.tensor(self.images[: len(queries.texts), :num_samples])

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of uint8 pictures, [n, h, w, 3]."""
        return uint8_to_image(samples)

    def timed(self, guidance_scale: float) -> None:
        """Return None: pictures are not made from text."""
