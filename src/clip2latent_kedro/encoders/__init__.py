"""Networks that read pictures: encoders and perceptual losses, by kind."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clip2latent_kedro.encoders.arcface import load_arcface
from clip2latent_kedro.encoders.compact_clip import load_compact_clip
from clip2latent_kedro.encoders.dlib_identity import load_dlib_identity
from clip2latent_kedro.encoders.lpips import load_lpips
from clip2latent_kedro.encoders.open_clip import load_open_clip
from clip2latent_kedro.encoders.open_clip_weights import weights_addresses
from clip2latent_kedro.encoders.pixels import load_pixels
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.registry import Loader, find_loader

ENCODERS: dict[str, Loader] = {
    "open_clip": load_open_clip,
    "compact_clip": load_compact_clip,
    "arcface": load_arcface,
    "dlib_identity": load_dlib_identity,
}
PERCEPTUAL_LOSSES: dict[str, Loader] = {"lpips": load_lpips, "pixels": load_pixels}


def load_encoder(kind: str, path: Path | None, options: Mapping[str, Any]) -> Encoder:
    """Return an encoder of a built-in kind or one that a package brings.

    Raises:
        InputError: If the kind, the file or an option cannot be used.
    """
    loader = find_loader("clip2latent_kedro.encoders", kind, ENCODERS)
    encoder: Encoder = loader(path, options)
    return encoder


def encoder_addresses(kind: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where the weights of an encoder are that is given without a file.

    Args:
        kind: As in `load_encoder`.
        options: As in `load_encoder`.

    Returns:
        Addresses of the same weights, the best first; none if only the kind knows.
    """
    return weights_addresses(options) if kind == "open_clip" else ()
