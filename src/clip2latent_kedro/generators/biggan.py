"""BigGAN-deep as a `Generator`: w = (noise, embedding of a class).

Reads the state dict of pytorch-pretrained-BigGAN (128, 256 and 512 pixels), with its
spectral norms worked into the weights,

    weight = weight_orig / sigma,   sigma = u^T weight_orig v

and the batch norms' statistics, stored for truncations 0, 0.02, ..., 1, taken at one
truncation. So w is 256 numbers, and a class is a point in half of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from annotated_types import Interval
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.checked import Checked, NonNegativeInt, read_settings
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.generators.adapters import FrozenNetwork, check_class_label
from clip2latent_kedro.generators.biggan_layers import (
    BigGan,
    BigGanConfig,
    BlockConfig,
)
from clip2latent_kedro.interfaces import Identity, NoiseMode
from clip2latent_kedro.reading import MISSHAPEN, first_line, load_network, read_json
from clip2latent_kedro.reading.state_dicts import read_state_dict

_NOISE_LIMIT = 2.0  # BigGAN's noise is normal, cut off there
_EPS = 1e-4
_COLOURS = 3
_STATISTICS = {"running_means": "mean", "running_vars": "var"}


@dataclass(frozen=True)
class BigGanOptions(Checked):
    """What a catalog entry may set.

    Attributes:
        truncation: Of the noise, above 0, at most 1; the statistics are taken for it.
        class_label: The one class to draw; None for any.
        config: Path of the network's config.json, where it is not `config.json` or
            `...-config.json` beside the weights.
    """

    truncation: Annotated[float, Interval(gt=0, le=1)] = 1.0
    class_label: NonNegativeInt | None = None
    config: str | None = None


class BigGanGenerator(FrozenNetwork):
    """A BigGAN, frozen.

    z is [n, 128 + num_classes] standard normal numbers: noise, and a draw of the class,
    which is the largest of the others. Noise is folded into BigGAN's own, a normal that
    is cut off at 2, times the truncation. psi shrinks the noise alone.
    """

    num_ws = 1

    def __init__(
        self,
        network: BigGan,
        embeddings: Tensor,
        identity: Identity,
        options: BigGanOptions,
    ) -> None:
        """Wrap a network whose statistics are for the truncation of the options.

        Args:
            network: With its weights loaded.
            embeddings: Of the classes, [num_classes, z_dim].
            identity: Of the weights; truncation and class are added to its name.
            options: Those of `BigGanOptions`.

        Raises:
            InputError: If there is no such class.
        """
        config, label = network.config, options.class_label
        name = f"{identity.name}/truncation-{options.truncation:g}"
        if label is not None:
            check_class_label(label, config.num_classes)
            name = f"{name}/class-{label}"
        super().__init__(network, Identity(name, identity.digest))
        self.z_dim = config.z_dim + config.num_classes
        self.w_dim = 2 * config.z_dim
        self.resolution = config.resolution
        self._embeddings = embeddings
        self._truncation = options.truncation
        self._label = label

    @property
    def w_avg(self) -> Tensor:
        """No noise, and the mean of the embeddings that are drawn, [w_dim]."""
        drawn = self._embeddings
        if self._label is not None:
            drawn = drawn[[self._label]]
        return torch.cat([torch.zeros_like(drawn[0]), drawn.mean(dim=0)])

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        """Return w, [n, 1, w_dim], of z, [n, z_dim], its noise times psi."""
        noise_dim = self._embeddings.shape[1]
        noise = psi * self._truncation * truncated_normal(z[:, :noise_dim])
        classes = z[:, noise_dim:].argmax(dim=1)
        if self._label is not None:
            classes = torch.full_like(classes, self._label)
        return torch.cat([noise, self._embeddings[classes]], dim=1)[:, None]

    def synthesis(self, w: Tensor, *, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images of w, [n, 1, w_dim]; all noise is in w."""
        image: Tensor = self.network(w[:, 0])
        return image

    def to(self, device: str) -> Self:
        """Move to a device and return self."""
        self._embeddings = self._embeddings.to(device)
        return super().to(device)


def truncated_normal(z: Tensor) -> Tensor:
    """Return standard normal numbers folded into those cut off at 2, in their order.

    Phi(x) = Phi(-2) + Phi(z) (Phi(2) - Phi(-2)), with Phi the normal distribution.
    """
    low, high = torch.special.ndtr(z.new_tensor([-_NOISE_LIMIT, _NOISE_LIMIT]).double())
    probability = low + torch.special.ndtr(z.double()) * (high - low)
    folded: Tensor = torch.special.ndtri(probability).to(z)
    return folded


def load_biggan(path: Path | None, options: Mapping[str, Any]) -> BigGanGenerator:
    """Return the BigGAN-deep whose state dict is in a file.

    Args:
        path: `pytorch_model.bin` of pytorch-pretrained-BigGAN, or safetensors. Its
            config.json beside it is checked, and says where the network doubles the
            resolution; without one that is at every second block, as published.
        options: The fields of `BigGanOptions`.

    Raises:
        InputError: If the file is missing or refused, or an option does not suit it.
    """
    chosen = read_settings(BigGanOptions, options, "options")
    tensors, _ = read_state_dict(path)
    assert path is not None
    raw = _read_config(path, chosen)
    try:
        network, embeddings = build_biggan(tensors, raw, chosen.truncation)
    except KeyError as error:
        msg = (
            f"{path} must hold a BigGAN-deep as pytorch-pretrained-BigGAN stores it, "
            f"but it lacks {error}. Give its pytorch_model.bin."
        )
        raise InputError(msg) from error
    except MISSHAPEN as error:
        said = first_line(error)
        msg = f"{path} does not fit the BigGAN-deep that it seems to be: {said}."
        raise InputError(msg) from error
    identity = Identity(f"biggan-deep-{network.config.resolution}", hash_file(path))
    return BigGanGenerator(network, embeddings, identity, chosen)


