"""Networks behind the `Generator` protocol, and what loads them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from clip2latent_kedro.checked import Checked, NonNegativeInt, read_settings
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.generators.files import cached_stylegan
from clip2latent_kedro.generators.lafite import Lafite
from clip2latent_kedro.generators.safetensors_files import (
    Network,
    find_kind,
    is_safetensors,
    read_network,
)
from clip2latent_kedro.generators.stylegan2 import StyleGAN2
from clip2latent_kedro.generators.stylegan3 import StyleGAN3
from clip2latent_kedro.generators.vae import LatentFlow
from clip2latent_kedro.interfaces import Identity, NoiseMode, StyleLayer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassOptions(Checked):
    """What a catalog entry may set of a generator with classes.

    Attributes:
        class_label: The one class to draw; None for no class.
    """

    class_label: NonNegativeInt | None = None


@dataclass(frozen=True)
class ConvertedOptions(ClassOptions):
    """What a catalog entry may set where another program's file is converted.

    Attributes:
        cache_folder: Of converted files; `converted` beside the file if None.
    """

    cache_folder: str | None = None


class FrozenNetwork:
    """A network that is not trained, and which it is."""

    def __init__(self, network: nn.Module, identity: Identity) -> None:
        """Wrap a network with its weights loaded."""
        self.network: Any = network.eval().requires_grad_(False)
        self.identity = identity

    def to(self, device: str) -> Self:
        """Move to a device and return self."""
        self.network.to(device)
        return self


class ClassMapping(FrozenNetwork):
    """StyleGAN's mapping network, for one class of those that it knows.

    One that was trained with class labels draws one class, or, with none given, what
    its mapping makes of a label of zeros: a class of its own that it has not seen.
    """

    def __init__(
        self, network: Network, identity: Identity, class_label: int | None = None
    ) -> None:
        """Wrap a network with its weights loaded.

        Args:
            network: Of one or three colours.
            identity: Of the network; the class is added to its name.
            class_label: Which class a conditional network draws.

        Raises:
            InputError: If the network has no such class, or other colours.
        """
        super().__init__(network, identity)
        config = network.config
        if config.img_channels not in (1, 3):
            msg = (
                f"A generator must draw pictures of 1 or 3 channels, got "
                f"{config.img_channels} from {identity}."
            )
            raise InputError(msg)
        self.z_dim = config.z_dim
        self.resolution = config.resolution
        self._label: Tensor | None = None  # [1, num_classes]
        if class_label is not None:
            check_class_label(class_label, config.c_dim)
            name = f"{identity.name}/class-{class_label}"
            self.identity = Identity(name, identity.digest)
        if config.c_dim:
            self._label = torch.zeros(1, config.c_dim)
            if class_label is None:
                logger.warning(
                    "The generator knows %d classes and draws none of them: no "
                    "class_label was given, so that its label is zero.",
                    config.c_dim,
                )
            else:
                self._label[0, class_label] = 1

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        """Return w, [n, num_ws, w_dim], of z, [n, z_dim], truncated by psi."""
        label = self._label
        if label is not None:
            label = label.to(z).expand(len(z), -1)
        w: Tensor = self.network.mapping(z, psi, c=label)
        return w


class StyleGANGenerator(ClassMapping):
    """A StyleGAN2 or StyleGAN3 network, frozen, as a `StyledGenerator`."""

    def __init__(
        self,
        network: StyleGAN2 | StyleGAN3,
        identity: Identity,
        class_label: int | None = None,
    ) -> None:
        """Wrap a network with its weights loaded; see `ClassMapping`."""
        super().__init__(network, identity, class_label)
        self.w_dim = network.config.w_dim
        self.num_ws = network.config.num_ws
        self.style_layers: Sequence[StyleLayer] = network.synthesis.style_layers

    @property
    def w_avg(self) -> Tensor:
        """Mean of w over all classes, [w_dim]."""
        mean: Tensor = self.network.mapping.w_avg
        return mean

    def synthesis(self, w: Tensor, *, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images, [n, 3, resolution, resolution], of w [n, num_ws, w_dim]."""
        return self.synthesis_from_styles(self.styles(w), noise_mode=noise_mode)

    def styles(self, w: Tensor) -> Tensor:
        """Return S, [n, num_channels], of w [n, num_ws, w_dim]."""
        styles: Tensor = self.network.synthesis.styles(w)
        return styles

    def synthesis_from_styles(
        self, styles: Tensor, *, noise_mode: NoiseMode = "const"
    ) -> Tensor:
        """Return images, [n, 3, resolution, resolution], of S [n, num_channels]."""
        image: Tensor = self.network.synthesis.from_styles(styles, noise_mode)
        return image.expand(-1, 3, -1, -1)


