"""Catalog entries that kedro-datasets does not have."""

from clip2latent_kedro.datasets.files import (
    FileCopyDataset,
    HTMLReportDataset,
    NpzDataset,
    PicturesDataset,
    ReportFolderDataset,
    WeightsDataset,
)
from clip2latent_kedro.datasets.folders import (
    ArrayFolderDataset,
    JsonFolderDataset,
    PictureFolderDataset,
    ValidationPicturesDataset,
)
from clip2latent_kedro.datasets.mappers import (
    MapperFolderDataset,
    WeightsFolderDataset,
)
from clip2latent_kedro.datasets.models import ModelDataset
from clip2latent_kedro.datasets.optional import NothingDataset
from clip2latent_kedro.datasets.pretrained import PretrainedFolderDataset
from clip2latent_kedro.datasets.priors import CheckpointDataset, PriorDataset
from clip2latent_kedro.datasets.prompts import PromptFileDataset, PromptTableDataset
from clip2latent_kedro.datasets.published import PublishedDataset
from clip2latent_kedro.datasets.zarr_pairs import ZarrPairsDataset
from clip2latent_kedro.datasets.zarr_relevance import ZarrRelevanceDataset

__all__ = [
    "ArrayFolderDataset",
    "CheckpointDataset",
    "FileCopyDataset",
    "HTMLReportDataset",
    "JsonFolderDataset",
    "MapperFolderDataset",
    "ModelDataset",
    "NothingDataset",
    "NpzDataset",
    "PictureFolderDataset",
    "PicturesDataset",
    "PretrainedFolderDataset",
    "PriorDataset",
    "PromptFileDataset",
    "PromptTableDataset",
    "PublishedDataset",
    "ReportFolderDataset",
    "ValidationPicturesDataset",
    "WeightsDataset",
    "WeightsFolderDataset",
    "ZarrPairsDataset",
    "ZarrRelevanceDataset",
]
