"""Networks behind the `Generator` protocol, and what loads them."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files import cached_stylegan
from clip2latent_kedro.generators.lafite import Lafite
from clip2latent_kedro.generators.safetensors_files import (
    Network,
    is_safetensors,
    kind_of,
    read_network,
    stylegan2_weights,
)
from clip2latent_kedro.generators.stylegan2 import StyleGAN2
from clip2latent_kedro.generators.stylegan3 import StyleGAN3
from clip2latent_kedro.interfaces import Identity, NoiseMode

__all__ = [
    "DecoderGenerator",
    "StyleGANGenerator",
    "load_stylegan",
    "load_stylegan2",
    "load_stylegan3",
    "stylegan2_weights",
]

logger = logging.getLogger(__name__)


class StyleGANGenerator:
    """A StyleGAN2 or StyleGAN3 network, frozen, as a `Generator`.

    One that was trained with class labels draws one class, or, with none given, what
    its mapping makes of a label of zeros: a class of its own that it has not seen.
    """

    def __init__(
        self,
        network: StyleGAN2 | StyleGAN3,
        identity: Identity,
        class_label: int | None = None,
    ) -> None:
        """Wrap a network with its weights loaded.

        Args:
            network: Of one or three colours.
            identity: Of the network; the class is added to its name.
            class_label: Which class a conditional network draws.

        Raises:
            InputError: If the network has no such class, or other colours.
        """
        config = network.config
        if config.img_channels not in (1, 3):
            msg = (
                f"A generator must draw pictures of 1 or 3 channels, got "
                f"{config.img_channels} from {identity}."
            )
            raise InputError(msg)
        self.network = network.eval().requires_grad_(False)
        self.identity = identity
        self.z_dim = config.z_dim
        self.w_dim = config.w_dim
        self.num_ws = config.num_ws
        self.resolution = config.resolution
        self._label: Tensor | None = None
        if config.c_dim:
            self._label = one_hot_label(class_label, config.c_dim)
        elif class_label is not None:
            msg = (
                f"class_label must be left out for a generator without classes, got "
                f"{class_label!r}."
            )
            raise InputError(msg)
        if class_label is not None:
            name = f"{identity.name}/class-{class_label}"
            self.identity = Identity(name, identity.digest)

    @property
    def w_avg(self) -> Tensor:
        """Mean of w over all classes, [w_dim]."""
        return self.network.mapping.w_avg

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        """Return w, [n, num_ws, w_dim], of z, [n, z_dim], truncated by psi."""
        label = self._label
        if label is not None:
            label = label.to(z).expand(len(z), -1)
        w: Tensor = self.network.mapping(z, psi, c=label)
        return w

    def synthesis(self, w: Tensor, *, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images, [n, 3, resolution, resolution], of w [n, num_ws, w_dim]."""
        image: Tensor = self.network.synthesis(w, noise_mode)
        return image.expand(-1, 3, -1, -1)

    def to(self, device: str) -> "StyleGANGenerator":
        """Move to a device and return self."""
        self.network.to(device)
        return self


