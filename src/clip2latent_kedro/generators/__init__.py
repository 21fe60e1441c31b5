"""Image generators behind one protocol, by name."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from clip2latent_kedro.generators.adapters import load_stylegan
from clip2latent_kedro.generators.biggan import load_biggan
from clip2latent_kedro.generators.decoders import load_dcgan, load_vae
from clip2latent_kedro.generators.text_adapter import load_lafite
from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.latents import synthesise_latents
from clip2latent_kedro.registry import Loader, find_loader

__all__ = ["GENERATORS", "load_generator", "synthesise_latents"]

GENERATORS: dict[str, Loader] = {
    "lafite": load_lafite,
    "stylegan": load_stylegan,
    "stylegan2": partial(load_stylegan, kind="stylegan2"),
    "stylegan3": partial(load_stylegan, kind="stylegan3"),
    "biggan": load_biggan,
    "dcgan": load_dcgan,
    "vae": load_vae,
}


def load_generator(
    kind: str, path: Path | None = None, options: Mapping[str, Any] | None = None
) -> Generator:
    """Return a generator of a kind from a file.

    Args:
        kind: A name in `GENERATORS` or an entry point of the group
            `clip2latent_kedro.generators`.
        path: Where the weights are; None if the kind needs none.
        options: What else the kind's loader takes.

    Raises:
        InputError: If the kind is unknown or its file cannot be used.
    """
    loader = find_loader("clip2latent_kedro.generators", kind, GENERATORS)
    generator: Generator = loader(path, options or {})
    return generator
