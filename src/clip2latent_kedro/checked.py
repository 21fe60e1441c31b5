"""Settings that say what they may be: frozen dataclasses, checked as they are made.

The annotation of a field is all that is written of its values, such as
`Annotated[int, Ge(1)]` or `Literal["cosine", "linear"] | None`. One function compares
values with annotations, for a dataclass that is built in code, for one that is read
from a file, and for the whole tree of parameters.
"""

import difflib
import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, astuple, fields, is_dataclass, replace
from functools import cache
from itertools import islice
from math import inf
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from annotated_types import Ge, Gt, Interval, Le, Len, Lt, MultipleOf

from clip2latent_kedro.errors import InputError

T = TypeVar("T")

PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Fraction = Annotated[float, Interval(ge=0, le=1)]
Decay = Annotated[float, Interval(ge=0, lt=1)]
Seed = Annotated[int, Le(inf)]  # hashed, so that it may be of any size

Rule = tuple[bool, str, str]
"""Whether it is kept, the setting that it is told of, what that setting must be."""

LARGEST = {int: 2**31 - 1, float: 1e30}  # of what is computed with in 32 bits
_MOST_SENTENCES = 10
# When a value is within each kind of bound, and how that is said.
_BOUNDS: dict[type, tuple[Callable[..., bool], str]] = {
    Ge: (operator.ge, "{} or more"),
    Gt: (operator.gt, "above {}"),
    Le: (operator.le, "at most {}"),
    Lt: (operator.lt, "below {}"),
    MultipleOf: (lambda value, unit: value % unit == 0, "a multiple of {}"),
    Len: (lambda value, least, _: len(value) == least, "{} of them"),  # exactly
}
_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    bool: "true or false",
    NoneType: "null",
}


class SettingError(InputError):
    """A setting is not what it must be; the message begins with its name."""


class Checked:
    """Base of frozen dataclasses whose fields and rules are checked when one is made.

    Other dataclasses may be fields of it.
    """

    def __post_init__(self) -> None:
        """Check every field against its annotation, then the rules among them.

        Raises:
            InputError: For the first setting that is wrong.
        """
        check_types(type(self), vars(self))
        for is_kept, name, expected in self.rules():
            if not is_kept:
                raise SettingError(
                    _refuse(name, expected, operator.attrgetter(name)(self))
                )

    def rules(self) -> Iterator[Rule]:
        """Yield what no annotation says; nothing is asked for after a broken rule."""
        return iter(())


def read_settings(kind: type[T], values: Any, path: str = "") -> T:
    """Return a dataclass of what a file or a user says, checked at every depth.

    Args:
        kind: The dataclass; its fields may be dataclasses, given as mappings.
        values: As JSON or YAML have them.
        path: Where they stand, for messages.

    Raises:
        InputError: With one sentence for each wrong setting, or for the first broken
            rule: its path, what is expected, what came.
    """
    problems = islice(_find_problems(kind, values, path, kind), _MOST_SENTENCES)
    if sentences := "\n".join(problems):
        raise InputError(sentences)
    built: T = _build(kind, values, path)
    return built


def change_settings(settings: T, changes: Mapping[str, Any]) -> T:
    """Return a dataclass with some settings changed, all checked again.

    Args:
        settings: Dataclasses may be fields of it.
        changes: New values by dotted name, such as `network.depth`.

    Raises:
        InputError: If a value is out of its range.
    """
    changed: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        group, _, rest = name.partition(".")
        if rest:
            groups.setdefault(group, {})[rest] = value
        else:
            changed[name] = value
    for group, of_group in groups.items():
        try:
            changed[group] = change_settings(getattr(settings, group), of_group)
        except SettingError as error:
            raise SettingError(_join(group, error)) from None
    return replace(settings, **changed)  # type: ignore[type-var]


def check_types(kind: type, values: Mapping[str, Any], path: str = "") -> None:
    """Check the values of those fields of a dataclass that are given.

    Args:
        kind: The dataclass.
        values: Others may be among them.
        path: Where they stand in what is being checked, for messages.

    Raises:
        SettingError: If one is not what its field's annotation says.
    """
    for name, hint in _hints(kind).items():
        if name in values:
            for sentence in _find_problems(hint, values[name], _join(path, name)):
                raise SettingError(sentence)


def check_types_at(where: str, kind: type, values: Mapping[str, Any]) -> None:
    """Check values as `check_types` does, with their whole place for messages.

    Args:
        where: From the root, so that nobody puts its own place before it.
        kind: The dataclass.
        values: Others may be among them.

    Raises:
        InputError: If one is not what its field's annotation says.
    """
    try:
        check_types(kind, values, where)
    except SettingError as error:
        raise InputError(*error.args) from None


