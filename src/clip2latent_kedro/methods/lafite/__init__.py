"""LAFITE without texts (Zhou et al. 2021, arXiv 2111.13792), from images alone.

A GAN whose generator sees the embedding of an image, disturbed until it lies as far
from it as a text of it would; when it is trained it is given those of texts.
"""

from clip2latent_kedro.methods.lafite.config import LafiteTrainingConfig
from clip2latent_kedro.methods.lafite.method import sample_lafite
from clip2latent_kedro.methods.lafite.training import export_lafite, train_lafite

__all__ = [
    "LafiteTrainingConfig",
    "export_lafite",
    "sample_lafite",
    "train_lafite",
]
