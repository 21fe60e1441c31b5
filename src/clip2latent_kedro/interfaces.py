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


@dataclass(frozen=True)
class StyleLayer:
    """One part of the space S: what a layer's affine transform makes of its w.

    Attributes:
        name: Of the layer in the network, such as `b8.conv1` or `L3_52_512`.
        num_channels: Styles of the layer.
        w_index: Row of w that it is made of.
        kind: `features` of a convolution; `colours` (ToRGB); `pose`, where StyleGAN3
            puts its Fourier features.
    """

    name: str
    num_channels: int
    w_index: int
    kind: Literal["features", "colours", "pose"] = "features"


@runtime_checkable
class StyledGenerator(Generator, Protocol):
    """A generator with a space S (Wu et al. 2021, arXiv 2011.12799).

    `synthesis(w)` is `synthesis_from_styles(styles(w))`, bit for bit.
    """

    style_layers: Sequence[StyleLayer]

    def styles(self, w: Tensor) -> Tensor:
        """Return S, [n, num_channels], of w [n, num_ws, w_dim].

        Layers stand one after another, in the order of `style_layers`.
        """
        ...

    def synthesis_from_styles(
        self, styles: Tensor, *, noise_mode: NoiseMode = "const"
    ) -> Tensor:
        """Return images, [n, 3, resolution, resolution] in [-1, 1], of S."""
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
class PerceptualLoss(Protocol):
    """A distance of two pictures, as the squared distance of their features.

    So those of a picture that others are compared with are computed once.
    """

    identity: Identity

    def features(self, image: Tensor) -> Tensor:
        """Return features, [n, num_features], of images [n, 3, h, w] in [-1, 1].

        The distance is the sum of the squares of their differences. Images that are
        compared have one size; it decides how many features there are.
        """
        ...

    def to(self, device: str) -> "PerceptualLoss":
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


@runtime_checkable
class CertainJudge(Judge, Protocol):
    """A judge that also says how sure it is, by calibrated probabilities.

    What it classifies are the values of the largest of them.
    """

    def probabilities(self, image: Tensor) -> Sequence[Tensor]:
        """Return for each of `attributes` the values' probabilities, [n, num_values].

        Images, [n, 3, h, w], in [-1, 1]. Of those of which it says p, a share of about
        p is right.
        """
        ...


@runtime_checkable
class SightedJudge(Judge, Protocol):
    """A judge that knows which attributes of a picture cannot be seen."""

    def visible(self, values: Tensor) -> Tensor:
        """Return which attributes can be seen, [n, num_attributes] bool.

        Args:
            values: What `classify` returned; sunglasses may hide the eyes' colour.
        """
        ...


@runtime_checkable
class SubjectDetector(Judge, Protocol):
    """A judge that also says whether a picture shows the domain's subject at all.

    Attributes are told of any picture, of what is no face too.
    """

    def detect(self, image: Tensor) -> Tensor:
        """Return whether the subject, such as a face, is found, [n] bool.

        Images, [n, 3, h, w], in [-1, 1].
        """
        ...
