"""Attribute features as the condition: the judge as an encoder that knows no text.

The method asks of an encoder no more than that its embeddings say what is in a picture.
Here they are what the judge's heads read. A prior on them draws variations of a given
picture that keep its attributes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.worlds.portraits.attributes import sample_z
from clip2latent_kedro.worlds.portraits.judge import (
    AttributeJudge,
    JudgeNetwork,
    load_judge,
)
from clip2latent_kedro.worlds.portraits.renderer import render

_NUM_MEASURED = 1024
_AT_ONCE = 256


class AttributeFeatures:
    """The judge's last hidden layer, centred, behind the `Encoder` protocol.

    The mean over drawn portraits is taken away, as angles between features that all
    point one way would tell little; the rest has mean square length 1.
    """

    def __init__(self, judge: AttributeJudge) -> None:
        """Measure mean and length on portraits that are the same each time."""
        self.network: JudgeNetwork = judge.network
        self.identity = Identity("judge_features", judge.identity.digest)
        self.embed_dim = self.network.heads.in_features
        with torch.inference_mode():
            z = sample_z(_NUM_MEASURED, make_generator(0, "judge_features"))
            features = torch.cat(
                [
                    self.network.penultimate(render(rows))
                    for rows in torch.split(z, _AT_ONCE)
                ]
            )
        self._mean = features.mean(dim=0)
        self._length = (features - self._mean).square().sum(dim=1).mean().sqrt()

    @torch.no_grad()
    def encode_image(self, image: Tensor) -> Tensor:
        """Return features, [n, 256], of images [n, 3, h, w] in [-1, 1]."""
        features = [
            self.network.penultimate(rows) for rows in torch.split(image, _AT_ONCE)
        ]
        return (torch.cat(features) - self._mean) / self._length

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Raise `InputError`: there are no texts in this space."""
        msg = (
            f"Attribute features take pictures as prompts and no text, got "
            f"{texts[0]!r}. Give the path of a picture, such as face.png."
        )
        raise InputError(msg)

    def to(self, device: str) -> "AttributeFeatures":
        """Move to a device and return self."""
        self.network.to(device)
        self._mean, self._length = self._mean.to(device), self._length.to(device)
        return self


def load_judge_features(
    path: Path | None, options: Mapping[str, Any]
) -> AttributeFeatures:
    """Return the features of the judge in a file (see `load_judge`).

    Raises:
        InputError: If the file is missing or not of that format.
    """
    return AttributeFeatures(load_judge(path, options))
