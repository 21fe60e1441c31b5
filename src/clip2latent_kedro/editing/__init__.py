"""Ways of changing a picture after it was sampled, one file or folder each.

A way is its settings, its preparation for a target, and how it is applied at a strength
(see `edit`).
"""

from clip2latent_kedro.editing.edit import EditMethod, EditTarget, Source
from clip2latent_kedro.editing.mapper.method import MapperEdit

EDIT_METHODS: dict[str, type[EditMethod]] = {
    "mapper": MapperEdit,
}

__all__ = ["EDIT_METHODS", "EditMethod", "EditTarget", "Source"]
