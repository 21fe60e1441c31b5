"""CLIP-like models behind the `Encoder` protocol, by kind."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clip2latent_kedro.encoders.compact_clip import load_compact_clip
from clip2latent_kedro.encoders.open_clip import load_open_clip
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.registry import Loader, find_loader

ENCODERS: dict[str, Loader] = {
    "open_clip": load_open_clip,
    "compact_clip": load_compact_clip,
}


def load_encoder(kind: str, path: Path | None, options: Mapping[str, Any]) -> Encoder:
    """Return an encoder of a built-in kind or one that a package brings.

    Raises:
        InputError: If the kind, the file or an option cannot be used.
    """
    loader = find_loader("clip2latent_kedro.encoders", kind, ENCODERS)
    encoder: Encoder = loader(path, options)
    return encoder