def known_settings(kind: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every setting of a dataclass, groups included."""
    if is_dataclass(kind):
        for name, hint in _hints(kind).items():
            yield f"{prefix}{name}"
            yield from known_settings(hint, f"{prefix}{name}.")


def describe(hint: Any) -> str:
    """Return an annotation in words, such as `a whole number, 1 or more`."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        bounds = [pair for pair in _bounds(hint) if inf not in pair[1]]
        words = " and ".join(_BOUNDS[kind][1].format(*some) for kind, some in bounds)
        return f"{describe(inside[0])}, {words}" if words else describe(inside[0])
    if origin in (Union, UnionType):
        choices = sorted(map(describe, inside), key=lambda words: "list" in words)
        comma = "," if any(", " in words for words in choices[:-1]) else ""
        return f"{comma} or ".join(choices)
    if origin is Literal:
        return f"one of {', '.join(map(str, inside))}"
    if _is_kind(origin, Sequence):
        of = "" if inside[0] is Any else f", each {describe(inside[0])}"
        return f"a list{of}"
    return _NAMES.get(hint, "a group of parameters")


def _hints(kind: Any) -> dict[str, Any]:
    """Return the annotation of each field that is given, ranges included."""
    return _read_hints(kind)


@cache
def _read_hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


def _build(kind: Any, values: Mapping[str, Any], path: str) -> Any:
    built = dict(values)
    for name, hint in _hints(kind).items():
        if is_dataclass(hint) and name in values:
            built[name] = _build(hint, values[name], _join(path, name))
    try:
        return kind(**built)
    except SettingError as error:
        raise InputError(_join(path, error)) from None


def _find_problems(hint: Any, value: Any, path: str, root: Any = None) -> Iterator[str]:
    """Yield a sentence for whatever a value has that its annotation does not allow.

    Args:
        hint: The annotation.
        value: Any value; a dataclass of the annotated kind is right already.
        path: Its name.
        root: The dataclass of the whole tree, where names are looked for that are
            not known.
    """
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    kind, inside = get_origin(plain) or plain, get_args(plain)
    if is_dataclass(kind) and isinstance(value, Mapping):
        yield from _find_in_group(kind, value, path, root)
    elif not _is_of(kind, inside, value) or not _is_within(hint, value):
        yield _refuse(path, describe(hint), value)
    elif (
        kind in LARGEST
        and not {Le, Lt} & dict(_bounds(hint)).keys()
        and not abs(value) <= LARGEST[kind]
    ):
        yield _refuse(path, f"{describe(hint)}, at most {LARGEST[kind]} in size", value)
    elif _is_kind(kind, Mapping):
        for name, item in value.items():
            yield from _find_problems(inside[0], name, f"a name in {path}", root)
            yield from _find_problems(inside[1], item, _join(path, name), root)
    elif _is_kind(kind, Sequence):
        for index, item in enumerate(value):
            yield from _find_problems(inside[0], item, f"{path}.{index}", root)


def _find_in_group(
    kind: Any, values: Mapping[str, Any], path: str, root: Any
) -> Iterator[str]:
    hints = _hints(kind)
    for name in values:
        if name not in hints:
            full = _join(path, str(name)[:80])
            yield f"{full} is not a parameter.{_suggest(kind, full, root)}"
    needed = {
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    }
    for name, hint in hints.items():
        full = _join(path, name)
        if name in values:
            yield from _find_problems(hint, values[name], full, root)
        elif name in needed:
            yield f"{full} is missing. It must be {describe(hint)}."


def _suggest(kind: Any, path: str, root: Any) -> str:
    """Return a guess at the setting that was meant, or what there is beside it."""
    group, _, name = path.rpartition(".")
    close = difflib.get_close_matches(name, _hints(kind), n=1, cutoff=0.5)
    elsewhere = [each for each in known_settings(root) if each.endswith(f".{name}")]
    if guesses := [_join(group, guess) for guess in close] or elsewhere:
        return f" Did you mean {' or '.join(guesses)}?"
    return f" Known here: {', '.join(_hints(kind))}."


def _is_of(kind: Any, inside: tuple[Any, ...], value: Any) -> bool:
    """Return whether a value is of a type, whatever is in it if it holds others."""
    if kind is Any:
        return True
    if kind in (Union, UnionType):
        return any(not any(_find_problems(each, value, "")) for each in inside)
    if kind is Literal:
        return any(type(value) is type(each) and value == each for each in inside)
    if kind in (int, float):
        is_number = isinstance(value, Integral if kind is int else Real)
        return is_number and not isinstance(value, bool) and value == value
    return isinstance(value, list | tuple if _is_kind(kind, Sequence) else kind)


def _is_kind(kind: Any, holder: type) -> bool:
    return isinstance(kind, type) and kind is not str and issubclass(kind, holder)


@cache
def _bounds(hint: Any) -> list[tuple[type, tuple[Any, ...]]]:
    """Return the kind and the limits of each bound in an annotation."""
    return [
        (type(bound), astuple(bound))  # type: ignore[arg-type]
        for each in (get_args(hint)[1:] if get_origin(hint) is Annotated else ())
        for bound in (each if isinstance(each, Interval) else [each])
    ]


def _is_within(hint: Any, value: Any) -> bool:
    return all(_BOUNDS[kind][0](value, *limits) for kind, limits in _bounds(hint))


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _refuse(path: str, expected: str, value: object) -> str:
    return f"{path or 'Settings'} must be {expected}, got {_show(value)}."


def _show(value: object) -> str:
    """Return the beginning of a value as JSON; a list of lists only by its type.

    Few lists in a pickle may hold each other so often that their text has no end.
    """
    items: Iterable[object] = ()
    if isinstance(value, Mapping | list | tuple):
        items = value.values() if isinstance(value, Mapping) else value
    if any(isinstance(item, Mapping | list | tuple) for item in items):
        return f"a {type(value).__name__} of lists or mappings"
    return json.dumps(value, default=str, skipkeys=True)[:200]
