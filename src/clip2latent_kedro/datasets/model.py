"""Generators, encoders and judges as read-only catalog entries."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from kedro.io import AbstractDataset, DatasetError

from clip2latent_kedro.errors import InputError


class ModelDataset(AbstractDataset[NoReturn, Any]):
    """Loads a frozen model by role and kind.

    The kind is a name that the role's registry knows, a user's entry points
    included (see `clip2latent_kedro.registry`).
    """

    def __init__(
        self,
        *,
        role: Literal["generator", "encoder", "judge"],
        kind: str,
        filepath: str | None = None,
        options: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a model.

        Args:
            role: What the model is.
            kind: Which loader of that role.
            filepath: Local file of weights, for kinds that need one.
            options: Handed to the loader.
            metadata: For Kedro plugins.
        """
        if role not in _LOADERS:
            msg = f"role must be one of {', '.join(_LOADERS)}, got {role!r}."
            raise InputError(msg)
        self._role = role
        self._kind = kind
        self._filepath = None if filepath is None else Path(filepath)
        self._options = dict(options or {})
        self.metadata = metadata

    def load(self) -> Any:
        """Return the model, on the CPU."""
        return _LOADERS[self._role](self._kind, self._filepath, self._options)

    def save(self, data: NoReturn) -> NoReturn:
        """Raise: models are made by the `portraits` pipeline or come from outside."""
        msg = f"A {self._role} is read-only here, it cannot be saved."
        raise DatasetError(msg)

    def _exists(self) -> bool:
        return self._filepath is None or self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {
            "role": self._role,
            "kind": self._kind,
            "filepath": None if self._filepath is None else str(self._filepath),
            "options": self._options,
        }


def _load_generator(kind: str, path: Path | None, options: Mapping[str, Any]) -> Any:
    from clip2latent_kedro.generators import load_generator

    return load_generator(kind, path, options)


def _load_encoder(kind: str, path: Path | None, options: Mapping[str, Any]) -> Any:
    from clip2latent_kedro.encoders import load_encoder

    return load_encoder(kind, path, options)


def _load_judge(kind: str, path: Path | None, options: Mapping[str, Any]) -> Any:
    from clip2latent_kedro.portraits.judge import load_judge
    from clip2latent_kedro.registry import find_loader

    built_in = {"portraits_judge": load_judge}
    return find_loader("clip2latent_kedro.judges", kind, built_in)(path, options)


_LOADERS: dict[str, Callable[[str, Path | None, Mapping[str, Any]], Any]] = {
    "generator": _load_generator,
    "encoder": _load_encoder,
    "judge": _load_judge,
}
