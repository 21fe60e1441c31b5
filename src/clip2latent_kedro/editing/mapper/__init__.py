"""StyleCLIP's latent mapper: its networks, training, files, and the edit."""

from clip2latent_kedro.editing.mapper.config import MapperConfig
from clip2latent_kedro.editing.mapper.files import export_mapper, load_mapper
from clip2latent_kedro.editing.mapper.mapper import StyleMapper
from clip2latent_kedro.editing.mapper.method import MapperEdit
from clip2latent_kedro.editing.mapper.teachers import MapperTeachers
from clip2latent_kedro.editing.mapper.training import train_mapper, train_mappers

__all__ = [
    "MapperConfig",
    "MapperEdit",
    "MapperTeachers",
    "StyleMapper",
    "export_mapper",
    "load_mapper",
    "train_mapper",
    "train_mappers",
]
