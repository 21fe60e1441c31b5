"""Reads pickles without running them: a machine that knows only a closed list.

A pickle is a program that names functions and calls them. Here a name means what the
list given to the machine says (a constant, or a stand-in of ours that builds data) and
nothing is ever imported; a name that is not on the list refuses the file. What a
pickle may cost is bounded by a `Budget`, and what it builds by `check_nesting`.

The layout of the opcodes is that of the standard library's `pickletools`, protocols 0
to 5. Those that reach outside the pickle (extension registry, out-of-band buffers) are
refused, and so are integers of more than 255 bytes. Large byte strings stay slices of
the file, so that weights are copied once, at the end.
"""

import pickletools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from clip2latent_kedro.reading.documents import bound_tree

MAX_OPCODES = 1_000_000
MAX_DEPTH = 100
_MAX_KEY = 2**60
_MAX_LINE = 4096
_LEAST_SLICE = 1 << 16  # bytes; fewer are copied
# Modules that moved between versions of Python and NumPy, and how they are listed.
_RENAMED = {"__builtin__": "builtins", "numpy._core": "numpy.core"}


class Refusal(Exception):  # noqa: N818 - a verdict on a file, not a fault of ours
    """Why a file is refused: the sentence that follows "it"."""


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
            raise Refusal("describes data far larger than the file itself")

    def take_opcode(self) -> None:
        """Spend one opcode; `Refusal` if there is none left."""
        self.opcodes -= 1
        if self.opcodes < 0:
            raise Refusal(f"has more than {MAX_OPCODES} pickle opcodes")


@dataclass(frozen=True)
class Constructor:
    """A name on the list that may be called, and the stand-in that is called.

    Attributes:
        name: Dotted, as it is listed.
        build: Checks its arguments and returns data.
    """

    name: str
    build: Callable[..., Any]


@dataclass
class Instance:
    """An object of a class on the list, without its class.

    Attributes:
        name: Name of the class.
        state: Its attributes.
    """

    name: str
    state: dict[str, Any] = field(default_factory=dict)

    def set_state(self, state: Any) -> None:
        """Take the pickled attributes."""
        if not isinstance(state, dict):
            raise Refusal(f"gives a {self.name} a state that is no dict")
        self.state = state


class MappedFile:
    """Memory as a file for the readers of `pickletools`.

    Attributes:
        data: The memory.
        position: Behind what has been read.
    """

    def __init__(self, data: memoryview) -> None:
        """Begin at the start."""
        self.data = data
        self.position = 0

    def read(self, num: int) -> bytes | memoryview:
        """Return the next bytes; many of them as a slice.

        Raises:
            Refusal: If there are not so many.
        """
        start, left = self.position, len(self.data) - self.position
        if not 0 <= num <= left:
            raise Refusal(f"ends early: {num} bytes are expected where {left} are left")
        self.position += num
        part = self.data[start : self.position]
        return bytes(part) if num < _LEAST_SLICE else part

    def readline(self) -> bytes:
        """Return the next line with its end; `Refusal` if it is long or has no end."""
        start = self.position
        line, end, _ = bytes(self.data[start : start + _MAX_LINE]).partition(b"\n")
        if not end:
            raise Refusal(f"has a line of more than {_MAX_LINE} bytes, or no end of it")
        self.position += len(line) + 1
        return line + end


