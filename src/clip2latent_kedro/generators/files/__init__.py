"""Files of other programs' generators, read safely and converted."""

from clip2latent_kedro.generators.files.architecture import StyleGANWeights
from clip2latent_kedro.generators.files.conversion import (
    cached_stylegan,
    convert_stylegan,
    read_stylegan_file,
)

__all__ = [
    "StyleGANWeights",
    "cached_stylegan",
    "convert_stylegan",
    "read_stylegan_file",
]
