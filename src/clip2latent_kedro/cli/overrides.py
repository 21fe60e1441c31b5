"""Parameter overrides as a user types them, to one nested dict."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException


def parse_overrides(text: str) -> dict[str, Any]:
    """Return the nested overrides of one `--params` value.

    The first `:` or `=` of an item ends its key, so values may hold either; commas
    within brackets or quotes do not separate. Values are read as YAML.

    Raises:
        click.BadParameter: If an item has no key or its value is not YAML.
    """
    items = []
    for item in _split_items(text):
        key, separator, value = _partition(item)
        if not key or not separator:
            msg = f"{item!r} must be KEY:VALUE or KEY=VALUE."
            raise click.BadParameter(msg)
        items.append(f"{key}={value}")
    try:
        return _as_dict(OmegaConf.from_dotlist(items))
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        msg = f"{text!r} cannot be read: {str(error).splitlines()[0]}."
        raise click.BadParameter(msg) from error


def merge_overrides(overrides: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all overrides as one nested dict, later ones over earlier ones.

    Keys may be nested, dotted or both.
    """
    merged = OmegaConf.create()
    for override in overrides:
        for key, value in _flatten(override):
            OmegaConf.update(merged, key, value, force_add=True)
    return _as_dict(merged)


def _as_dict(config: Any) -> dict[str, Any]:
    container: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    return container


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _partition(item: str) -> tuple[str, str, str]:
    match = re.search("[:=]", item)
    if match is None:
        return item, "", ""
    return item[: match.start()].strip(), match.group(), item[match.end() :].strip()


def _split_items(text: str) -> list[str]:
    """Return the items between commas that are neither in brackets nor in quotes.

    A quote counts where it begins a value; elsewhere it may be an apostrophe.
    """
    items, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and re.fullmatch(r"[^:=]*[:=]\s*", items[-1]):
            quote = character
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth <= 0 and not quote:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items if item.strip()]