class Machine:
    """Reads one pickle."""

    def __init__(
        self,
        file: MappedFile,
        names: Mapping[str, Any],
        budget: Budget,
        load_persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            file: At the start of the pickle; afterwards it is behind it.
            names: The closed list: dotted names, and what they stand for. What can be
                called is, when the pickle calls it; anything else is a constant.
            budget: What the whole file may still take.
            load_persistent: What resolves a reference to outside the pickle; None
                refuses them.
        """
        self._file = file
        self._names = names
        self._load_persistent = load_persistent
        self._marked: list[list[Any]] = []
        self.budget = budget
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Return what the pickle describes.

        Raises:
            Refusal: If it names something that is not on the list or costs too much.
            Exception: One of `reading.MISSHAPEN` if it is no whole pickle.
        """
        name, file = "", self._file
        while name != "STOP":
            if file.position == len(file.data):
                raise Refusal("ends early, in the middle of a pickle")
            code = file.data[file.position]
            file.position += 1
            if code not in _OPCODES:
                raise Refusal(f"has the byte {code:#04x} where an opcode is expected")
            name, read, act = _OPCODES[code]
            self.budget.take_opcode()
            act(self, None if read is None else read(file))
        (result,) = self.stack
        return result

    def push(self, value: Any) -> None:
        """Push an argument; what was copied out of the file to make it is spent."""
        if isinstance(value, str | bytes):
            self.budget.take_bytes(len(value))
        self.stack.append(value)

    def find(self, module: Any, name: Any) -> None:
        """Push what a name on the list stands for."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refusal("names a global by something else than text")
        spelt = f"{module}.{name}"
        for old, new in _RENAMED.items():
            if f"{module}.".startswith(f"{old}."):
                module = new + module.removeprefix(old)
        listed = f"{module}.{name}"
        if listed not in self._names:
            raise Refusal(
                f"names the global {spelt[:200]!r}, which is not on the list of what "
                f"such a file may hold"
            )
        entry = self._names[listed]
        self.stack.append(Constructor(listed, entry) if callable(entry) else entry)

    def call(self, function: Any, arguments: Any) -> None:
        """Push what a stand-in builds."""
        if not isinstance(function, Constructor) or not isinstance(arguments, tuple):
            kind = type(function).__name__
            raise Refusal(f"calls an object of type {kind}, no function on the list")
        self.stack.append(function.build(*arguments))

    def new(self, *, has_keywords: bool = False) -> None:
        """Push what the function below the top builds of the arguments on top."""
        if has_keywords and self.stack.pop():
            raise Refusal("builds an object with keywords")
        arguments = self.stack.pop()
        self.call(self.stack.pop(), arguments)

    def new_marked(self, names: str | None) -> None:
        """Push what a function builds, as the first protocols write it."""
        items = self.pop_marked()
        if names is not None:
            self.find(*names.split(" ", 1))
            items.insert(0, self.stack.pop())
        self.call(items[0], tuple(items[1:]))

    def build(self) -> None:
        """Give the object on top its pickled state."""
        state = self.stack.pop()
        if hasattr(self.stack[-1], "set_state"):
            self.stack[-1].set_state(state)
        else:  # attributes of a dict hold no weights
            self.top(dict, "gives a state to")

    def refer(self, reference: Any) -> None:
        """Push what lies outside the pickle."""
        if self._load_persistent is None:
            raise Refusal("refers to data outside the pickle")
        self.stack.append(self._load_persistent(reference))

    def top(self, kind: type, verb: str) -> Any:
        """Return the object on top, which must be of a kind."""
        if not isinstance(self.stack[-1], kind):
            name = type(self.stack[-1]).__name__
            raise Refusal(f"{verb} an object of type {name}")
        return self.stack[-1]

    def mark(self) -> None:
        """Let what is pushed from now on be taken together."""
        self._marked.append(self.stack)
        self.stack = []

    def pop_marked(self) -> list[Any]:
        """Return everything since the last mark, off the stack."""
        items, self.stack = self.stack, self._marked.pop()
        return items

    def discard(self) -> None:
        """Take off the object on top, or else the mark."""
        if self.stack:
            self.stack.pop()
        else:
            self.pop_marked()

    def gather(self, num: int) -> None:
        """Make a tuple of the objects on top."""
        items = tuple(self.stack[-num:])
        if len(items) < num:
            raise IndexError(num)
        self.stack[-num:] = [items]

    def gather_marked(self, convert: Callable[[list[Any]], Any]) -> None:
        """Push what is made of everything since the last mark."""
        items = self.pop_marked()
        self.stack.append(convert(items))

    def append(self, items: list[Any]) -> None:
        """Put items, which are off the stack, into the list on top."""
        self.top(list, "appends to").extend(items)

    def set_items(self, items: list[Any]) -> None:
        """Put keys and values, in turn, into the dict on top."""
        self.top(dict, "sets items of").update(_pairs(items))

    def add_items(self, items: list[Any]) -> None:
        """Put items into the set on top."""
        self.top(set, "adds items to").update(map(checked_key, items))

    def memoize(self, index: int) -> None:
        """Keep the object on top under a number."""
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        """Push what is kept under a number."""
        self.stack.append(self.memo[index])


def checked_key(key: Any) -> Any:
    """Return a key of a dict or item of a set, if it is plain text or a plain number.

    Others, such as nested tuples, could take for ever to hash.
    """
    if type(key) not in (str, int, bool, type(None)) or (
        type(key) is int and abs(key) > _MAX_KEY
    ):
        kind = "huge int" if type(key) is int else type(key).__name__
        raise Refusal(f"has an object of type {kind} as the key of a dict or in a set")
    return key


def check_nesting(root: Any) -> None:
    """Check that data refer to no container within itself and are not too deep.

    What walks them later needs no bounds of its own on depth.

    Raises:
        Refusal: If they do.
    """
    try:
        bound_tree(root, _children, max_nodes=inf, max_depth=MAX_DEPTH)
    except ValueError as error:
        raise Refusal(str(error).removeprefix("it ")) from error


def _children(node: Any) -> Iterable[Any]:
    """Return the containers within a container."""
    if isinstance(node, dict):
        items: Iterable[Any] = node.values()
    elif isinstance(node, list | tuple):
        items = node
    else:
        items = [getattr(node, "state", None)]
    return [item for item in items if isinstance(item, dict | list | tuple | Instance)]


def _pairs(items: list[Any]) -> dict[Any, Any]:
    keys = map(checked_key, items[::2])
    return dict(zip(keys, items[1::2], strict=True))


_PUSHED = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    "BYTEARRAY8",
)
_MEMOIZED = ("PUT", "BINPUT", "LONG_BINPUT")
_RECALLED = ("GET", "BINGET", "LONG_BINGET")
# What each opcode does with its argument, by the name that `pickletools` gives it.
_ACTIONS: dict[str, Callable[[Machine, Any], Any]] = {
    **dict.fromkeys(_PUSHED, Machine.push),
    **dict.fromkeys(_MEMOIZED, Machine.memoize),
    **dict.fromkeys(_RECALLED, Machine.recall),
    **dict.fromkeys(("STOP", "PROTO", "FRAME"), lambda m, _: None),
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_SET": lambda m, _: m.stack.append(set()),
    "MARK": lambda m, _: m.mark(),
    "POP": lambda m, _: m.discard(),
    "POP_MARK": lambda m, _: m.pop_marked(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "APPEND": lambda m, _: m.append([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append(m.pop_marked()),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(-2), m.stack.pop()]),
    "SETITEMS": lambda m, _: m.set_items(m.pop_marked()),
    "ADDITEMS": lambda m, _: m.add_items(m.pop_marked()),
    "LIST": lambda m, _: m.gather_marked(list),
    "TUPLE": lambda m, _: m.gather_marked(tuple),
    "DICT": lambda m, _: m.gather_marked(_pairs),
    "FROZENSET": lambda m, _: m.gather_marked(lambda i: frozenset(map(checked_key, i))),
    "TUPLE1": lambda m, _: m.gather(1),
    "TUPLE2": lambda m, _: m.gather(2),
    "TUPLE3": lambda m, _: m.gather(3),
    "MEMOIZE": lambda m, _: m.memoize(len(m.memo)),
    "GLOBAL": lambda m, names: m.find(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.find(m.stack.pop(-2), m.stack.pop()),
    "REDUCE": lambda m, _: m.new(),
    "NEWOBJ": lambda m, _: m.new(),
    "NEWOBJ_EX": lambda m, _: m.new(has_keywords=True),
    "INST": Machine.new_marked,
    "OBJ": Machine.new_marked,
    "BUILD": lambda m, _: m.build(),
    "PERSID": Machine.refer,
    "BINPERSID": lambda m, _: m.refer(m.stack.pop()),
}
# By byte: name, reader of the argument or None, action.
_OPCODES: dict[int, tuple[str, Any, Callable[[Machine, Any], Any]]] = {
    ord(opcode.code): (
        opcode.name,
        None if opcode.arg is None else opcode.arg.reader,
        _ACTIONS[opcode.name],
    )
    for opcode in pickletools.opcodes
    if opcode.name in _ACTIONS
}
# Its own reader would copy the bytes; the layout is the same.
_OPCODES[0x96] = ("BYTEARRAY8", pickletools.bytes8.reader, Machine.push)
