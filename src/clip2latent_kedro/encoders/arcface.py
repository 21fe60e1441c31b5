"""ArcFace's IR-SE50, which tells faces apart, behind the `Encoder` protocol.

Its weights are `model_ir_se50.pth` of TreB1eN/InsightFace_Pytorch (Deng et al. 2019,
arXiv 1801.07698), in the layout in which pSp and StyleCLIP load them; the squares of
the picture that it sees are theirs too. It knows no text.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.reading.state_dicts import fit_network, read_state_dict

_STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))  # channels, blocks
_REDUCTION = 16  # of the channels that a block's attention passes through
_EMBED_DIM = 512
_CROPPED_FROM = 256  # pixels a side of the picture that the face is cut out of
_ROWS, _COLUMNS = slice(35, 223), slice(32, 220)
_SIDE = 112  # pixels a side of what the network reads
_AT_ONCE = 64
_EXPECTED = "model_ir_se50.pth, as pSp and StyleCLIP load it"


class ChannelAttention(nn.Module):
    """Squeeze and excitation: each channel times a number in (0, 1)."""

    def __init__(self, channels: int) -> None:
        """Build with random weights."""
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // _REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // _REDUCTION, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels, h, w] of the same."""
        hidden = functional.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True)))
        gate: Tensor = self.fc2(hidden).sigmoid()
        return x * gate


class Block(nn.Module):
    """One residual block."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        """Build with random weights."""
        super().__init__()
        self.stride = stride
        self.shortcut_layer: nn.Module | None = None
        if channels_in != channels:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False),
                nn.BatchNorm2d(channels),
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels, 3, padding=1, bias=False),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            ChannelAttention(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels, h / stride, w / stride] of [n, channels_in, h, w]."""
        beside = x[..., :: self.stride, :: self.stride]
        if self.shortcut_layer is not None:
            beside = self.shortcut_layer(x)
        found: Tensor = beside + self.res_layer(x)
        return found


class IrSe50(nn.Module):
    """The network, under the names of its published weights."""

    def __init__(self) -> None:
        """Build with random weights."""
        super().__init__()
        first = _STAGES[0][0]
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.PReLU(first),
        )
        blocks, channels_in = [], first
        for channels, num_blocks in _STAGES:
            for number in range(num_blocks):
                blocks.append(Block(channels_in, channels, 1 if number else 2))
                channels_in = channels
        self.body = nn.Sequential(*blocks)
        side = _SIDE // 2 ** len(_STAGES)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Dropout(),  # has no weights, and does nothing here
            nn.Flatten(),
            nn.Linear(channels_in * side**2, _EMBED_DIM),
            nn.BatchNorm1d(_EMBED_DIM),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return embeddings, [n, 512], of faces [n, 3, 112, 112] in [-1, 1]."""
        found: Tensor = self.output_layer(self.body(self.input_layer(image)))
        return found


class ArcFace:
    """IR-SE50 as an `Encoder` of pictures; gradients flow to the images."""

    embed_dim = _EMBED_DIM

    def __init__(self, network: IrSe50, identity: Identity) -> None:
        """Wrap a network with its weights."""
        self.network = network.eval().requires_grad_(False)
        self.identity = identity

    def encode_image(self, image: Tensor) -> Tensor:
        """Return embeddings, [n, 512], of images [n, 3, h, w] in [-1, 1].

        Args:
            image: Aligned as FFHQ is, so that the face is where it is looked for.
        """
        found = [self.network(crop_face(x)) for x in torch.split(image, _AT_ONCE)]
        return torch.cat(found) if found else image.new_zeros(0, _EMBED_DIM)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Raise `InputError`: there are no texts in this space."""
        msg = (
            f"ArcFace takes pictures and no text, got {list(texts)[:1]}. Give the path "
            f"of a picture, such as face.png."
        )
        raise InputError(msg)

    def to(self, device: str) -> "ArcFace":
        """Move to a device and return self."""
        self.network.to(device)
        return self


def crop_face(image: Tensor) -> Tensor:
    """Return the face in aligned pictures, [n, 3, 112, 112], of [n, 3, h, w]."""
    if image.shape[-2:] != (_CROPPED_FROM, _CROPPED_FROM):
        image = functional.adaptive_avg_pool2d(image, _CROPPED_FROM)
    return functional.adaptive_avg_pool2d(image[..., _ROWS, _COLUMNS], _SIDE)


def load_arcface(path: Path | None, options: Mapping[str, Any]) -> ArcFace:
    """Return the network in a file.

    Args:
        path: State dict, as torch.save or safetensors store it.
        options: There are none.

    Raises:
        MissingError: If there is no file.
        InputError: If it is not of this format, or there are options.
    """
    if options:
        msg = f"arcface takes no options, got {sorted(options)}. Remove them."
        raise InputError(msg)
    if path is None or not path.is_file():
        msg = f"{_EXPECTED}, is expected at {path}, where there is no file. Put it."
        raise MissingError(msg)
    tensors, _ = read_state_dict(path, expected=_EXPECTED)
    network = fit_network(IrSe50, tensors, path, "IR-SE50", mend=f"Give {_EXPECTED}.")
    return ArcFace(network, Identity("arcface/ir_se50", hash_file(path)))
