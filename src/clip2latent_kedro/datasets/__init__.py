"""Catalog entries that kedro-datasets does not have.

Each is imported when a catalog asks for it (PEP 562), as those of kedro-datasets are:
a run loads the few kinds that it reads and writes, and what they need.
"""

from importlib import import_module
from typing import Any

_MODULES = {
    "ArrayFolderDataset": "folders",
    "CheckpointDataset": "priors",
    "FileCopyDataset": "files",
    "HTMLReportDataset": "files",
    "JsonFolderDataset": "folders",
    "MapperFolderDataset": "mappers",
    "ModelDataset": "models",
    "NothingDataset": "optional",
    "NpzDataset": "files",
    "PictureFolderDataset": "folders",
    "PicturesDataset": "files",
    "PretrainedFolderDataset": "pretrained",
    "PriorDataset": "priors",
    "PromptFileDataset": "prompts",
    "PromptTableDataset": "prompts",
    "PublishedDataset": "published",
    "ReportFolderDataset": "files",
    "ValidationPicturesDataset": "folders",
    "WeightsDataset": "files",
    "WeightsFolderDataset": "mappers",
    "ZarrPairsDataset": "zarr_pairs",
    "ZarrRelevanceDataset": "zarr_relevance",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """Return a dataset's class from its module."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
