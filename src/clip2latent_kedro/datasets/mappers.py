"""Trained mappers, and the states of their training, as folders of a file each."""

from pathlib import Path

from clip2latent_kedro.datasets.files import Weights, WeightsDataset
from clip2latent_kedro.datasets.folders import FolderDataset
from clip2latent_kedro.editing.mapper.files import SUFFIXES, load_mapper
from clip2latent_kedro.editing.mapper.mapper import StyleMapper
from clip2latent_kedro.errors import InputError


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
        found: dict[str, Path] = {}
        for path in sorted(paths):
            if path.stem in found:
                msg = (
                    f"{self._filepath} must hold one mapper of each name, got "
                    f"{found[path.stem].name} and {path.name}. Rename or remove one."
                )
                raise InputError(msg)
            found[path.stem] = path
        return {name: load_mapper(path) for name, path in found.items()}
