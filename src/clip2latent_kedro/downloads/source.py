"""What is to be fetched: its address, and what is known of the file behind it."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from annotated_types import Ge, Le

from clip2latent_kedro.checked import Checked, Rule, read_settings
from clip2latent_kedro.downloads.packages import (
    is_in_package,
    is_package_address,
    package_path,
)

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
class Source(Checked):
    """Where a file is to be had, how to know it, and where it is kept.

    Attributes:
        place: Address (`http`, `https`, `file`, or what fsspec knows, such as `s3` or
            `hf`), or a local path, which is used as it is; so is a file of an installed
            package, `package://<package>/<path in it>`.
        sha256: Of the content, hex; None if it is not known.
        num_bytes: Its size; None if it is not known.
        mirrors: Other addresses of the same content, tried in turn.
        licence: Told before anything is fetched.
        cache_folder: Where fetched files are kept; None for the user's cache,
            `$XDG_CACHE_HOME/clip2latent_kedro` or `~/.cache/clip2latent_kedro`.
        offline: Whether nothing may be fetched. So do the environment variables
            CLIP2LATENT_OFFLINE and HF_HUB_OFFLINE.
    """

    place: str
    sha256: str | None = None
    num_bytes: Annotated[int, Ge(0), Le(inf)] | None = None
    mirrors: Sequence[str] = ()
    licence: Licence | None = None
    cache_folder: Path | None = None
    offline: bool = False

    def rules(self) -> Iterator[Rule]:
        """Yield what can be mistyped."""
        yield bool(self.place), "place", "an address or a path"
        if is_in_package(self.place):
            expected = (
                "package://<package>/<path of a file in it>, named as it is imported"
            )
            yield is_package_address(self.place), "place", expected
        is_digest = self.sha256 is None or _DIGEST.match(self.sha256) is not None
        yield is_digest, "sha256", "64 hexadecimal digits in lower case"
        are_addresses = all(map(is_address, self.mirrors))
        yield are_addresses, "mirrors", "addresses such as https://..."

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses in the order in which they are tried; none for a path.

        The environment variable HF_ENDPOINT, by which users of Hugging Face name a
        mirror of it, comes before the address itself.
        """
        if not is_address(self.place):
            return ()
        addresses = [self.place, *self.mirrors]
        at_endpoint = [
            hub_endpoint() + address.removeprefix(HUGGING_FACE)
            for address in addresses
            if address.startswith(f"{HUGGING_FACE}/")
        ]
        return tuple(dict.fromkeys([*at_endpoint, *addresses]))

    @property
    def local_path(self) -> Path | None:
        """The path that the place is here; None for an address elsewhere."""
        if not is_address(self.place):
            return Path(self.place).expanduser()
        if is_in_package(self.place):
            return package_path(self.place)
        parts = urlsplit(self.place)
        is_local = parts.scheme == "file"
        return Path(url2pathname(unquote(parts.path))) if is_local else None

    def cached_path(self, address: str | None = None) -> Path:
        """Return where the file of an address is kept, now or later.

        Args:
            address: One of `addresses`; None for the first that is written down.
        """
        address = address or self.place
        root = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
        folder = self.cache_folder or root / "clip2latent_kedro"
        digest = hashlib.sha256(address.encode()).hexdigest()[:12]
        name = PurePosixPath(unquote(urlsplit(address).path)).name or "file"
        return folder.expanduser() / f"{digest}_{name}"


def hub_endpoint() -> str:
    """Return the address of the Hugging Face Hub, or of the user's mirror of it."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUGGING_FACE


def read_source(
    place: str,
    settings: Mapping[str, Any] | None = None,
    *,
    alternatives: Sequence[str] = (),
) -> Source:
    """Return the source of a file by the settings under `download` of a catalog entry.

    These are the fields of `Source`; `licence` is a mapping of its `name` and
    `address`, and `mirrors` a list of addresses, or a mapping of starts of addresses to
    what stands in their place on a mirror.

    Args:
        place: Path or address of the file.
        settings: As they are in the catalog.
        alternatives: Addresses of files that do as well.

    Raises:
        InputError: If a setting is unknown or wrong.
    """
    known = dict(settings or {})
    if isinstance(mirrors := known.get("mirrors") or [], Mapping):
        mirrors = [
            there + address.removeprefix(here)
            for address in (place, *alternatives)
            for here, there in mirrors.items()
            if address.startswith(here)
        ]
    if isinstance(folder := known.get("cache_folder"), str):
        known["cache_folder"] = Path(folder)
    if isinstance(mirrors, list | tuple):
        mirrors = (*alternatives, *mirrors)
    if (licence := known.get("licence")) is not None:
        known["licence"] = read_settings(Licence, licence, "download.licence")
    known |= {"place": place, "mirrors": mirrors}
    return read_settings(Source, known, "download")
