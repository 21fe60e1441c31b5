"""The two containers of torch.save, read without torch.load: legacy and zip.

Legacy, also nested in other pickles as `torch.storage._load_from_bytes`: five pickles
(a magic number, the version, the writer's system, the object, the keys of storages),
then every storage as its size and its bytes. `_load_from_bytes` itself unpickles
whatever it is given, so that a nested file goes through the same closed list here.
"""

from collections.abc import Mapping
from typing import Any

from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.torch_tensors import (
    Storage,
    storage_globals,
    typed_storage,
)
from clip2latent_kedro.generators.files.unpickling import (
    Budget,
    Constructor,
    Machine,
)
from clip2latent_kedro.generators.files.zip_archive import read_members

LEGACY_START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def nested_storage_global(budget: Budget) -> dict[str, Any]:
    """Return the name by which a storage is nested in another pickle."""
    name = "torch.storage._load_from_bytes"
    allowed = storage_globals()

    def load(blob: Any) -> Storage:
        if not isinstance(blob, bytes | memoryview):
            msg = "has a torch storage that is no bytes"
            raise Refusal(msg)
        storage = read_legacy(memoryview(blob), allowed, budget)
        if not isinstance(storage, Storage):
            msg = "has nested torch data that are no storage"
            raise Refusal(msg)
        return storage

    return {name: Constructor(name, load)}


def read_legacy(data: memoryview, allowed: Mapping[str, Any], budget: Budget) -> Any:
    """Return the object in torch's legacy container.

    Args:
        data: The container.
        allowed: The closed list of the object's pickle; the others have none.
        budget: Of the whole file.

    Raises:
        Refusal: If it is not such a container, or the object is refused.
    """
    position = 0

    def load(names: Mapping[str, Any] | None = None) -> Any:
        nonlocal position
        machine = Machine(
            data,
            names or {},
            budget,
            position=position,
            load_persistent=lambda reference: typed_storage(reference, storages),
        )
        result = machine.load()
        position = machine.position
        return result

    storages: dict[str, Storage] = {}
    if load() != _MAGIC or load() != _PROTOCOL:
        msg = "has torch data that do not begin as torch.save begins them"
        raise Refusal(msg)
    system = load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        msg = "was written on a big-endian machine, or does not say on which"
        raise Refusal(msg)
    result = load(allowed)
    keys = load()
    is_list = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not is_list or set(keys) != set(storages):
        msg = "has torch data without a list of its storages"
        raise Refusal(msg)
    for key in keys:
        storage = storages[key]
        start = position + 8
        num = int.from_bytes(data[position:start], "little", signed=True)
        if num != storage.num:
            msg = f"has a storage of {storage.num} numbers that is stored as {num}"
            raise Refusal(msg)
        position = start + num * storage.dtype.itemsize
        storage.find(data[start:position])
    return result


def read_zip(data: memoryview, allowed: Mapping[str, Any], budget: Budget) -> Any:
    """Return the object in torch's zip container.

    Args:
        data: The container.
        allowed: The closed list of the object's pickle.
        budget: Of the whole file.

    Raises:
        Refusal: If it is not such a container, or the object is refused.
    """
    members = read_members(data)
    pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        msg = "is a zip archive without the one data.pkl that torch.save writes"
        raise Refusal(msg)
    folder = pickles[0].removesuffix("data.pkl")
    if bytes(members.get(f"{folder}byteorder", b"little")[:8]) != b"little":
        msg = "was written on a big-endian machine"
        raise Refusal(msg)
    storages: dict[str, Storage] = {}
    result = Machine(
        members[pickles[0]],
        allowed,
        budget,
        load_persistent=lambda reference: typed_storage(reference, storages),
    ).load()
    for key, storage in storages.items():
        if f"{folder}data/{key}" not in members:
            msg = f"lacks the storage {key[:40]!r}"
            raise Refusal(msg)
        storage.find(members[f"{folder}data/{key}"])
    return result
