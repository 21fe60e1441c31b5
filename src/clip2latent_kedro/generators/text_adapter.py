"""A generator that draws texts in one pass, without a prior: LAFITE's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.adapters import (
    ClassMapping,
    ConvertedOptions,
    converted_file,
    open_network,
)
from clip2latent_kedro.generators.lafite import Lafite
from clip2latent_kedro.interfaces import Identity, NoiseMode
from clip2latent_kedro.provenance import read_training_seconds


class TextGenerator(ClassMapping):
    """A LAFITE network, frozen: z and the embedding of a text -> image.

    It is no `Generator`: without a text there is no image.
    """

    def __init__(
        self, network: Lafite, identity: Identity, class_label: int | None = None
    ) -> None:
        """Wrap a network with its weights loaded; see `ClassMapping`."""
        super().__init__(network, identity, class_label)
        self.text_dim = network.config.text_dim
        self.training_seconds = network.config.training_seconds
        self.training_images = network.config.training_images

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
            noise_mode: Which noise is added (see `Generator.synthesis`).

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
        w, text = self.mapping(z, psi=psi), F.normalize(text_embedding, dim=1)
        image: Tensor = self.network.synthesise(w, text, noise_mode)
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


def load_lafite(path: Path | None, options: Mapping[str, Any]) -> TextGenerator:
    """Return the LAFITE generator in a file, a published snapshot or our own.

    Args:
        path: The file; a snapshot is converted once, as by `load_stylegan`.
        options: The fields of `ConvertedOptions`.

    Raises:
        InputError: If the file is missing or refused, or an option does not suit it.
    """
    choice = read_settings(ConvertedOptions, options, "options")
    network, identity = open_network(converted_file(path, options), "lafite")
    assert isinstance(network, Lafite)
    model = TextGenerator(network, identity, choice.class_label)
    if path is not None and model.training_seconds is None:
        model.training_seconds = read_training_seconds(path)
    return model
