"""A judge by CLIP alone, for domains that have none."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.interfaces import Encoder, Identity


class ZeroShotJudge:
    """Tells attributes by the text that an image is nearest to (Radford et al. 2021).

    It knows no more than its encoder does: where that cannot tell two values apart, the
    shares that it finds say nothing.
    """

    def __init__(
        self, encoder: Encoder, texts: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Embed the texts.

        Args:
            encoder: Of images and texts, on its device.
            texts: By attribute and value.

        Raises:
            InputError: If the encoder does not know one of the texts.
        """
        self.attributes: Mapping[str, Sequence[str]] = {
            name: tuple(of_values) for name, of_values in texts.items()
        }
        self._encoder = encoder
        every = [text for of_values in texts.values() for text in of_values.values()]
        with torch.no_grad():
            self._texts = functional.normalize(encoder.encode_text(every).float())
        told = json.dumps({name: dict(of) for name, of in texts.items()})
        digest = hashlib.sha256((encoder.identity.digest + told).encode()).hexdigest()
        self.identity = Identity(f"zero-shot {encoder.identity.name}", digest)

    @torch.no_grad()
    def classify(self, image: Tensor) -> Tensor:
        """Return value indices, [n, num_attributes], of images in [-1, 1]."""
        return self.classify_embedding(self._encoder.encode_image(image))

    def classify_embedding(self, image_embedding: Tensor) -> Tensor:
        """Return value indices, [n, num_attributes], of embeddings of images.

        Their lengths change no order of cosines, and are left as they are.

        Args:
            image_embedding: By the judge's encoder, [n, embed_dim].
        """
        product = image_embedding.to(self._texts) @ self._texts.T
        sizes = [len(values) for values in self.attributes.values()]
        columns = torch.split(product, sizes, dim=1)
        return torch.stack([rows.argmax(1) for rows in columns], dim=1)

    def to(self, device: str) -> "ZeroShotJudge":
        """Move to a device and return self."""
        self._encoder = self._encoder.to(device)
        self._texts = self._texts.to(device)
        return self
