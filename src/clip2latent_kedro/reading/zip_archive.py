"""The members of an uncompressed zip archive, as slices of the file.

torch.save stores its members as they are, so that nothing has to be unpacked (and
nothing can unpack to more than the file). Layout: PKWARE's APPNOTE 6.3, sections
4.3.7, 4.3.12 and 4.3.14 to 4.3.16.
"""

from struct import Struct
from typing import Any

from clip2latent_kedro.reading.pickles import Refusal

_MAX_MEMBERS = 50_000
_STORED = 0
_ENCRYPTED = 1
# Signature; entries, bytes and start of the directory.
_END = Struct("<4s6xHII2x")
_END_SEARCH = _END.size + 0xFFFF
_LOCATOR = Struct("<4s4xQ4x")
_END_64 = Struct("<4s28xQQQ")
# Signature, flags, method, packed and whole size, lengths of name, extra field and
# comment, start of the member.
_ENTRY = Struct("<4s4xHH8xIIHHH8xI")
_LOCAL = Struct("<4s22xHH")


def read_members(data: memoryview) -> dict[str, memoryview]:
    """Return the bytes of every member, by name.

    Raises:
        Refusal: If the archive is damaged, compressed, encrypted or too large.
    """
    num, position = _directory(data)
    if num > _MAX_MEMBERS:
        raise Refusal(f"is a zip archive of {num} members, more than {_MAX_MEMBERS}")
    members = {}
    for _ in range(num):
        (sign, flags, method, packed, size, *lengths, start) = _unpack(
            _ENTRY, data, position
        )
        if sign != b"PK\x01\x02":
            raise Refusal("is a damaged zip archive")
        position += _ENTRY.size
        name = bytes(data[position : position + lengths[0]]).decode("utf-8", "replace")
        position += sum(lengths)
        if method != _STORED or flags & _ENCRYPTED or packed != size:
            raise Refusal(f"is a zip archive whose member {name[:80]!r} is compressed")
        sign, *local_lengths = _unpack(_LOCAL, data, start)
        first = start + _LOCAL.size + sum(local_lengths)
        if sign != b"PK\x03\x04" or first + size > len(data):
            raise Refusal(f"is a zip archive whose member {name[:80]!r} is cut off")
        members[name] = data[first : first + size]
    return members


def _directory(data: memoryview) -> tuple[int, int]:
    """Return the number of members and where the directory begins."""
    tail = max(len(data) - _END_SEARCH, 0)
    found = bytes(data[tail:]).rfind(b"PK\x05\x06")
    if found < 0:
        raise Refusal("is a zip archive without its end")
    end = tail + found
    _, num, _, start = _unpack(_END, data, end)
    if end >= _LOCATOR.size:
        sign, end_64 = _unpack(_LOCATOR, data, end - _LOCATOR.size)
        if sign == b"PK\x06\x07":
            _, num, _, start = _unpack(_END_64, data, end_64)
    return num, start


def _unpack(struct: Struct, data: memoryview, position: int) -> tuple[Any, ...]:
    if position + struct.size > len(data):
        raise Refusal("is a zip archive that is cut off")
    return struct.unpack_from(data, position)
