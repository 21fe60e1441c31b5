"""How alike the judge finds two portraits, by what its convolutions see where.

LPIPS's form with all channels alike, on the network that reads portraits: VGG16 has
been trained on photographs, and its weights are not a part of this project.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.worlds.portraits.judge import AttributeJudge, load_judge

_EPSILON = 1e-10  # added to the square of the length of a position's features


class JudgePerception:
    """The judge's convolutions behind the `PerceptualLoss` protocol.

    With f_l the features after stage l of three, each position divided by its length,
    d(x, y) = mean_l mean_{h,w} |f_l(x) - f_l(y)|^2, from 0 to 4.
    """

    def __init__(self, judge: AttributeJudge) -> None:
        """Look with the convolutions of a judge."""
        self.network: Any = judge.network
        self.identity = Identity("judge_perception", judge.identity.digest)

    def features(self, image: Tensor) -> Tensor:
        """Return features, [n, num_features], of images [n, 3, h, w] in [-1, 1]."""
        layers = list(self.network.features)
        num_each = len(layers) // 3
        x, parts = image, []
        for number, layer in enumerate(layers, start=1):
            x = layer(x)
            if number % num_each == 0:
                length = (x.square().sum(dim=1, keepdim=True) + _EPSILON).sqrt()
                num_positions = x.shape[2] * x.shape[3]
                parts.append((x / length / (3 * num_positions) ** 0.5).flatten(1))
        return torch.cat(parts, dim=1)

    def to(self, device: str) -> "JudgePerception":
        """Move to a device and return self."""
        self.network.to(device)
        return self


def load_judge_perception(
    path: Path | None, options: Mapping[str, Any]
) -> JudgePerception:
    """Return what the judge in a file sees (see `load_judge`).

    Raises:
        InputError: If the file is missing or not of that format.
    """
    return JudgePerception(load_judge(path, options))
