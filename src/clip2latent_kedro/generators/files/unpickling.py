"""Reads pickles without running them: a machine that knows only a closed list.

A pickle is a program that names functions and calls them. Here a name means what the
list given to the machine says (a constant, or a stand-in of ours that builds data) and
nothing is ever imported; a name that is not on the list refuses the file. What a
pickle may cost is bounded by a `Budget`, and what it builds by `check_nesting`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clip2latent_kedro.generators.files.opcodes import Refusal, read_opcodes

MAX_OPCODES = 1_000_000
MAX_DEPTH = 100
_MAX_KEY = 2**60
# Modules that moved between versions of Python and NumPy, and how they are listed.
_RENAMED = {"__builtin__": "builtins", "numpy._core": "numpy.core"}


@dataclass
class Budget:
    """What reading one file may still cost, shared by all pickles within it.

    Attributes:
        num_bytes: That may be copied out of the file.
        opcodes: That may be read.
    """

    num_bytes: int
    opcodes: int = MAX_OPCODES

    def take_bytes(self, num: int) -> None:
        """Spend bytes.

        Raises:
            Refusal: If there are not so many left.
        """
        self.num_bytes -= num
        if self.num_bytes < 0:
            msg = "describes data far larger than the file itself"
            raise Refusal(msg)

    def take_opcode(self) -> None:
        """Spend one opcode; `Refusal` if there is none left."""
        self.opcodes -= 1
        if self.opcodes < 0:
            msg = f"has more than {MAX_OPCODES} pickle opcodes"
            raise Refusal(msg)


@dataclass(frozen=True)
class Constructor:
    """A name on the list that may be called, and the stand-in that is called.

    Attributes:
        name: Dotted, as the pickle spells it.
        build: Checks its arguments and returns data.
    """

    name: str
    build: Callable[..., Any]


@dataclass
class Instance:
    """An object of a class on the list, without its class.

    Attributes:
        name: Of the class.
        state: Its attributes.
    """

    name: str
    state: dict[str, Any] = field(default_factory=dict)

    def set_state(self, state: Any) -> None:
        """Take the pickled attributes."""
        if not isinstance(state, dict):
            msg = f"gives a {self.name} a state that is no dict"
            raise Refusal(msg)
        self.state = state


def constructors(builders: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """Return entries of a list of names that may be called, by name."""
    return {name: Constructor(name, build) for name, build in builders.items()}


class Machine:
    """Reads one pickle.

    Attributes:
        position: Behind the pickle, once it is read.
    """

    def __init__(
        self,
        data: memoryview,
        allowed: Mapping[str, Any],
        budget: Budget,
        *,
        position: int = 0,
        load_persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            data: What holds the pickle.
            allowed: The closed list: dotted names and what they stand for.
            budget: Of the whole file.
            position: Where the pickle begins.
            load_persistent: What resolves a reference to outside the pickle; None
                refuses them.
        """
        self.position = position
        self._data = data
        self._allowed = allowed
        self._budget = budget
        self._load_persistent = load_persistent
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Return what the pickle describes.

        Raises:
            Refusal: If it names something that is not on the list, costs too much, or
                is no whole pickle.
        """
        try:
            for code, argument, end in read_opcodes(self._data, self.position):
                self._budget.take_opcode()
                self.position = end
                if code in _PUSHES:
                    if isinstance(argument, str):
                        self._budget.take_bytes(len(argument))
                    self._stack.append(argument)
                else:
                    _ACTIONS[code](self, argument)
            (result,) = self._stack
        except (IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
            msg = f"is no whole pickle ({type(error).__name__} at byte {self.position})"
            raise Refusal(msg) from error
        return result

    def _find(self, module: Any, name: Any) -> None:
        """Push what a name on the list stands for."""
        if not isinstance(module, str) or not isinstance(name, str):
            msg = "names a global by something else than text"
            raise Refusal(msg)
        spelt = f"{module}.{name}"
        for old, new in _RENAMED.items():
            if f"{module}.".startswith(f"{old}."):
                module = new + module.removeprefix(old)
        entry = self._allowed.get(f"{module}.{name}")
        if entry is None:
            msg = (
                f"names the global {spelt[:200]!r}, which is not on the list of what "
                f"such a file may hold"
            )
            raise Refusal(msg)
        self._stack.append(entry)

    def _call(self, function: Any, arguments: Any) -> None:
        """Push what a stand-in builds."""
        if not isinstance(function, Constructor) or not isinstance(arguments, tuple):
            kind = type(function).__name__
            msg = f"calls an object of type {kind}, no function on the list"
            raise Refusal(msg)
        try:
            self._stack.append(function.build(*arguments))
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            msg = f"calls {function.name} with arguments that it cannot have"
            raise Refusal(msg) from error

    def _pop_marked(self) -> list[Any]:
        """Return everything since the last mark, off the stack."""
        items, self._stack = self._stack, self._marked.pop()
        return items

    def _push_marked(self, convert: Callable[[list[Any]], Any]) -> None:
        items = self._pop_marked()
        self._stack.append(convert(items))

    def _mark(self, _: Any) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_marked()

    def _pop_to_mark(self, _: Any) -> None:
        self._pop_marked()

    def _append(self, items: Iterable[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            msg = f"appends to an object of type {type(target).__name__}"
            raise Refusal(msg)
        target.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            msg = f"sets items of an object of type {type(target).__name__}"
            raise Refusal(msg)
        target.update(_pairs(items))

    def _add_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, set):
            msg = f"adds items to an object of type {type(target).__name__}"
            raise Refusal(msg)
        target.update(map(checked_key, items))

    def _tuple(self, num: int) -> None:
        items = tuple(self._stack[-num:])
        if len(items) < num:
            raise IndexError(num)
        self._stack[-num:] = [items]

    def _memoize(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _build(self, _: Any) -> None:
        """Give the object on the stack its pickled state."""
        state = self._stack.pop()
        target = self._stack[-1]
        if hasattr(target, "set_state"):
            target.set_state(state)
        elif not isinstance(target, dict):  # attributes of a dict hold no weights
            msg = f"gives a state to an object of type {type(target).__name__}"
            raise Refusal(msg)

    def _persistent(self, reference: Any) -> None:
        if self._load_persistent is None:
            msg = "refers to data outside the pickle"
            raise Refusal(msg)
        self._stack.append(self._load_persistent(reference))

    def _new(self, *, has_keywords: bool) -> None:
        if has_keywords and self._stack.pop():
            msg = "builds an object with keywords"
            raise Refusal(msg)
        arguments = self._stack.pop()
        self._call(self._stack.pop(), arguments)

    def _call_marked(self, names: tuple[str, str] | None) -> None:
        """Build an object as the first protocols write it."""
        items = self._pop_marked()
        if names is not None:
            self._find(*names)
            items.insert(0, self._stack.pop())
        self._call(items[0], tuple(items[1:]))


def checked_key(key: Any) -> Any:
    """Return a key of a dict or item of a set, if it is plain text or a plain number.

    Others, such as nested tuples, could take for ever to hash.
    """
    if type(key) not in (str, int, bool, type(None)) or (
        type(key) is int and abs(key) > _MAX_KEY
    ):
        kind = "huge int" if type(key) is int else type(key).__name__
        msg = f"has an object of type {kind} as the key of a dict or in a set"
        raise Refusal(msg)
    return key


def check_nesting(root: Any) -> None:
    """Check that data refer to no container within itself and are not too deep.

    What walks them later needs no bounds of its own on depth.

    Raises:
        Refusal: If they do.
    """
    heights: dict[int, int] = {}
    path = [(root, iter(_children(root)), 0)]
    on_path = {id(root)}
    while path:
        node, children, height = path.pop()
        for child in children:
            key = id(child)
            if key in on_path:
                msg = f"has a {type(child).__name__} that contains itself"
                raise Refusal(msg)
            if key in heights:
                height = max(height, heights[key] + 1)
                continue
            path += [(node, children, height), (child, iter(_children(child)), 0)]
            on_path.add(key)
            break
        else:
            heights[id(node)] = height
            on_path.discard(id(node))
            if path:
                parent, rest, before = path[-1]
                path[-1] = (parent, rest, max(before, height + 1))
        if len(path) + height > MAX_DEPTH:
            msg = f"nests its data more than {MAX_DEPTH} deep"
            raise Refusal(msg)


def _children(node: Any) -> Iterable[Any]:
    """Return the containers within a container."""
    if isinstance(node, dict):
        items: Iterable[Any] = node.values()
    elif isinstance(node, list | tuple):
        items = node
    else:
        items = [getattr(node, "state", None)]
    return [item for item in items if isinstance(item, _CONTAINERS)]


def _pairs(items: list[Any]) -> dict[Any, Any]:
    keys = map(checked_key, items[::2])
    return dict(zip(keys, items[1::2], strict=True))


_CONTAINERS = (dict, list, tuple, Instance)
# Opcodes that push their argument: numbers, texts and bytes.
_PUSHES = frozenset(b"KMJGILFSVXUTCB\x8a\x8b\x8c\x8d\x8e\x96")
_ACTIONS: dict[int, Callable[[Machine, Any], None]] = {
    ord("."): lambda m, _: None,
    0x80: lambda m, _: None,
    0x95: lambda m, _: None,
    ord("N"): lambda m, _: m._stack.append(None),
    0x88: lambda m, _: m._stack.append(True),
    0x89: lambda m, _: m._stack.append(False),
    ord(")"): lambda m, _: m._stack.append(()),
    ord("]"): lambda m, _: m._stack.append([]),
    ord("}"): lambda m, _: m._stack.append({}),
    0x8F: lambda m, _: m._stack.append(set()),
    ord("("): Machine._mark,
    ord("0"): Machine._pop,
    ord("1"): Machine._pop_to_mark,
    ord("2"): lambda m, _: m._stack.append(m._stack[-1]),
    ord("a"): lambda m, _: m._append([m._stack.pop()]),
    ord("e"): lambda m, _: m._append(m._pop_marked()),
    ord("s"): lambda m, _: m._set_items([m._stack.pop(-2), m._stack.pop()]),
    ord("u"): lambda m, _: m._set_items(m._pop_marked()),
    0x90: lambda m, _: m._add_items(m._pop_marked()),
    ord("l"): lambda m, _: m._push_marked(list),
    ord("t"): lambda m, _: m._push_marked(tuple),
    ord("d"): lambda m, _: m._push_marked(_pairs),
    0x91: lambda m, _: m._push_marked(lambda items: frozenset(map(checked_key, items))),
    0x85: lambda m, _: m._tuple(1),
    0x86: lambda m, _: m._tuple(2),
    0x87: lambda m, _: m._tuple(3),
    0x94: lambda m, _: m._memoize(len(m._memo)),
    ord("p"): Machine._memoize,
    ord("q"): Machine._memoize,
    ord("r"): Machine._memoize,
    ord("g"): lambda m, index: m._stack.append(m._memo[index]),
    ord("h"): lambda m, index: m._stack.append(m._memo[index]),
    ord("j"): lambda m, index: m._stack.append(m._memo[index]),
    ord("c"): lambda m, names: m._find(*names),
    0x93: lambda m, _: m._find(m._stack.pop(-2), m._stack.pop()),
    ord("R"): lambda m, _: m._new(has_keywords=False),
    0x81: lambda m, _: m._new(has_keywords=False),
    0x92: lambda m, _: m._new(has_keywords=True),
    ord("i"): Machine._call_marked,
    ord("o"): Machine._call_marked,
    ord("b"): Machine._build,
    ord("P"): Machine._persistent,
    ord("Q"): lambda m, _: m._persistent(m._stack.pop()),
}
