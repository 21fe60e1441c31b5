"""What a generator, an encoder and a judge must offer to be plugged in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

NoiseMode = Literal["const", "random", "none"]


@dataclass(frozen=True)
class Identity:
    """Which model made an artifact.

    Attributes:
        name: Readable name, such as `stylegan2` or `ViT-B-32-quickgelu/openai`.
        digest: SHA-256 (hex) of weights and architecture; equal means same outputs.
    """

    name: str
    digest: str

    def __str__(self) -> str:
        """Return the name with the start of the digest."""
        return f"{self.name}@{self.digest[:12]}"


@runtime_checkable
class Generator(Protocol):
    """An unconditional image generator, z -> w -> image.

    One with no mapping network (a DCGAN, a VAE decoder) has w = z: `num_ws` 1,
    `w_dim` = `z_dim`, `w_avg` zero.
    """

    z_dim: int
    w_dim: int
    num_ws: int
    resolution: int
    identity: Identity

    @property
    def w_avg(self) -> Tensor:
        """Mean of w, [w_dim]."""
        ...

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        """Return w, [n, num_ws, w_dim], of z, [n, z_dim], truncated by psi."""
        ...

    def synthesis(self, w: Tensor, *, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images, [n, 3, resolution, resolution] in [-1, 1], of w."""
        ...

    def to(self, device: str) -> "Generator":
        """Move to a device and return self."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """A joint embedding of images and texts, such as CLIP.

    An encoder whose text is not open vocabulary raises `InputError` for texts
    that it does not know; one with no text at all raises it for every text.
    """

    embed_dim: int
    identity: Identity

    def encode_image(self, image: Tensor) -> Tensor:
        """Return embeddings, [n, embed_dim], not normalised, of images in [-1, 1].

        Images, [n, 3, h, w], of any size; preprocessing happens inside.
        """
        ...

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Return embeddings, [n, embed_dim], not normalised."""
        ...

    def to(self, device: str) -> "Encoder":
        """Move to a device and return self."""
        ...


@runtime_checkable
class Judge(Protocol):
    """A classifier of named attributes, trained apart from everything it judges."""

    attributes: Mapping[str, Sequence[str]]
    identity: Identity

    def classify(self, image: Tensor) -> Tensor:
        """Return value indices, [n, num_attributes] int64, of images in [-1, 1].

        Column j indexes the values of the j-th of `attributes`.
        """
        ...

    def to(self, device: str) -> "Judge":
        """Move to a device and return self."""
        ...
