"""What is to be fetched: its address, and what is known of the file behind it."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from clip2latent_kedro.errors import InputError

HUGGING_FACE = "https://huggingface.co"
_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")
_DIGEST = re.compile(r"^[0-9a-f]{64}$")


def is_address(place: str) -> bool:
    """Return whether a text is an address, such as `https://...`, and not a path."""
    return _SCHEME.match(place) is not None


@dataclass(frozen=True)
class Licence:
    """Under which terms a file is given away.

    Attributes:
        name: To be read by people.
        address: Where its text is.
    """

    name: str
    address: str


@dataclass(frozen=True)
class Source:
    """Where a file is to be had, and how to know it.

    Attributes:
        place: Address (`http`, `https`, `file`, or what fsspec knows, such as `s3`), or
            a local path, which is used as it is.
        sha256: Of the content, hex; None if it is not known.
        num_bytes: Its size; None if it is not known.
        mirrors: Other addresses of the same content, tried in turn.
        licence: Told before anything is fetched.
    """

    place: str
    sha256: str | None = None
    num_bytes: int | None = None
    mirrors: Sequence[str] = ()
    licence: Licence | None = None

    def __post_init__(self) -> None:
        """Check what can be mistyped."""
        if not self.place:
            msg = "A file to fetch needs an address or a path, got an empty text."
            raise InputError(msg)
        if self.sha256 is not None and not _DIGEST.match(str(self.sha256)):
            msg = (
                f"sha256 of {self.place} must be 64 hexadecimal digits in lower case, "
                f"got {self.sha256!r}."
            )
            raise InputError(msg)
        if self.num_bytes is not None and self.num_bytes < 0:
            msg = f"num_bytes of {self.place} must be 0 or more, got {self.num_bytes}."
            raise InputError(msg)
        for mirror in self.mirrors:
            if not is_address(mirror):
                msg = (
                    f"mirrors of {self.place} must be addresses such as https://..., "
                    f"got {mirror!r}."
                )
                raise InputError(msg)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses in the order in which they are tried; none for a path.

        The environment variable HF_ENDPOINT, by which users of Hugging Face name a
        mirror of it, comes before the address itself.
        """
        if not is_address(self.place):
            return ()
        endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/")
        addresses = [self.place, *self.mirrors]
        if endpoint:
            at_endpoint = [
                endpoint + address.removeprefix(HUGGING_FACE)
                for address in addresses
                if address.startswith(f"{HUGGING_FACE}/")
            ]
            addresses = [*at_endpoint, *addresses]
        return tuple(dict.fromkeys(addresses))


@dataclass(frozen=True)
class DownloadConfig:
    """What configuration says about a file beside its place, under `download`.

    Attributes:
        sha256: See `Source`.
        num_bytes: See `Source`.
        licence: Mapping of `name` and `address`.
        mirrors: Addresses of the same file; or starts of addresses, each with what
            stands in its place on a mirror.
        cache_folder: Where fetched files are kept; None for the user's cache.
        offline: Whether nothing may be fetched.
    """

    sha256: str | None = None
    num_bytes: int | None = None
    licence: Mapping[str, str] | None = None
    mirrors: Sequence[str] | Mapping[str, str] | None = None
    cache_folder: str | None = None
    offline: bool = False

    def __post_init__(self) -> None:
        """Check kinds; a licence and mirrors come from YAML."""
        licence = self.licence
        if licence is not None and set(licence) != {"name", "address"}:
            msg = f"download.licence must have a name and an address, got {licence!r}."
            raise InputError(msg)
        if isinstance(self.mirrors, str):
            msg = (
                f"download.mirrors must be a list of addresses, or a mapping of their "
                f"starts, got {self.mirrors!r}."
            )
            raise InputError(msg)

    def source(self, place: str, alternatives: Sequence[str] = ()) -> Source:
        """Return the source of a file.

        Args:
            place: Its address or path.
            alternatives: Addresses of files that do as well.
        """
        addresses = [place, *alternatives]
        mirrors = self.mirrors or ()
        if isinstance(mirrors, Mapping):
            mirrored = [
                there + address.removeprefix(here)
                for address in addresses
                for here, there in mirrors.items()
                if address.startswith(here)
            ]
        else:
            mirrored = list(mirrors)
        return Source(
            place,
            sha256=self.sha256,
            num_bytes=self.num_bytes,
            mirrors=(*alternatives, *mirrored),
            licence=None if self.licence is None else Licence(**self.licence),
        )

    @property
    def folder(self) -> Path | None:
        """Folder of the cache; None for the user's own."""
        return None if self.cache_folder is None else Path(self.cache_folder)


def read_download(settings: Mapping[str, Any] | None) -> DownloadConfig:
    """Return the settings under `download` of a catalog entry.

    Raises:
        InputError: If one is unknown or wrong.
    """
    names = [field.name for field in fields(DownloadConfig)]
    unknown = sorted(set(settings or {}) - set(names))
    if unknown:
        msg = f"download has {', '.join(names)}, got {unknown[0]!r}. Remove it."
        raise InputError(msg)
    return DownloadConfig(**(settings or {}))
