"""Catalog entries that kedro-datasets does not have."""

from clip2latent_kedro.datasets.array_folder import ArrayFolderDataset
from clip2latent_kedro.datasets.arrays import NpzDataset
from clip2latent_kedro.datasets.checkpoint import CheckpointDataset, PriorDataset
from clip2latent_kedro.datasets.file_copy import FileCopyDataset
from clip2latent_kedro.datasets.json_folder import JsonFolderDataset
from clip2latent_kedro.datasets.model import ModelDataset
from clip2latent_kedro.datasets.picture_folder import PictureFolderDataset
from clip2latent_kedro.datasets.pictures import PicturesDataset
from clip2latent_kedro.datasets.pretrained import PretrainedFolderDataset
from clip2latent_kedro.datasets.prompt_file import PromptFileDataset, PromptTableDataset
from clip2latent_kedro.datasets.published import PublishedDataset
from clip2latent_kedro.datasets.report import HTMLReportDataset
from clip2latent_kedro.datasets.report_folder import ReportFolderDataset
from clip2latent_kedro.datasets.validation_pictures import ValidationPicturesDataset
from clip2latent_kedro.datasets.weights import WeightsDataset
from clip2latent_kedro.datasets.zarr_pairs import ZarrPairsDataset

__all__ = [
    "ArrayFolderDataset",
    "CheckpointDataset",
    "FileCopyDataset",
    "HTMLReportDataset",
    "JsonFolderDataset",
    "ModelDataset",
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
    "ZarrPairsDataset",
]
