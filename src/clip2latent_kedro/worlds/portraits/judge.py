"""A classifier of the attributes, trained on renders only.

It sees noise, blur, shifts and changed colours while it learns, so that it reads
what a picture shows and does not depend on a renderer's exact pixels. It shares
nothing with the CLIP model and the generator that it judges.

What its heads read is also an encoder that knows no text: the method asks of an encoder
no more than that its embeddings say what is in a picture. A prior on them draws
variations of a given picture that keep its attributes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge, MultipleOf
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.checked import Checked, PositiveFloat, PositiveInt
from clip2latent_kedro.encoders.pictures_only import refuse_texts
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.reading import (
    MISSHAPEN,
    load_network,
    parse_json,
    read_settings,
    read_weights,
)
from clip2latent_kedro.runtime import make_generator, seeded_weights
from clip2latent_kedro.training import Task, TrainingState
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTES,
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.renderer import render
from clip2latent_kedro.worlds.training import regression_task

_GROUPS = 8  # of channels, normalised together
_NUM_MEASURED = 1024  # portraits that the features' mean is measured on
_AT_ONCE = 256
_TEMPERATURES = [round(1.05**power, 4) for power in range(-40, 41)]  # 0.14 to 7.04


@dataclass(frozen=True)
class JudgeConfig(Checked):
    """Size and training of the judge.

    Attributes:
        width: Channels of the first stage; the next two have 2 and 4 times as many.
        steps: Training steps.
        batch_size: Renders a step.
        lr: Peak learning rate of AdamW.
        save_every: Steps between two saved states.
    """

    width: Annotated[int, Ge(1), MultipleOf(_GROUPS)]
    steps: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    save_every: PositiveInt


class JudgeNetwork(nn.Module):
    """Convolutions at 32, 16 and 8 pixels, and one linear head for each attribute."""

    def __init__(self, width: int) -> None:
        """Build with random weights."""
        super().__init__()

        def stage(channels_in: int, channels_out: int) -> list[nn.Module]:
            return [
                nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1),
                nn.GroupNorm(_GROUPS, channels_out),
                nn.SiLU(),
                nn.Conv2d(channels_out, channels_out, 3, padding=1),
                nn.GroupNorm(_GROUPS, channels_out),
                nn.SiLU(),
            ]

        self.features = nn.Sequential(
            *stage(3, width), *stage(width, 2 * width), *stage(2 * width, 4 * width)
        )
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.hidden = nn.Linear(4 * width * 16, 256)
        self.heads = nn.Linear(256, sum(len(values) for values in ATTRIBUTES.values()))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return logits [n, num_values] for each attribute of images [n, 3, h, w]."""
        logits = self.heads(self.penultimate(image))
        return list(logits.split([len(v) for v in ATTRIBUTES.values()], dim=1))

    def penultimate(self, image: Tensor) -> Tensor:
        """Return what the heads read, [n, 256], of images [n, 3, h, w]."""
        features = self.pool(self.features(image)).flatten(1)
        return F.silu(self.hidden(features))


class AttributeJudge:
    """The trained judge behind the `Judge` protocol."""

    def __init__(self, network: JudgeNetwork, identity: Identity) -> None:
        """Wrap a trained network."""
        self.network = network.eval().requires_grad_(False)
        self.identity = identity
        self.attributes: Mapping[str, Sequence[str]] = ATTRIBUTES

    @torch.inference_mode()
    def classify(self, image: Tensor) -> Tensor:
        """Return value indices, [n, num_attributes], of images in [-1, 1]."""
        batches = [
            torch.stack([logits.argmax(1) for logits in self.network(batch)], dim=1)
            for batch in torch.split(image, _AT_ONCE)
        ]
        return torch.cat(batches)

    def visible(self, values: Tensor) -> Tensor:
        """Return which attributes can be seen, [n, num_attributes] bool."""
        return visible_mask(values)

    @torch.inference_mode()
    def probabilities(self, image: Tensor) -> list[Tensor]:
        """Return each attribute's probabilities, [n, num_values], of images.

        They are those of logits over a temperature (Guo et al. 2017, arXiv 1706.04599)
        that is measured on renders when it is first needed. It is one for all
        attributes: those that are hardly ever mistaken would by themselves be made
        blind to what lies between two values.
        """
        batches = [self.network(batch) for batch in torch.split(image, _AT_ONCE)]
        return [
            (torch.cat(logits) / self.temperature).softmax(1)
            for logits in zip(*batches, strict=True)
        ]

    @cached_property
    def temperature(self) -> float:
        """The one of least cross-entropy on drawn renders, of what can be seen."""
        device = next(self.network.parameters()).device
        z = sample_z(_NUM_MEASURED, make_generator(0, "judge_temperature"))
        labels = labels_of(z)
        target = labels.masked_fill(~visible_mask(labels), -100)
        with torch.inference_mode():
            batches = [
                self.network(render(rows).to(device))
                for rows in torch.split(z, _AT_ONCE)
            ]
        logits = [torch.cat(rows).cpu() for rows in zip(*batches, strict=True)]

        def cross_entropy(temperature: float) -> float:
            return sum(
                float(
                    F.cross_entropy(
                        rows / temperature, target[:, column], reduction="sum"
                    )
                )
                for column, rows in enumerate(logits)
            )

        return min(_TEMPERATURES, key=cross_entropy)

    def to(self, device: str) -> "AttributeJudge":
        """Move to a device and return self."""
        self.network.to(device)
        return self


