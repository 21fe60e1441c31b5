"""CLIP2GAN (arXiv 2211.15045): a mapping network from CLIP's embedding to a latent.

It learns from images alone, by reconstructing each from its own embedding; when it is
trained it is given the embeddings of texts. It gives one w for each.
"""

from clip2latent_kedro.methods.clip2gan.config import Clip2GanTrainingConfig
from clip2latent_kedro.methods.clip2gan.files import export_clip2gan, load_clip2gan
from clip2latent_kedro.methods.clip2gan.mapper import (
    BRIDGES,
    Bridge,
    Clip2Gan,
    map_to_w,
)
from clip2latent_kedro.methods.clip2gan.training import (
    tabulate_history,
    train_clip2gan,
)

__all__ = [
    "BRIDGES",
    "Bridge",
    "Clip2Gan",
    "Clip2GanTrainingConfig",
    "export_clip2gan",
    "load_clip2gan",
    "map_to_w",
    "tabulate_history",
    "train_clip2gan",
]