def build_biggan(
    tensors: Mapping[str, Tensor], raw: Mapping[str, Any], truncation: float
) -> tuple[BigGan, Tensor]:
    """Return network and embeddings, [num_classes, z_dim], of a state dict.

    Args:
        tensors: Names as in pytorch-pretrained-BigGAN.
        raw: Its config.json; empty if there is none.
        truncation: Which statistics to take.

    Raises:
        KeyError: If a tensor is missing.
        ValueError: If one has another shape, or does not belong there, or if the
            config says something else than the tensors.
    """
    folded: dict[str, Tensor] = {}
    for name, value in tensors.items():
        owner, _, last = name.rpartition(".")
        if last == "weight_orig":
            v = tensors.get(f"{owner}.weight_v")
            folded[f"{owner}.weight"] = fold_norm(
                value, tensors[f"{owner}.weight_u"], v
            )
        elif last in _STATISTICS:
            prefix = "running_" if owner.endswith("generator.bn") else ""
            own = f"{owner}.{prefix}{_STATISTICS[last]}"
            folded[own] = at_truncation(value, truncation)
        elif last not in ("weight_u", "weight_v"):
            folded[name] = value
    embeddings = folded.pop("embeddings.weight").T.contiguous()
    state = {name.removeprefix("generator."): value for name, value in folded.items()}
    for name in ("conv_to_rgb.weight", "conv_to_rgb.bias"):
        state[name] = state[name][:_COLOURS]  # the others are never seen
    config = _config_of(state, embeddings, raw)
    state["bn.num_batches_tracked"] = torch.tensor(0)
    return load_network(lambda: BigGan(config), state), embeddings


def fold_norm(weight: Tensor, u: Tensor, v: Tensor | None) -> Tensor:
    """Return a weight over its spectral norm (Miyato et al. 2018).

    Args:
        weight: [channels_out, ...].
        u: Left singular vector, [channels_out].
        v: Right one; None to find it from u, as files of old versions need.
    """
    matrix = weight.flatten(1)
    if v is None:
        v = F.normalize(matrix.T @ u, dim=0)
    return weight / torch.dot(u, matrix @ v)


def at_truncation(statistics: Tensor, truncation: float) -> Tensor:
    """Return statistics, [channels], at a truncation, linear between those stored.

    pytorch-pretrained-BigGAN swaps the two weights between two stored ones, which makes
    a jump at each; at a stored one, such as 0.4, both agree.

    Args:
        statistics: At equal steps from 0 to 1, [num_statistics, channels].
        truncation: 0 to 1.
    """
    place = round(truncation * (len(statistics) - 1), 6)
    below = min(int(place), len(statistics) - 2)
    return torch.lerp(statistics[below], statistics[below + 1], place - below)


def _config_of(
    state: Mapping[str, Tensor], embeddings: Tensor, raw: Mapping[str, Any]
) -> BigGanConfig:
    """Return the sizes that the tensors tell, and the rest as published or told."""
    numbers = {int(m[1]) for name in state if (m := re.match(r"layers\.(\d+)\.", name))}
    is_block = {n: f"layers.{n}.conv_0.weight" in state for n in sorted(numbers)}
    places = [number for number, block in is_block.items() if block]
    others = [number for number, block in is_block.items() if not block]
    layers = raw.get("layers")
    if layers is not None and len(layers) != len(places):
        msg = f"its config has {len(layers)} blocks, the file {len(places)}"
        raise ValueError(msg)
    blocks = []
    for index, place in enumerate(places):
        middle, channels_in = state[f"layers.{place}.conv_0.weight"].shape[:2]
        channels_out = len(state[f"layers.{place}.conv_3.weight"])
        up = index % 2 == 1 if layers is None else bool(layers[index][0])
        blocks.append(BlockConfig(channels_in, channels_out, middle, up))
    num_classes, z_dim = embeddings.shape
    config = BigGanConfig(
        z_dim=z_dim,
        num_classes=num_classes,
        blocks=tuple(blocks),
        attention=others[0] if others else None,
        eps=float(raw.get("eps", _EPS)),
    )
    if raw.get("output_dim", config.resolution) != config.resolution:
        msg = (
            f"it draws {config.resolution} pixels, its config says {raw['output_dim']}"
        )
        raise ValueError(msg)
    return config


def _read_config(path: Path, options: BigGanOptions) -> dict[str, Any]:
    """Return config.json; an empty mapping if there is none and none is named."""
    beside = [
        path.with_name("config.json"),
        path.with_name(path.name.replace("pytorch_model.bin", "config.json")),
        path.with_name(f"{path.stem}-config.json"),
    ]
    if options.config is not None:
        beside = [Path(options.config)]
    found = next((file for file in beside if file.is_file() and file != path), None)
    if found is None and options.config is None:
        return {}
    try:
        config = read_json(found or beside[0])
        if not isinstance(config, dict):
            raise ValueError("no mapping")
    except (OSError, ValueError) as error:
        msg = f"{found or beside[0]} must be BigGAN's config.json, but {error}."
        raise InputError(msg) from error
    return config
