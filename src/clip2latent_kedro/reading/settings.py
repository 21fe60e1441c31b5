"""Settings in a stranger's file, checked against the dataclass that they are for."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import isfinite
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def read_settings(kind: type[T], values: Any) -> T:
    """Return a dataclass of what a file says, each value of its field's type.

    Numbers are finite, and true and false are none.

    Args:
        kind: The dataclass.
        values: As JSON has them.

    Raises:
        ValueError: If a value is missing, unknown or of another type; or whatever the
            dataclass itself refuses.
    """
    if not isinstance(values, Mapping):
        msg = f"{kind.__name__} must be a mapping, got {str(values)[:80]!r}"
        raise ValueError(msg)
    unknown = sorted(map(str, values.keys() - {field.name for field in fields(kind)}))  # type: ignore[arg-type]
    if unknown:
        msg = f"{kind.__name__} has no {unknown[0][:40]!r}"
        raise ValueError(msg)
    check_types(kind, values)
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(str(error)) from error


def check_types(kind: type, values: Mapping[str, Any]) -> None:
    """Check the values that are a dataclass's, as far as there are any.

    Raises:
        ValueError: If one is of another type than its field.
    """
    for name, hint in get_type_hints(kind).items():
        if name in values and not _is_of(values[name], hint):
            value = values[name]
            # A list in a pickle may stand for more than could ever be written out.
            is_short = value is None or isinstance(value, str | int | float)
            got = repr(str(value)[:80]) if is_short else f"a {type(value).__name__}"
            raise ValueError(f"{kind.__name__} cannot have {got} as {name}")


def _is_of(value: Any, hint: Any) -> bool:
    """Return whether a value of JSON is of an annotated type."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_is_of(value, choice) for choice in inside)
    if origin is Literal:
        return isinstance(value, str | int) and value in inside
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            _is_of(key, inside[0]) and _is_of(item, inside[1])
            for key, item in value.items()
        )
    if isinstance(origin, type) and issubclass(origin, Sequence):
        is_list = isinstance(value, list | tuple)
        return is_list and all(_is_of(item, inside[0]) for item in value)
    if hint is Any or hint is NoneType or hint is None:
        return hint is Any or value is None
    is_bool = isinstance(value, bool)
    if hint is float:
        return isinstance(value, Real) and not is_bool and isfinite(value)
    if hint is int:
        return isinstance(value, Integral) and not is_bool
    return isinstance(value, hint)
