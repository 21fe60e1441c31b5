"""LPIPS (Zhang et al. 2018, arXiv 1801.03924), version 0.1 on VGG16, as features.

With f_l the features of layer l, each position divided by its length over channels, and
a_l >= 0 the learned weight of each channel,

    d(x, y) = sum_l mean_{h,w} sum_c a_lc (f_lc(x) - f_lc(y))^2

is the squared distance of sqrt(a_lc / (h_l w_l)) f_lc: the form in which StyleGAN's
projector takes it. The weights are two files of others: torchvision's VGG16, and the
heads `lpips/weights/v0.1/vgg.pth` of richzhang/PerceptualSimilarity.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from clip2latent_kedro.checked import Checked, read_settings
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.reading.state_dicts import fit_network, read_state_dict

# Convolutions of each part of VGG16, by their numbers in torchvision's `features`, and
# their channels. A part begins with max pooling, but for the first.
_PARTS = (
    ((0, 2), 64),
    ((5, 7), 128),
    ((10, 12, 14), 256),
    ((17, 19, 21), 512),
    ((24, 26, 28), 512),
)
# Of colours in [-1, 1]: mean and spread of ImageNet's, on that scale.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10  # added to the length of a position's features
_EXPECTED_NETWORK = "torchvision's VGG16, such as vgg16-397923af.pth"
_EXPECTED_HEADS = "lpips/weights/v0.1/vgg.pth of richzhang/PerceptualSimilarity"


@dataclass(frozen=True)
class LpipsOptions(Checked):
    """What the catalog says beside the file of VGG16.

    Attributes:
        heads: Local path of the channels' weights.
    """

    heads: str


class VggFeatures(nn.Module):
    """The convolutions of VGG16, under torchvision's names."""

    def __init__(self) -> None:
        """Build with random weights."""
        super().__init__()
        convolutions, channels_in = {}, 3
        for numbers, channels in _PARTS:
            for number in numbers:
                convolutions[str(number)] = nn.Conv2d(channels_in, channels, 3, 1, 1)
                channels_in = channels
        self.features = nn.ModuleDict(convolutions)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the last features of each of the five parts, [n, channels, h, w].

        Args:
            image: [n, 3, h, w], of 16 pixels a side or more.
        """
        x = image
        found: list[Tensor] = []
        for numbers, _ in _PARTS:
            if found:
                x = functional.max_pool2d(x, 2)
            for number in numbers:
                x = functional.relu(self.features[str(number)](x))
            found.append(x)
        return found


class Lpips:
    """LPIPS behind the `PerceptualLoss` protocol; gradients flow to the images."""

    def __init__(
        self, network: VggFeatures, weights: list[Tensor], identity: Identity
    ) -> None:
        """Wrap a network.

        Args:
            network: With its weights.
            weights: Of the channels of each part, [channels], none below 0.
            identity: Of both.
        """
        self.network = network.eval().requires_grad_(False)
        self.weights = weights
        self.identity = identity

    def features(self, image: Tensor) -> Tensor:
        """Return features, [n, num_features], of images [n, 3, h, w] in [-1, 1]."""
        shift, scale = (image.new_tensor(x)[:, None, None] for x in (_SHIFT, _SCALE))
        parts = []
        for x, weight in zip(
            self.network((image - shift) / scale), self.weights, strict=True
        ):
            unit = x / (positive_length(x) + _EPSILON)
            share = (weight.to(x) / (x.shape[2] * x.shape[3])).sqrt()
            parts.append((share[:, None, None] * unit).flatten(1))
        return torch.cat(parts, dim=1)

    def to(self, device: str) -> "Lpips":
        """Move to a device and return self."""
        self.network.to(device)
        self.weights = [weight.to(device) for weight in self.weights]
        return self


def positive_length(x: Tensor) -> Tensor:
    """Return the length of each position's features, [n, 1, h, w].

    Where all features are 0 so is it, and its gradient, which a root would make NaN.
    """
    square = x.square().sum(dim=1, keepdim=True)
    is_zero = square == 0
    return torch.where(is_zero, 0.0, square.masked_fill(is_zero, 1).sqrt())


def load_lpips(path: Path | None, options: Mapping[str, Any]) -> Lpips:
    """Return LPIPS of the files of VGG16 and of the channels' weights.

    Args:
        path: State dict of VGG16; its classifier is not read.
        options: Fields of `LpipsOptions`.

    Raises:
        MissingError: If one of the files is not there.
        InputError: If a file is not of its format, or an option is wrong.
    """
    heads = Path(read_settings(LpipsOptions, dict(options)).heads)
    for file, expected in ((path, _EXPECTED_NETWORK), (heads, _EXPECTED_HEADS)):
        if file is None or not file.is_file():
            msg = f"{expected} is expected at {file}, where there is no file. Put it."
            raise MissingError(msg)
    assert path is not None
    tensors, _ = read_state_dict(path, prefix="features.", expected=_EXPECTED_NETWORK)
    network = fit_network(
        VggFeatures, tensors, path, "VGG16", mend=f"Give {_EXPECTED_NETWORK}."
    )
    weights = _read_heads(heads)
    parts = hash_file(path) + hash_file(heads)
    digest = hashlib.sha256(parts.encode()).hexdigest()
    return Lpips(network, weights, Identity("lpips/vgg", digest))


def _read_heads(path: Path) -> list[Tensor]:
    """Return the weight of each channel, a part after another, [channels] each."""
    tensors, _ = read_state_dict(path, expected=_EXPECTED_HEADS)
    names = {f"lin{part}.model.1.weight": n for part, (_, n) in enumerate(_PARTS)}
    for name, channels in names.items():
        found = tensors.get(name)
        shape = None if found is None else list(found.shape)
        if shape != [1, channels, 1, 1]:
            msg = (
                f"{path} must hold {name} of shape [1, {channels}, 1, 1], got {shape}. "
                f"Give {_EXPECTED_HEADS}."
            )
            raise InputError(msg)
        if not bool((tensors[name] >= 0).all()):
            msg = (
                f"{name} in {path} must have no number below 0, since a distance has "
                f"none. Give {_EXPECTED_HEADS}."
            )
            raise InputError(msg)
    return [tensors[name].flatten() for name in names]
