"""The opcodes of a pickle with their arguments, read from memory without running it.

Large byte strings stay slices of the file, so that weights are copied once, at the
end. Opcodes: CPython's pickletools, protocols 0 to 5; those that reach outside the
pickle (extension registry, out-of-band buffers) are not among them.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any

_MAX_LINE = 4096
_MAX_INTEGER_BYTES = 255

Read = Callable[[memoryview, int], tuple[Any, int]]


class Refusal(Exception):  # noqa: N818 - a verdict on a file, not a fault of ours
    """Why a file is refused: the sentence that follows "it"."""


def read_opcodes(data: memoryview, position: int = 0) -> Iterator[tuple[int, Any, int]]:
    """Yield code, argument (None if it has none) and end position, up to STOP.

    Args:
        data: The file, or the part of one that holds the pickle.
        position: Where the pickle begins.

    Raises:
        Refusal: If the pickle ends early or has an opcode that is not read here.
    """
    code = 0
    while code != _STOP:
        if position >= len(data):
            msg = "ends in the middle of a pickle"
            raise Refusal(msg)
        code = data[position]
        position += 1
        read = _READERS.get(code)
        if read is not None:
            argument, position = read(data, position)
        elif code in _PLAIN:
            argument = None
        else:
            msg = f"has the byte {code:#04x} where a pickle opcode is expected"
            raise Refusal(msg)
        yield code, argument, position


def _fixed(layout: str) -> Read:
    """Return a reader of one number of a fixed size."""
    struct = Struct(layout)

    def read(data: memoryview, position: int) -> tuple[Any, int]:
        end = _end(data, position, struct.size)
        return struct.unpack_from(data, position)[0], end

    return read


def _counted(layout: str, convert: Callable[[memoryview], Any]) -> Read:
    """Return a reader of a length, of a fixed size, and as many bytes."""
    read_length = _fixed(layout)

    def read(data: memoryview, position: int) -> tuple[Any, int]:
        length, start = read_length(data, position)
        end = _end(data, start, length)
        return convert(data[start:end]), end

    return read


def _lines(num: int, convert: Callable[..., Any]) -> Read:
    """Return a reader of lines of text."""

    def read(data: memoryview, position: int) -> tuple[Any, int]:
        texts = []
        for _ in range(num):
            line, end, _ = bytes(data[position : position + _MAX_LINE]).partition(b"\n")
            if not end:
                msg = f"has a line of text of more than {_MAX_LINE} bytes, or no end"
                raise Refusal(msg)
            texts.append(line.decode("latin-1"))
            position += len(line) + 1
        return convert(*texts), position

    return read


def _end(data: memoryview, start: int, length: int) -> int:
    """Return where so many bytes end, if they are there."""
    if not 0 <= length <= len(data) - start:
        msg = (
            f"ends early: a pickled value of {length} bytes begins at byte {start} of "
            f"{len(data)}"
        )
        raise Refusal(msg)
    return start + length


def _integer(data: memoryview) -> int:
    if len(data) > _MAX_INTEGER_BYTES:
        msg = f"has an integer of {len(data)} bytes, more than {_MAX_INTEGER_BYTES}"
        raise Refusal(msg)
    return int.from_bytes(data, "little", signed=True)


def _utf8(data: memoryview) -> str:
    return str(data, "utf-8", "surrogatepass")


def _latin1(data: memoryview) -> str:
    return str(data, "latin-1")


def _same(data: memoryview) -> memoryview:
    return data


def _unescaped(text: str) -> str:
    return text.encode("latin-1").decode("raw-unicode-escape")


def _decimal(text: str) -> int | bool:
    if text in {"00", "01"}:  # how the first protocols write False and True
        return text == "01"
    return int(text.removesuffix("L"))


_STOP = ord(".")
# Opcodes without an argument.
_PLAIN = frozenset(
    b"(.012NQR)]}abdelostu\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94"
)
_READERS: dict[int, Read] = {
    ord("K"): _fixed("<B"),
    ord("M"): _fixed("<H"),
    ord("J"): _fixed("<i"),
    ord("G"): _fixed(">d"),
    ord("h"): _fixed("<B"),
    ord("j"): _fixed("<I"),
    ord("q"): _fixed("<B"),
    ord("r"): _fixed("<I"),
    0x80: _fixed("<B"),
    0x95: _fixed("<Q"),
    0x8A: _counted("<B", _integer),
    0x8B: _counted("<i", _integer),
    0x8C: _counted("<B", _utf8),
    ord("X"): _counted("<I", _utf8),
    0x8D: _counted("<Q", _utf8),
    ord("U"): _counted("<B", _latin1),
    ord("T"): _counted("<i", _latin1),
    ord("C"): _counted("<B", _same),
    ord("B"): _counted("<I", _same),
    0x8E: _counted("<Q", _same),
    0x96: _counted("<Q", _same),
    ord("c"): _lines(2, lambda module, name: (module, name)),
    ord("i"): _lines(2, lambda module, name: (module, name)),
    ord("I"): _lines(1, _decimal),
    ord("L"): _lines(1, _decimal),
    ord("F"): _lines(1, float),
    ord("S"): _lines(1, lambda text: text[1:-1]),
    ord("V"): _lines(1, _unescaped),
    ord("P"): _lines(1, str),
    ord("g"): _lines(1, int),
    ord("p"): _lines(1, int),
}
