"""What made a stored result: settings, code and versions, and how two of them differ.

A result that is found again stands for what would be computed now. That takes equal
settings and equal models, and besides what `describe_provenance` returns: the same
code, the same libraries, the same kind of device.
"""

import ast
import hashlib
import json
import logging
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points, version
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

from clip2latent_kedro.errors import InputError

logger = logging.getLogger(__name__)

# Of this package, what fetches or tells things, and decides no number.
_ASIDE = ("downloads", "errors", "progress", "provenance")


def describe_provenance(device: str, *parts: object) -> dict[str, str]:
    """Return what a result depends on beside settings and weights, as plain JSON.

    `code`, a digest (see `digest_code`); `device`, its kind: two GPUs differ by no
    more than rounding, as two processors do; and the versions of torch and NumPy.

    Args:
        device: Where the result is computed.
        parts: What computes it: names of modules, and models or what holds them, of
            which the modules are found that they come from; None is passed over.
    """
    roots = set()
    for part in parts:
        if isinstance(part, str):
            roots.add(part)
        elif part is not None:
            roots |= _modules_of(part)
    return {
        "code": digest_code(*sorted(roots)),
        "device": device.partition(":")[0],
        "numpy": version("numpy"),
        "torch": version("torch"),
    }


@cache
def digest_code(*roots: str) -> str:
    """Return a SHA-256 (hex) of the code of modules and of all that they import.

    All means the modules of the same package and of this one, wherever in the code one
    is imported, but for types alone, or named in a string. Comments, docstrings and
    layout do not count. Digests are of code as `ast.unparse` writes it, which another
    Python may do in another way.

    Args:
        roots: Names of modules; the code of one without a source counts by its name.
    """
    trees: dict[str, str] = {}
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name not in trees:
            trees[name], imported = _read_module(name)
            queue += imported
    return hashlib.sha256(json.dumps(trees, sort_keys=True).encode()).hexdigest()


def read_training_seconds(weights: Path) -> float | None:
    """Return what the training of a model took, from NAME.json beside its weights.

    The weights say no time themselves: equal trainings come to equal files.

    Returns:
        None if there is no such file.
    """
    beside = weights.with_suffix(".json")
    if not beside.is_file():
        return None
    try:
        return float(json.loads(beside.read_text(encoding="utf-8"))["training_seconds"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{beside} must hold training_seconds, got {error!r}. Remove it."
        raise InputError(msg) from error


def extend_provenance(
    stored: Sequence[Mapping[str, Any]], now: Mapping[str, Any], *, what: str
) -> list[Mapping[str, Any]]:
    """Return how a training has been made so far and is now, and warn if that differs.

    It is kept all the same: it may have taken days, on a machine that is not this one.

    Args:
        stored: Every way in which its steps were made, the last one last; one that is
            empty is unknown.
        now: How the next ones are made (see `describe_provenance`).
        what: Is trained, for the log.
    """
    if stored and (changes := list_differences(stored[-1], now)):
        logger.warning(
            "The stored %s was trained otherwise: %s. It is kept, but is not bit for "
            "bit what either would give alone; --params=resume:false trains it anew.",
            what,
            ", ".join(changes),
        )
        return [*stored, now]
    return list(stored) or [now]


def list_differences(
    stored: Mapping[str, Any], asked: Mapping[str, Any], *, free: Collection[str] = ()
) -> list[str]:
    """Return one phrase for each setting that differs, to be shown to a user.

    Args:
        stored: Settings, nested.
        asked: Settings of the run that begins, nested likewise.
        free: Dotted names that may differ, with all that is below them.
    """
    before, now = dict(_leaves(stored)), dict(_leaves(asked))
    return [
        f"{name} (stored {_shorten(before.get(name))}, asked {_shorten(now.get(name))})"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
        and not any(name == other or name.startswith(f"{other}.") for other in free)
    ]


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shorten(value: Any) -> str:
    """Return a value as it is written, of a SHA-256 the start."""
    is_digest = isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)
    return repr(f"{value[:12]}..." if is_digest else value)


def _modules_of(model: object) -> set[str]:
    """Return the modules of a model's class, of all in it, and of who loads it.

    In it are models, which have an `identity`, and what else is of their packages or
    of this one, such as the network of a prior. Other libraries count by no module.
    """
    packages = {__package__, type(model).__module__.partition(".")[0]}
    names, seen = set(), set()
    queue: list[object] = [model]
    while queue:
        part = queue.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, Mapping):
            queue += part.values()
        elif isinstance(part, list | tuple | set | frozenset):
            queue += part
        else:
            module = type(part).__module__
            package = module.partition(".")[0]
            if package in packages or hasattr(part, "identity"):
                packages.add(package)
                names.add(module)
                queue += getattr(part, "__dict__", {}).values()
            elif hasattr(part, "_modules"):  # torch's own, such as a sequence
                queue.append(part._modules)
    return names | {
        point.module
        for group in entry_points().groups
        if group.startswith(f"{__package__}.")
        for point in entry_points(group=group)
        if point.module.partition(".")[0] in packages
    }


@cache
def _read_module(name: str) -> tuple[str, tuple[str, ...]]:
    """Return a digest of a module's code, and the modules of its package in it."""
    path = _find_source(name)
    if path is None:
        return "", ()
    tree = ast.parse(path.read_bytes())
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imported = _find_imports(tree, name, package)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):  # a text alone, such as a docstring, does nothing
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
    digest = hashlib.sha256(ast.unparse(tree).encode()).hexdigest()
    return digest, tuple(sorted(imported - {name}))


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@cache
def _find_source(name: str) -> Path | None:
    """Return the file of a module, which need not be imported; None if it has none."""
    top, *rest = name.split(".")
    try:
        spec = find_spec(top)
    except ValueError:  # such as __main__
        spec = None
    for place in (spec and spec.submodule_search_locations) or ():
        inside = Path(place, *rest)
        for path in (inside / "__init__.py", inside.with_name(f"{inside.name}.py")):
            if path.is_file():
                return path
    origin = spec.origin if spec and not rest else None
    origin = origin or getattr(sys.modules.get(name), "__file__", None)
    return Path(origin) if origin and origin.endswith(".py") else None


def _find_imports(tree: ast.Module, name: str, package: str) -> set[str]:
    """Return the modules that code imports or names, of its package and of this one."""
    tops = {name.partition(".")[0], __package__}
    in_string = re.compile(r"(\w+(?:\.\w+)+)(?::\w+)?")

    def is_ours(name: str) -> bool:
        top, _, rest = name.partition(".")
        is_aside = top == __package__ and rest.partition(".")[0] in _ASIDE
        return top in tops and not is_aside and _find_source(name) is not None

    found = set()
    for node in _walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if is_ours(inner) else base)
        elif isinstance(node, ast.Constant) and (
            match := in_string.fullmatch(str(node.value))
        ):
            found.add(match[1])
    return set(filter(is_ours, found))


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those under `if TYPE_CHECKING`, which compute nothing."""
    queue = [tree]
    while queue:
        node = queue.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            queue += node.orelse
        else:
            queue += ast.iter_child_nodes(node)
