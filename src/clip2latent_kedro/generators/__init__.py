"""Image generators behind one protocol, by name."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.adapters import load_stylegan
from clip2latent_kedro.generators.biggan import load_biggan
from clip2latent_kedro.generators.decoders import load_dcgan, load_vae
from clip2latent_kedro.generators.text_adapter import load_lafite
from clip2latent_kedro.interfaces import Generator, NoiseMode, StyledGenerator
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.registry import Loader, find_loader

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


def synthesise_latents(
    generator: Generator, latents: Latents, *, noise_mode: NoiseMode = "const"
) -> Tensor:
    """Return images, [n, 3, resolution, resolution] in [-1, 1].

    Args:
        generator: On the device of the latents.
        latents: Of n images.
        noise_mode: Of the synthesis.

    Raises:
        InputError: If styles are moved and the generator has none.
    """
    if latents.style_offset is None:
        return generator.synthesis(latents.w, noise_mode=noise_mode)
    if not isinstance(generator, StyledGenerator):
        msg = (
            f"An edit in the space S needs a StyleGAN2 or StyleGAN3, got "
            f"{generator.identity}. Edit in w instead."
        )
        raise InputError(msg)
    styles = generator.styles(latents.w) + latents.style_offset
    return generator.synthesis_from_styles(styles, noise_mode=noise_mode)
