"""Generators, encoders, judges and directions as read-only catalog entries."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from clip2latent_kedro import downloads
from clip2latent_kedro.datasets.optional import ReadOnlyDataset, none_if_missing
from clip2latent_kedro.downloads import FetchedFile, Source
from clip2latent_kedro.editing.directions.files import load_directions
from clip2latent_kedro.editing.inversion.inverter import load_inverter
from clip2latent_kedro.encoders import (
    ENCODERS,
    PERCEPTUAL_LOSSES,
    encoder_addresses,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.generators import GENERATORS
from clip2latent_kedro.generators.adapters import converted_file
from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.interfaces import Encoder, Generator, Judge, PerceptualLoss
from clip2latent_kedro.methods.clip2gan import load_clip2gan
from clip2latent_kedro.registry import Loader, find_loader
from clip2latent_kedro.worlds.faces.judge import load_faces_judge
from clip2latent_kedro.worlds.portraits.judge import load_judge, load_judge_features
from clip2latent_kedro.worlds.portraits.perception import load_judge_perception

# What a role must offer, and the kinds of it that the project brings.
_ROLES: dict[str, tuple[Any, Mapping[str, Loader]]] = {
    "generator": (Generator, GENERATORS),
    "encoder": (Encoder, {**ENCODERS, "judge_features": load_judge_features}),
    "judge": (Judge, {"portraits_judge": load_judge, "faces_judge": load_faces_judge}),
    "perceptual": (
        PerceptualLoss,
        {**PERCEPTUAL_LOSSES, "judge": load_judge_perception},
    ),
    "mapper": (None, {"clip2gan": load_clip2gan}),
    "directions": (None, {"file": load_directions}),
    "inverter": (None, {"image_inverter": load_inverter}),
}
# Kinds of generators that are read from a file converted once.
_CONVERTED_KINDS = ("stylegan", "lafite")


class ModelDataset(ReadOnlyDataset):
    """Loads a frozen model by role and kind.

    The kind is a name that the role's registry knows, a user's entry points
    included (see `clip2latent_kedro.registry`). Its file may be elsewhere: it is
    fetched when the model is first loaded, or ahead by the pipeline `models`.
    """

    def __init__(
        self,
        *,
        role: Literal[
            "generator",
            "encoder",
            "judge",
            "perceptual",
            "mapper",
            "directions",
            "inverter",
        ],
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
            download: How to fetch the file (see `downloads.read_source`).
            missing_ok: Whether to load None, rather than fail, where there is no file
                at a local path.
            metadata: For Kedro plugins.
        """
        if role not in _ROLES:
            msg = f"role must be one of {', '.join(_ROLES)}, got {role!r}."
            raise InputError(msg)
        self._role = role
        self._kind = kind
        self._place = filepath
        self._options = dict(options or {})
        self._download = dict(download or {})
        # Refuses what is mistyped before a run needs it.
        downloads.read_source(filepath or "none", self._download)
        self._missing_ok = missing_ok
        self.metadata = metadata

    @none_if_missing
    def load(self) -> Any:
        """Return the model, on the CPU (see `missing_ok`).

        Raises:
            InputError: If it cannot be loaded, or lacks what its role must offer.
        """
        source = self._source()
        path = None if source is None else downloads.fetch(source)
        protocol, built_in = _ROLES[self._role]
        group = f"clip2latent_kedro.{self._role.removesuffix('s')}s"
        load = find_loader(group, self._kind, built_in)
        model = load(path, self._options)
        if protocol is None or isinstance(model, protocol | TextGenerator):
            return model
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

    def fetch_files(self) -> dict[str, FetchedFile]:
        """Return the files that the model needs, fetched and converted if need be.

        Returns:
            `weights`, and `converted` for a generator in the format of another
            program; each file of a local folder; nothing for a model without a file.
        """
        source = self._source()
        if source is None or (self._missing_ok and _is_absent(source)):
            return {}
        place = downloads.fetch(source)
        if place.is_dir():
            inside = sorted(path for path in place.iterdir() if path.is_file())
            return {path.name: downloads.fetch_file(str(path)) for path in inside}
        weights = downloads.fetch_file(source)
        files = {"weights": weights}
        if self._role == "generator" and self._kind in _CONVERTED_KINDS:
            path = converted_file(place, self._options)
            if path is not None and path != place:
                files["converted"] = replace(
                    weights,
                    path=path,
                    sha256=hash_file(path),
                    num_bytes=path.stat().st_size,
                )
        return files

    def _source(self) -> Source | None:
        """Return the source of the weights; None if the kind needs none."""
        places = [self._place] if self._place is not None else []
        if not places and self._role == "encoder":
            places = [*encoder_addresses(self._kind, self._options)]
        if not places:
            return None
        return downloads.read_source(places[0], self._download, alternatives=places[1:])

    def _exists(self) -> bool:
        source = self._source()
        return source is None or downloads.find(source) is not None

    def _describe(self) -> dict[str, Any]:
        described = {
            "role": self._role,
            "kind": self._kind,
            "filepath": self._place,
            "options": self._options,
        }
        licence = self._download.get("licence")
        if licence is not None:
            described["licence"] = f"{licence['name']}, {licence['address']}"
        return described


def _is_absent(source: Source) -> bool:
    return source.local_path is not None and not source.local_path.exists()
