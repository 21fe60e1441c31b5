"""A user's own prompts -> pictures, and edits of them (`edits`)."""

from clip2latent_kedro.inference.config import InferenceConfig, read_prompts
from clip2latent_kedro.inference.pictures import (
    LabelledPicture,
    PictureReaders,
    find_problems,
    generate_pictures,
    read_query,
)
from clip2latent_kedro.inference.records import (
    CHANGE,
    PictureRecord,
    describe_pictures,
    name_pictures,
    unchanged,
)

__all__ = [
    "CHANGE",
    "InferenceConfig",
    "LabelledPicture",
    "PictureReaders",
    "PictureRecord",
    "describe_pictures",
    "find_problems",
    "generate_pictures",
    "name_pictures",
    "read_prompts",
    "read_query",
    "unchanged",
]
