"""Parameter overrides as a user types them, to one nested dict."""

import itertools
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import click
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

_ITEM = re.compile(r"\s*([^\s.:=]+(?:\.[^\s.:=]+)*)\s*[:=]\s*(.*?)\s*", re.DOTALL)
_WORD = re.compile(r"[\w.+~-]*")  # what a number, true, false or null is made of
_OPENING = tuple("[{'\"")  # how a value begins that may hold commas
_UNREADABLE = (
    yaml.YAMLError,
    OmegaConfBaseException,
    TypeError,
    ValueError,
    RecursionError,
)


def parse_overrides(text: str) -> dict[str, Any]:
    """Return the nested overrides of one `--params` value.

    The first `:` or `=` of an item ends its key, so values may hold either. A value in
    brackets or quotes is YAML and may hold commas; any other is a number, true, false
    or null where YAML reads it so, and a text as it stands where not.

    Raises:
        click.BadParameter: If an item has no key, or brackets or quotes do not close.
    """
    pieces = text.split(",")
    overrides: list[tuple[str, str]] = []
    while pieces:
        item = pieces.pop(0)
        if not item.strip():
            continue
        match = _ITEM.fullmatch(item)
        if match is None:
            raise click.BadParameter(_explain_item([item, *pieces], overrides))
        key, value = match.groups()
        while value.startswith(_OPENING) and pieces and not _is_yaml(value):
            value += f",{pieces.pop(0)}"
        overrides.append((key, value.strip()))
    return merge_overrides({key: _read_value(key, value)} for key, value in overrides)


def merge_overrides(overrides: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all overrides as one nested dict, later ones over earlier ones.

    Keys may be nested, dotted or both.

    Raises:
        click.BadParameter: If a parameter is given both as a value and as a group.
    """
    merged: dict[str, Any] = {}
    for override in overrides:
        _lay_over(merged, override, "")
    return merged


def _lay_over(tree: dict[str, Any], override: Mapping[str, Any], prefix: str) -> None:
    for dotted, value in override.items():
        name, _, rest = str(dotted).partition(".")
        value = {rest: value} if rest else value
        before = tree.get(name)
        is_group = isinstance(value, Mapping)
        if None not in (before, value) and isinstance(before, Mapping) != is_group:
            msg = (
                f"{prefix}{name} must be given either as a value or as a group of "
                f"parameters, got both. Leave one out."
            )
            raise click.BadParameter(msg)
        if is_group:
            tree[name] = before if isinstance(before, dict) else {}
            _lay_over(tree[name], value, f"{prefix}{name}.")
        else:
            tree[name] = value


def _explain_item(pieces: list[str], before: list[tuple[str, str]]) -> str:
    """Return what is wrong with the first of some pieces, which is not KEY:VALUE."""
    msg = f"{pieces[0].strip()!r} must be KEY:VALUE or KEY=VALUE."
    if not before:
        return msg
    key, value = before[-1]
    rest = itertools.takewhile(lambda piece: not _ITEM.fullmatch(piece), pieces)
    quoted = json.dumps(",".join([value, *rest]).strip(), ensure_ascii=False)
    return (
        f"{msg} A comma begins another parameter; put a value with commas in quotes "
        f"within those of the shell: --params={shlex.quote(f'{key}:{quoted}')}."
    )


def _parse(text: str) -> Any:
    """Return a value as OmegaConf reads it, interpolations untouched."""
    config: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))
    return config["value"]


def _is_yaml(text: str) -> bool:
    try:
        _parse(text)
    except _UNREADABLE:
        return False
    return True


def _read_value(key: str, text: str) -> Any:
    if text.startswith(_OPENING):
        try:
            return _parse(text)
        except _UNREADABLE as error:
            msg = (
                f"{key} must have a value whose brackets and quotes close, and a space "
                f"after each colon in braces, got {text}. Put a text that begins with "
                f"one in quotes of the other kind."
            )
            raise click.BadParameter(msg) from error
    is_word = _WORD.fullmatch(text) and _is_yaml(text)  # neither comment nor anchor
    value = _parse(text) if is_word else text
    return value if value is None or isinstance(value, bool | int | float) else text
