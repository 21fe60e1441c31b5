"""A whole text-to-image model as one folder, in Hugging Face's layout."""

from clip2latent_kedro.sharing.folder import (
    MODEL_FILE,
    load_models,
    read_folder,
    write_folder,
)
from clip2latent_kedro.sharing.model import (
    PREPROCESS,
    ModelReference,
    SharedModel,
    locate,
    read_reference,
)
from clip2latent_kedro.sharing.repository import find_folder, upload_folder

__all__ = [
    "MODEL_FILE",
    "PREPROCESS",
    "ModelReference",
    "SharedModel",
    "find_folder",
    "load_models",
    "locate",
    "read_folder",
    "read_reference",
    "upload_folder",
    "write_folder",
]
