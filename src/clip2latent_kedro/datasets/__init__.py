"""Catalog entries that kedro-datasets does not have."""

from clip2latent_kedro.datasets.arrays import NpzDataset
from clip2latent_kedro.datasets.checkpoint import CheckpointDataset, PriorDataset
from clip2latent_kedro.datasets.model import ModelDataset
from clip2latent_kedro.datasets.pictures import PicturesDataset
from clip2latent_kedro.datasets.report import HTMLReportDataset
from clip2latent_kedro.datasets.weights import WeightsDataset
from clip2latent_kedro.datasets.zarr_pairs import ZarrPairsDataset

__all__ = [
    "CheckpointDataset",
    "HTMLReportDataset",
    "ModelDataset",
    "NpzDataset",
    "PicturesDataset",
    "PriorDataset",
    "WeightsDataset",
    "ZarrPairsDataset",
]
