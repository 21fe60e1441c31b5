"""Ways of changing a picture after it was sampled, one file or folder each.

A way is its settings, its preparation for a target, and how it is applied at a strength
(see `edit`).
"""

from clip2latent_kedro.editing.clip2gan_edit import Clip2GanEdit
from clip2latent_kedro.editing.directions.method import DirectionEdit, TransportEdit
from clip2latent_kedro.editing.edit import EditMethod, EditTarget, Source
from clip2latent_kedro.editing.global_directions.method import GlobalDirections
from clip2latent_kedro.editing.mapper.method import MapperEdit
from clip2latent_kedro.editing.mixing import StyleMixing
from clip2latent_kedro.editing.optimisation import LatentOptimisation
from clip2latent_kedro.editing.prior_edit import PriorEdit

EDIT_METHODS: dict[str, type[EditMethod]] = {
    "style_mixing": StyleMixing,
    "direction": DirectionEdit,
    "transport": TransportEdit,
    "latent_optimisation": LatentOptimisation,
    "mapper": MapperEdit,
    "global_directions": GlobalDirections,
    "clip2gan": Clip2GanEdit,
    "prior": PriorEdit,
}

__all__ = ["EDIT_METHODS", "EditMethod", "EditTarget", "Source"]