class DecoderGenerator:
    """Any decoder with no mapping network (a DCGAN, a VAE's decoder), with w = z."""

    def __init__(
        self, decoder: nn.Module, *, z_dim: int, resolution: int, identity: Identity
    ) -> None:
        """Wrap a module that turns z, [n, z_dim], into images in [-1, 1]."""
        self.decoder = decoder.eval().requires_grad_(False)
        self.identity = identity
        self.z_dim = z_dim
        self.w_dim = z_dim
        self.num_ws = 1
        self.resolution = resolution
        self.w_avg = torch.zeros(z_dim)

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        """Return w = psi * z, [n, 1, z_dim]."""
        return psi * z[:, None]

    def synthesis(self, w: Tensor, *, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images of w, [n, 1, z_dim]; a decoder has no noise of its own."""
        image: Tensor = self.decoder(w[:, 0])
        return image

    def to(self, device: str) -> "DecoderGenerator":
        """Move to a device and return self."""
        self.decoder.to(device)
        self.w_avg = self.w_avg.to(device)
        return self


def load_stylegan2(path: Path | None, options: Mapping[str, Any]) -> StyleGANGenerator:
    """Return the StyleGAN2 in a safetensors file with its architecture beside it.

    Args:
        path: The file; its metadata `config` holds `StyleGAN2Config` as JSON.
        options: `class_label` of a generator with classes (see `StyleGANGenerator`).

    Raises:
        InputError: If the file is missing, is not of this format, or does not fit
            the architecture that it names; or if an option does not suit it.
    """
    return _load(path, "stylegan2", options)


def load_stylegan3(path: Path | None, options: Mapping[str, Any]) -> StyleGANGenerator:
    """Return the StyleGAN3 in a safetensors file; otherwise as `load_stylegan2`.

    Args:
        path: The file; its metadata has `StyleGAN3Config` as JSON under `config`, and
            the `kind` stylegan3.
        options: See `load_stylegan2`.

    Raises:
        InputError: See `load_stylegan2`.
    """
    return _load(path, "stylegan3", options)


def load_stylegan(path: Path | None, options: Mapping[str, Any]) -> StyleGANGenerator:
    """Return the StyleGAN2 or StyleGAN3 in a file of any known format.

    A file of another program (see `generators.files.read_stylegan_file`) is converted
    once, and the result read from then on.

    Args:
        path: The file.
        options: `class_label` as for `load_stylegan2`; `cache_folder`, for converted
            files, `converted` beside the file if not given.

    Raises:
        InputError: If the file is missing or refused, or an option does not suit it.
    """
    others = {name: value for name, value in options.items() if name != "cache_folder"}
    return _load(converted_file(path, options), None, others)


def converted_file(path: Path | None, options: Mapping[str, Any]) -> Path | None:
    """Return the file itself if it is this project's, or what it is converted to.

    Args:
        path: A file of any known format, or none.
        options: See `load_stylegan`.

    Raises:
        InputError: If the file is refused, or the result cannot be stored.
    """
    if path is None or not path.is_file() or is_safetensors(path):
        return path
    folder = Path(options.get("cache_folder", path.parent / "converted"))
    try:
        converted = cached_stylegan(path, folder).path
    except OSError as error:
        msg = (
            f"{path} cannot be converted into {folder} ({error}). Give a cache_folder "
            f"that can be written in the generator's options."
        )
        raise InputError(msg) from error
    logger.info("Reading %s, converted.", converted)
    return converted


def open_network(path: Path | None, kind: str | None) -> tuple[Network, Identity]:
    """Return the network in a safetensors file, and which it is.

    Args:
        path: The file.
        kind: What it must hold; anything if None.

    Raises:
        InputError: See `read_network`.
    """
    network = read_network(path, kind)
    assert path is not None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return network, Identity(kind_of(network), digest)


def check_class_label(class_label: object, num_classes: int) -> None:
    """Raise `InputError` unless a label is a whole number below `num_classes`."""
    if type(class_label) is not int or not 0 <= class_label < num_classes:
        msg = (
            f"class_label must be a whole number from 0 to {num_classes - 1}, got "
            f"{class_label!r}."
        )
        raise InputError(msg)


def _load(
    path: Path | None, kind: str | None, options: Mapping[str, Any]
) -> StyleGANGenerator:
    unknown = sorted(options.keys() - {"class_label"})
    if unknown:
        msg = f"A {kind or 'stylegan'} has no options {unknown}. Remove them."
        raise InputError(msg)
    network, identity = open_network(path, kind)
    if isinstance(network, Lafite):
        msg = (
            f"{path} must hold a generator that needs no text, got a LAFITE. Read it "
            f"as kind: lafite."
        )
        raise InputError(msg)
    return StyleGANGenerator(network, identity, options.get("class_label"))


def one_hot_label(class_label: int | None, num_classes: int) -> Tensor:
    """Return the label of a class, [1, num_classes]; zeros if None."""
    if class_label is None:
        logger.warning(
            "The generator knows %d classes and draws none of them: no class_label "
            "was given, so that its label is zero.",
            num_classes,
        )
        return torch.zeros(1, num_classes)
    check_class_label(class_label, num_classes)
    return F.one_hot(torch.tensor([class_label]), num_classes).float()
