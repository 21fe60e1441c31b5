"""A generator that draws texts in one pass, without a prior: LAFITE's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.adapters import (
    converted_file,
    one_hot_label,
    open_network,
)
from clip2latent_kedro.generators.lafite import Lafite
from clip2latent_kedro.interfaces import Identity, NoiseMode
from clip2latent_kedro.provenance import read_training_seconds


class TextGenerator:
    """A LAFITE network, frozen: z and the embedding of a text -> image.

    It is no `Generator`: without a text there is no image.
    """

    def __init__(
        self, network: Lafite, identity: Identity, class_label: int | None = None
    ) -> None:
        """Wrap a network with its weights loaded.

        Args:
            network: Of one or three colours.
            identity: Of the network.
            class_label: Which class a network with classes draws.

        Raises:
            InputError: If the network has no such class.
        """
        self.network = network.eval().requires_grad_(False)
        self.identity = identity
        self.z_dim = network.config.z_dim
        self.text_dim = network.config.text_dim
        self.resolution = network.config.resolution
        self.training_seconds = network.config.training_seconds
        self.training_images = network.config.training_images
        self._label: Tensor | None = None
        if network.config.c_dim:
            self._label = one_hot_label(class_label, network.config.c_dim)
        elif class_label is not None:
            msg = (
                f"class_label must be left out for a generator without classes, got "
                f"{class_label!r}."
            )
            raise InputError(msg)

    def sample(
        self,
        z: Tensor,
        text_embedding: Tensor,
        *,
        psi: float = 1.0,
        noise_mode: NoiseMode = "const",
    ) -> Tensor:
        """Return images, [n, 3, resolution, resolution], about [-1, 1].

        Args:
            z: [n, z_dim].
            text_embedding: CLIP's, of any length, [n, text_dim].
            psi: Truncation of w.
            noise_mode: See `Generator.synthesis`.

        Raises:
            InputError: If the embedding is of another size than the network's.
        """
        if text_embedding.shape != (len(z), self.text_dim):
            msg = (
                f"text_embedding must have shape [{len(z)}, {self.text_dim}] for "
                f"{self.identity}, got {list(text_embedding.shape)}. Use the encoder "
                f"that it was trained with."
            )
            raise InputError(msg)
        label = None if self._label is None else self._label.to(z).expand(len(z), -1)
        w = self.network.mapping(z, psi, c=label)
        image = self.network.draw(w, F.normalize(text_embedding, dim=1), noise_mode)
        return image.expand(-1, 3, -1, -1)

    def check_encoder(self, identity: Identity) -> None:
        """Raise InputError if the generator is known to want another's texts."""
        expected = self.network.config.text_encoder
        if expected not in (None, f"{identity.name}@{identity.digest}"):
            msg = (
                f"{self.identity} must be given texts by the encoder {expected}, got "
                f"{identity}. Train it again with this encoder, or use its own."
            )
            raise InputError(msg)

    def to(self, device: str) -> "TextGenerator":
        """Move to a device and return self."""
        self.network.to(device)
        return self


def load_lafite(path: Path | None, options: Mapping[str, Any]) -> TextGenerator:
    """Return the LAFITE generator in a file, a published snapshot or our own.

    Args:
        path: The file; a snapshot is converted once, as by `load_stylegan`.
        options: `class_label` and `cache_folder`, as for `load_stylegan`.

    Raises:
        InputError: If the file is missing or refused, or an option does not suit it.
    """
    unknown = sorted(options.keys() - {"class_label", "cache_folder"})
    if unknown:
        msg = f"A lafite has no options {unknown}. Remove them."
        raise InputError(msg)
    network, identity = open_network(converted_file(path, options), "lafite")
    assert isinstance(network, Lafite)
    model = TextGenerator(network, identity, options.get("class_label"))
    if path is not None and model.training_seconds is None:
        model.training_seconds = read_training_seconds(path)
    return model
