"""What a mapper learns from, each term by itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.interfaces import Encoder, Generator

TERMS = ("clip", "identity", "latent")


@dataclass(frozen=True)
class MapperLosses:
    """The losses of edited latents, for one text (Patashnik et al. 2021, section 5).

    Attributes:
        generator: w -> image.
        encoder: Image -> embedding.
        identity_encoder: Image -> features that tell who is in it; None leaves that
            term out.
        text_embedding: Of the target, [clip_dim], of any length.
    """

    generator: Generator
    encoder: Encoder
    identity_encoder: Encoder | None
    text_embedding: Tensor

    def measure(self, w: Tensor, w_hat: Tensor) -> Mapping[str, Tensor]:
        """Return the terms of `TERMS` that there are, [n] each.

        `clip` is 1 - cos(image, text), `identity` is 1 - cos of features before and
        after, `latent` is the mean square of w_hat - w.

        Args:
            w: Before, [n, num_ws, w_dim].
            w_hat: After, of the same shape.
        """
        image = self.generator.synthesis(w_hat, noise_mode="const")
        embedding = self.encoder.encode_image(image).float()
        terms = {
            "clip": 1 - F.cosine_similarity(embedding, self.text_embedding[None]),
            "latent": (w_hat - w).square().mean(dim=(1, 2)),
        }
        if self.identity_encoder is not None:
            before = self.generator.synthesis(w, noise_mode="const")
            terms["identity"] = identity_distance(self.identity_encoder, before, image)
        return terms


def identity_distance(encoder: Encoder, before: Tensor, after: Tensor) -> Tensor:
    """Return 1 - cos(R(after), R(before)), [n] in [0, 2].

    Args:
        encoder: R, image -> features.
        before: Images, [n, 3, h, w] in [-1, 1].
        after: The same, edited.
    """
    features = encoder.encode_image(after).float()
    return 1 - F.cosine_similarity(features, encoder.encode_image(before).float())