class DecoderGenerator(FrozenNetwork):
    """Any decoder with no mapping network, frozen: w = z, or what a flow makes of z."""

    num_ws = 1

    def __init__(
        self,
        decoder: nn.Module,
        *,
        z_dim: int,
        resolution: int,
        identity: Identity,
        flow: LatentFlow | None = None,
    ) -> None:
        """Wrap a module that turns w into images.

        Args:
            decoder: From [n, z_dim] to images of one or three colours in [-1, 1].
            z_dim: Channels of z and of w.
            resolution: Pixels a side of the images.
            identity: Identity of the weights.
            flow: From z to w; None for w = z.
        """
        super().__init__(decoder, identity)
        self.flow = None if flow is None else flow.eval().requires_grad_(False)
        self.z_dim = self.w_dim = z_dim
        self.resolution = resolution
        self.w_avg = torch.zeros(z_dim) if flow is None else flow.mean

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        """Return w, [n, 1, z_dim], of z, [n, z_dim], truncated by psi."""
        if self.flow is None:
            return psi * z[:, None]
        w = self.flow.transport(z)
        return torch.lerp(self.w_avg.expand_as(w), w, psi)[:, None]

    def synthesis(self, w: Tensor, *, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images of w, [n, 1, z_dim]; a decoder has no noise of its own."""
        image: Tensor = self.network(w[:, 0])
        return image.expand(-1, 3, -1, -1)

    def to(self, device: str) -> Self:
        """Move to a device and return self."""
        if self.flow is not None:
            self.flow.to(device)
        self.w_avg = self.w_avg.to(device)
        return super().to(device)


def load_stylegan(
    path: Path | None, options: Mapping[str, Any], *, kind: str | None = None
) -> StyleGANGenerator:
    """Return the StyleGAN2 or StyleGAN3 in a file.

    Args:
        path: Of this project's format (see `read_network`), or, if the kind is left
            open, of another program (see `generators.files.read_stylegan_file`), which
            is converted once, and the result read from then on.
        options: The fields of `ConvertedOptions`, or of `ClassOptions` for one kind.
        kind: Which network it must hold, `stylegan2` or `stylegan3`; either if None.

    Raises:
        InputError: If the file is missing or refused, or an option does not suit it.
    """
    known = ClassOptions if kind else ConvertedOptions
    choice = read_settings(known, options, "options")
    if kind is None:
        path = converted_file(path, options)
    network, identity = open_network(path, kind)
    if isinstance(network, Lafite):
        msg = (
            f"{path} must hold a generator that needs no text, got a LAFITE. Read it "
            f"as kind: lafite."
        )
        raise InputError(msg)
    return StyleGANGenerator(network, identity, choice.class_label)


def converted_file(path: Path | None, options: Mapping[str, Any]) -> Path | None:
    """Return the file itself if it is this project's, or what it is converted to.

    Args:
        path: A file of any known format, or none.
        options: Those of `load_stylegan`.

    Raises:
        InputError: If the file is refused, or the result cannot be stored.
    """
    if path is None or not path.is_file() or is_safetensors(path):
        return path
    folder = Path(options.get("cache_folder", path.parent / "converted"))
    try:
        converted = cached_stylegan(path, folder)
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
        InputError: Where `read_network` raises it.
    """
    network = read_network(path, kind)
    assert path is not None
    return network, Identity(find_kind(network), hash_file(path))


def check_class_label(class_label: object, num_classes: int) -> None:
    """Raise `InputError` unless a label is a whole number below `num_classes`."""
    if type(class_label) is not int or not 0 <= class_label < num_classes:
        expected = f"a whole number from 0 to {num_classes - 1}"
        expected = (
            expected if num_classes else "left out for a generator without classes"
        )
        raise InputError(f"class_label must be {expected}, got {class_label!r}.")
