"""Trained mappers, and the states of their training, as folders of a file each."""

from pathlib import Path

from clip2latent_kedro.datasets.files import Weights, WeightsDataset
from clip2latent_kedro.datasets.folders import FolderDataset
from clip2latent_kedro.editing.mapper.files import SUFFIXES, load_mapper
from clip2latent_kedro.editing.mapper.mapper import StyleMapper


class WeightsFolderDataset(FolderDataset):
    """Named tensors and strings for each item, as safetensors with metadata.

    Loading returns a function for each item that reads it; of a damaged file it
    returns the `InputError` that says why.
    """

    suffix = ".safetensors"

    def _to_bytes(self, item: Weights) -> bytes:
        return WeightsDataset(filepath=str(self._filepath))._to_bytes(item)

    def _from_file(self, path: Path) -> object:
        return WeightsDataset(filepath=str(path), missing_ok=True).load


class MapperFolderDataset(WeightsFolderDataset):
    """A latent mapper for each target, saved as its tensors and strings.

    Loading returns `StyleMapper`s by name, also those of StyleCLIP's own code, which
    are NAME.pt.
    """

    def load(self) -> dict[str, StyleMapper]:
        """Return the mappers by name, in the order of names; none without a folder."""
        paths = [
            path
            for suffix in SUFFIXES
            for path in self._filepath.glob(f"[!.]*{suffix}")
        ]
        return {path.stem: load_mapper(path) for path in sorted(paths)}
