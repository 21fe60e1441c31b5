"""Trained mappers, and the states of their training, as folders of a file each."""

from functools import partial

from clip2latent_kedro.datasets.files import Weights, pack_weights
from clip2latent_kedro.datasets.folders import FolderDataset
from clip2latent_kedro.datasets.places import Place
from clip2latent_kedro.editing.mapper.files import SUFFIXES, load_mapper
from clip2latent_kedro.editing.mapper.mapper import StyleMapper
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading import parse_weights


class WeightsFolderDataset(FolderDataset):
    """Named tensors and strings for each item, as safetensors with metadata.

    Loading returns a function for each item that reads it; of a damaged file it
    returns the `InputError` that says why.
    """

    suffix = ".safetensors"

    def _to_bytes(self, item: Weights) -> bytes:
        return pack_weights(item)

    def _from_file(self, place: Place) -> object:
        return partial(_read, place)


class MapperFolderDataset(WeightsFolderDataset):
    """A latent mapper for each target, saved as its tensors and strings.

    Loading returns `StyleMapper`s by name, also those of StyleCLIP's own code, which
    are NAME.pt.
    """

    def load(self) -> dict[str, StyleMapper]:
        """Return the mappers by name, in the order of names; none without a folder."""
        found: dict[str, Place] = {}
        for place in self._folder.list_files():
            stem, _, suffix = place.name.rpartition(".")
            if not stem or stem.startswith(".") or f".{suffix}" not in SUFFIXES:
                continue
            if stem in found:
                msg = (
                    f"{self._folder} must hold one mapper of each name, got "
                    f"{found[stem].name} and {place.name}. Rename or remove one."
                )
                raise InputError(msg)
            found[stem] = place
        return {name: _load(found[name]) for name in sorted(found)}


def _load(place: Place) -> StyleMapper:
    with place.fetched() as path:
        return load_mapper(path)


def _read(place: Place) -> Weights | InputError:
    try:
        return parse_weights(place.read(), str(place), mend="Remove it.")
    except InputError as error:
        return error