def load_judge(path: Path | None, options: Mapping[str, Any]) -> AttributeJudge:
    """Return the judge stored in a safetensors file (see `export_judge`).

    Raises:
        InputError: If the file is missing or not of this format.
    """
    if path is None or not path.is_file():
        msg = f"The judge's weights are expected at {path}, where there is no file."
        raise InputError(msg)
    mend = "Make it again with kedro run --pipeline=portraits."
    tensors, metadata = read_weights(path, mend=mend)
    try:
        config = read_settings(JudgeConfig, parse_json(metadata["config"]))
        weights = {name: value.float() for name, value in tensors.items()}
        network = load_network(lambda: JudgeNetwork(config.width), weights)
    except MISSHAPEN as error:
        msg = (
            f"{path} must hold a judge as the portraits pipeline writes it, got "
            f"{str(error)[:300]!r}. {mend}"
        )
        raise InputError(msg) from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return AttributeJudge(network, Identity("portraits_judge", digest))


class AttributeFeatures:
    """The judge's last hidden layer, centred, behind the `Encoder` protocol.

    The mean over drawn portraits is taken away, as angles between features that all
    point one way would tell little; the rest has mean square length 1.
    """

    def __init__(self, judge: AttributeJudge) -> None:
        """Take the network of a judge."""
        self.network: JudgeNetwork = judge.network
        self.identity = Identity("judge_features", judge.identity.digest)
        self.embed_dim = self.network.heads.in_features

    @cached_property
    def _centre(self) -> tuple[Tensor, Tensor]:
        """Mean and length, measured on portraits that are the same each time.

        They take a while, and who loads the features does not always use them.
        """
        device = self.network.heads.weight.device
        with torch.no_grad():
            z = sample_z(_NUM_MEASURED, make_generator(0, "judge_features"))
            read = [
                self.network.penultimate(render(x).to(device))
                for x in torch.split(z, _AT_ONCE)
            ]
        features = torch.cat(read)
        mean = features.mean(dim=0)
        return mean, (features - mean).square().sum(dim=1).mean().sqrt()

    def encode_image(self, image: Tensor) -> Tensor:
        """Return features, [n, 256], of images [n, 3, h, w] in [-1, 1]."""
        features = [
            self.network.penultimate(rows) for rows in torch.split(image, _AT_ONCE)
        ]
        mean, length = (part.to(image.device) for part in self._centre)
        return (torch.cat(features) - mean) / length

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Raise `InputError`: there are no texts in this space."""
        refuse_texts("The encoder of attribute features", texts)

    def to(self, device: str) -> "AttributeFeatures":
        """Move to a device and return self."""
        self.network.to(device)
        return self


def load_judge_features(
    path: Path | None, options: Mapping[str, Any]
) -> AttributeFeatures:
    """Return the features of the judge in a file (see `load_judge`).

    Raises:
        InputError: If the file is missing or not of that format.
    """
    return AttributeFeatures(load_judge(path, options))


def export_judge(
    state: TrainingState, config: JudgeConfig
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return averaged weights in half precision and metadata, as `load_judge` reads."""
    weights = {name: value.half() for name, value in state.ema.items()}
    return weights, {"config": json.dumps(asdict(config), sort_keys=True)}


def judge_task(config: JudgeConfig, *, seed: int, device: str) -> Task:
    """Return the training of the judge on renders.

    Hidden attributes (see `visible_mask`) do not enter the loss.
    """
    with seeded_weights(seed):
        network = JudgeNetwork(config.width)
    network.to(device)

    def loss(step: int) -> Tensor:
        random = make_generator(seed, "judge", step)
        z = sample_z(config.batch_size, random)
        labels = labels_of(z)
        target = labels.masked_fill(~visible_mask(labels), -100).to(device)
        image = disturb(render(z), random).to(device)
        logits = network(image)
        losses = [
            F.cross_entropy(rows, target[:, column])
            for column, rows in enumerate(logits)
        ]
        return torch.stack(losses).sum()

    learnt = list(network.named_parameters())
    return regression_task(
        network,
        config,
        loss,
        rise=0.05,
        fall=0.7,
        ema_beta=0.995,
        lr_setting="portraits.judge.lr",
        parameter_groups=[{"params": learnt, "lr": config.lr}],
    )


def disturb(image: Tensor, random: torch.Generator) -> Tensor:
    """Return images with random blur, noise, shift, contrast and tint.

    Args:
        image: [n, 3, h, w] in [-1, 1].
        random: Its device is the images' device.
    """
    n = len(image)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=random, device=random.device)

    blurred = F.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
    image = torch.lerp(image, blurred, uniform(1, 1, 1) * (uniform(1, 1, 1) < 0.5))
    rows, columns = torch.randint(-2, 3, (2,), generator=random).tolist()
    image = image.roll((rows, columns), dims=(2, 3))
    image = image * (0.9 + 0.2 * uniform(1, 1, 1)) + 0.1 * (uniform(3, 1, 1) - 0.5)
    noise = torch.randn(image.shape, generator=random, device=random.device)
    return image + 0.12 * uniform(1, 1, 1) * noise
