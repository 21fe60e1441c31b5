"""Generators, encoders and judges as read-only catalog entries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NoReturn

from kedro.io import AbstractDataset, DatasetError

from clip2latent_kedro.datasets.remote_file import RemoteFile
from clip2latent_kedro.downloads import (
    FetchedFile,
    fetch_file,
    hash_file,
    is_address,
    read_download,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.interfaces import Encoder, Generator, Judge

# Kinds of generators that are read from a file converted once.
_CONVERTED_KINDS = ("stylegan", "lafite")


class ModelDataset(AbstractDataset[NoReturn, Any]):
    """Loads a frozen model by role and kind.

    The kind is a name that the role's registry knows, a user's entry points
    included (see `clip2latent_kedro.registry`). Its file may be elsewhere: it is
    fetched when the model is first loaded, or ahead by the pipeline `models`.
    """

    def __init__(
        self,
        *,
        role: Literal["generator", "encoder", "judge", "mapper"],
        kind: str,
        filepath: str | None = None,
        options: dict[str, Any] | None = None,
        download: dict[str, Any] | None = None,
        missing_ok: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a model.

        Args:
            role: What the model is.
            kind: Which loader of that role.
            filepath: Path or address of the weights, for kinds that need a file.
            options: Handed to the loader.
            download: How to fetch the file (see `downloads.DownloadConfig`).
            missing_ok: Whether to load an empty mapping, rather than fail, where
                there is no file.
            metadata: For Kedro plugins.
        """
        if role not in _LOADERS:
            msg = f"role must be one of {', '.join(_LOADERS)}, got {role!r}."
            raise InputError(msg)
        self._role = role
        self._kind = kind
        self._place = filepath
        self._options = dict(options or {})
        self._download = dict(download or {})
        read_download(self._download)  # refuses what is mistyped
        self._missing_ok = missing_ok
        self.metadata = metadata

    def load(self) -> Any:
        """Return the model, on the CPU; an empty mapping if there may be none.

        Raises:
            InputError: If it cannot be loaded, or lacks what its role must offer.
        """
        if self._is_absent():
            return {}
        file = self._file()
        path = None if file is None else file.fetch()
        model = _LOADERS[self._role](self._kind, path, self._options)
        self._check(model)
        return model

    def fetch_files(self) -> dict[str, FetchedFile]:
        """Return the files that the model needs, fetched and converted if need be.

        Returns:
            `weights`, and `converted` for a generator in the format of another
            program; each file of a local folder; nothing for a model without a file.
        """
        file = self._file()
        if file is None or self._is_absent():
            return {}
        place = file.fetch()
        if place.is_dir():
            inside = sorted(path for path in place.iterdir() if path.is_file())
            return {path.name: fetch_file(str(path)) for path in inside}
        files = {"weights": file.fetch_file()}
        if self._role == "generator" and self._kind in _CONVERTED_KINDS:
            converted = _convert(files["weights"], self._options)
            if converted.path != files["weights"].path:
                files["converted"] = converted
        return files

    def save(self, data: NoReturn) -> NoReturn:
        """Raise: models are made by the `portraits` pipeline or come from outside."""
        msg = f"A {self._role} is read-only here, it cannot be saved."
        raise DatasetError(msg)

    def _check(self, model: Any) -> None:
        protocol = _PROTOCOLS.get(self._role)
        if protocol is None or isinstance(model, protocol | TextGenerator):
            return
        offered = {*vars(protocol), *protocol.__annotations__}
        lacking = [
            name
            for name in sorted(offered)
            if not (name.startswith("_") or hasattr(model, name))
        ]
        msg = (
            f"The {self._role} of kind {self._kind!r} must offer all of "
            f"clip2latent_kedro.interfaces.{protocol.__name__}, got a "
            f"{type(model).__name__} without {', '.join(lacking)}. Add them."
        )
        raise InputError(msg)

    def _file(self) -> RemoteFile | None:
        """Return the file of the weights; None if the kind needs none."""
        if self._place is not None:
            return RemoteFile(self._place, self._download)
        addresses: Sequence[str] = ()
        if self._role == "encoder":
            from clip2latent_kedro.encoders import encoder_addresses

            addresses = encoder_addresses(self._kind, self._options)
        if not addresses:
            return None
        first, *others = addresses
        return RemoteFile(first, self._download, alternatives=others)

    def _is_absent(self) -> bool:
        """Return whether there may be no file, and is none, at a local path."""
        is_local = self._place is not None and not is_address(self._place)
        return self._missing_ok and is_local and not self._exists()

    def _exists(self) -> bool:
        file = self._file()
        return file is None or file.exists()

    def _describe(self) -> dict[str, Any]:
        return {
            "role": self._role,
            "kind": self._kind,
            "filepath": self._place,
            "options": self._options,
        }


def _convert(file: FetchedFile, options: Mapping[str, Any]) -> FetchedFile:
    """Return what a generator's file is converted to; itself if it need not be."""
    from clip2latent_kedro.generators.adapters import converted_file

    path = converted_file(file.path, options)
    assert path is not None
    return replace(
        file, path=path, sha256=hash_file(path), num_bytes=path.stat().st_size
    )


def _load_generator(kind: str, path: Path | None, options: Mapping[str, Any]) -> Any:
    from clip2latent_kedro.generators import load_generator

    return load_generator(kind, path, options)


def _load_encoder(kind: str, path: Path | None, options: Mapping[str, Any]) -> Any:
    from clip2latent_kedro.encoders import ENCODERS
    from clip2latent_kedro.portraits.features import load_judge_features
    from clip2latent_kedro.registry import find_loader

    built_in = {**ENCODERS, "judge_features": load_judge_features}
    return find_loader("clip2latent_kedro.encoders", kind, built_in)(path, options)


def _load_judge(kind: str, path: Path | None, options: Mapping[str, Any]) -> Any:
    from clip2latent_kedro.portraits.judge import load_judge
    from clip2latent_kedro.registry import find_loader

    built_in = {"portraits_judge": load_judge}
    return find_loader("clip2latent_kedro.judges", kind, built_in)(path, options)


def _load_mapper(kind: str, path: Path | None, options: Mapping[str, Any]) -> Any:
    from clip2latent_kedro.methods.clip2gan import load_clip2gan
    from clip2latent_kedro.registry import find_loader

    built_in = {"clip2gan": load_clip2gan}
    return find_loader("clip2latent_kedro.mappers", kind, built_in)(path, options)


_PROTOCOLS: dict[str, Any] = {
    "generator": Generator,
    "encoder": Encoder,
    "judge": Judge,
}
_LOADERS: dict[str, Callable[[str, Path | None, Mapping[str, Any]], Any]] = {
    "generator": _load_generator,
    "encoder": _load_encoder,
    "judge": _load_judge,
    "mapper": _load_mapper,
}
