"""Settings as they are stored with what they made, and how two of them differ."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any


def list_differences(
    stored: Mapping[str, Any], asked: Mapping[str, Any], *, free: Collection[str] = ()
) -> list[str]:
    """Return one phrase for each setting that differs, to be shown to a user.

    Args:
        stored: Settings, nested.
        asked: The same, of now.
        free: Dotted names that may differ, with all that is below them.
    """
    before, now = dict(_leaves(stored)), dict(_leaves(asked))
    return [
        f"{name} (stored {before.get(name)!r}, asked {now.get(name)!r})"
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
