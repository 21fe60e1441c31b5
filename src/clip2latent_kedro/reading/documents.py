"""YAML, JSON and text, bounded: in size, depth, nodes and what aliases stand for."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from clip2latent_kedro.errors import InputError

_MAX_DEPTH = 50
_MAX_NODES = 20_000  # of a YAML file, each alias counted as all that it stands for
_MAX_YAML_BYTES = 1 << 18
_MAX_JSON_BYTES = 1 << 24
_MAX_JSON_NODES = 1 << 21
_MAX_TEXT_BYTES = 1 << 24
_MAX_SCALAR = 1 << 14  # letters of a number or a text in YAML
_LARGEST = 2**64  # of a whole number
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """A safe loader that stops at the depth that it may have; dates are texts."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way
        letter: [(tag, regexp) for tag, regexp in resolvers if tag != _TIMESTAMP]
        for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node and all below it."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ValueError(_too_deep())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds, as plain JSON would.

    Aliases are followed as far as what they stand for stays small; a mapping may not
    have a key twice.

    Raises:
        InputError: If it is not there, or is refused; the message says why.
    """
    text = read_text(path, "a YAML file", max_bytes=_MAX_YAML_BYTES)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        bound_tree(node, _node_children)
        content = loader.construct_document(node)
        return check_tree(content)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        msg = f"{path} must be a YAML file, but cannot be read as one ({reason})."
        raise InputError(msg) from error


def read_json(path: Path, *, mend: str = "Correct it, or get it again.") -> Any:
    """Return what a JSON file holds.

    Args:
        path: The file.
        mend: What to do if it is refused, a sentence.

    Raises:
        InputError: If it is not there, or is refused.
    """
    text = read_text(path, "a JSON file", max_bytes=_MAX_JSON_BYTES, mend=mend)
    try:
        return parse_json(text)
    except ValueError as error:
        msg = f"{path} must be a JSON file, but cannot be read as one ({error}). {mend}"
        raise InputError(msg) from error


def parse_json(text: str) -> Any:
    """Return what a JSON text holds.

    Raises:
        ValueError: If it is none, is nested too deeply or is too large.
    """
    if len(text) > _MAX_JSON_BYTES:
        msg = f"it has {len(text)} letters, more than {_MAX_JSON_BYTES}"
        raise ValueError(msg)
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    return check_tree(content, max_nodes=_MAX_JSON_NODES)


def read_text(
    path: Path,
    expected: str,
    *,
    max_bytes: int = _MAX_TEXT_BYTES,
    mend: str = "Give another file.",
) -> str:
    """Return the text in a file, UTF-8, whose size is looked at first.

    Args:
        path: The file.
        expected: What it must be, for the message.
        max_bytes: Largest size.
        mend: What to do if it is refused, a sentence.

    Raises:
        InputError: If it is not there, is larger, or is no text.
    """
    try:
        if not path.is_file():
            reason = "there is no such file"
        elif (num_bytes := path.stat().st_size) > max_bytes:
            reason = f"it has {num_bytes} bytes, more than {max_bytes}"
        else:
            return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = str(error)
    msg = f"{path} must be {expected}, but cannot be read as one ({reason}). {mend}"
    raise InputError(msg)


def check_tree(
    content: Any,
    *,
    max_nodes: int = _MAX_NODES,
    unwrap: Callable[[Any], Any] = lambda part: part,
) -> Any:
    """Return a tree as plain JSON, once it is known to be one.

    Args:
        content: Mappings, lists, texts, numbers, true, false and nothing; a list or a
            mapping in several places counts in each.
        max_nodes: Largest number of all of them.
        unwrap: From a part of the tree to what it stands for.

    Raises:
        ValueError: If it has anything else, contains itself, or is too large.
    """

    def plain(part: Any) -> Any:
        part = unwrap(part)
        if isinstance(part, Mapping):
            return {str(key): plain(value) for key, value in part.items()}
        return list(map(plain, part)) if isinstance(part, list | tuple) else part

    bound_tree(content, lambda part: _tree_children(unwrap(part)), max_nodes)
    return plain(content)


def _tree_children(content: Any) -> Iterable[Any]:
    """Return what is directly in a part of a tree; `ValueError` for no part of one."""
    if isinstance(content, Mapping):
        return [*content.keys(), *content.values()]
    if isinstance(content, list | tuple):
        return content
    if content is not None and not isinstance(content, str | int | float):
        raise ValueError(f"it has an object of type {type(content).__name__}")
    if isinstance(content, int) and abs(content) >= _LARGEST:
        raise ValueError(f"it has a whole number of {content.bit_length()} bits")
    if isinstance(content, str):
        content.encode()  # half a pair of surrogates cannot be
    return ()


def _node_children(node: yaml.Node) -> Iterable[yaml.Node]:
    """Return the nodes directly in one; `ValueError` for a key twice, a huge scalar."""
    if isinstance(node, yaml.ScalarNode):
        if len(node.value) > _MAX_SCALAR:
            msg = f"it has a value of {len(node.value)} letters"
            raise ValueError(msg)
        return ()
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            msg = f"it has the key {twice[:80]!r} twice in one mapping"
            raise ValueError(msg)
        return [part for pair in node.value for part in pair]
    children: list[yaml.Node] = node.value
    return children


def bound_tree(
    root: Any,
    children: Callable[[Any], Iterable[Any]],
    max_nodes: float = _MAX_NODES,
    max_depth: int = _MAX_DEPTH,
) -> None:
    """Check size and depth of a tree, whose parts may be in several places.

    Each part is looked at once: its size and height are kept.

    Args:
        root: Of the tree.
        children: Returns what is directly in a part.
        max_nodes: Largest number of parts, one in several places counted in each.
        max_depth: Largest number of parts within one another.

    Raises:
        ValueError: If it contains itself, or is too large; or whatever `children`
            raises.
    """
    known: dict[int, tuple[int, int]] = {}  # of a part: nodes, levels
    above: set[int] = set()

    def visit(part: Any) -> tuple[int, int]:
        if id(part) in known:
            return known[id(part)]
        if id(part) in above:
            msg = "it contains itself"
            raise ValueError(msg)
        if len(above) >= max_depth:
            raise ValueError(_too_deep(max_depth))
        inside = children(part)
        if not inside:
            return 1, 1
        above.add(id(part))
        nodes, levels = 1, 1
        for child in inside:
            below = visit(child)
            nodes, levels = nodes + below[0], max(levels, 1 + below[1])
            if nodes > max_nodes:
                msg = f"it stands for more than {max_nodes} values"
                raise ValueError(msg)
        if levels > max_depth:
            raise ValueError(_too_deep(max_depth))
        above.remove(id(part))
        known[id(part)] = nodes, levels
        return nodes, levels

    visit(root)


def _too_deep(max_depth: int = _MAX_DEPTH) -> str:
    return f"it is nested more than {max_depth} deep"
