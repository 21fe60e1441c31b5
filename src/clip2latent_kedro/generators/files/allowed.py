"""The closed list of names that network pickles may hold, beside arrays and tensors.

They are what the original programs write (NVIDIA's stylegan2, stylegan2-ada,
stylegan2-ada-pytorch and stylegan3, Lafite, rosinality's stylegan2-pytorch) under
pickle protocols 2 to 5. Each stands for a stand-in that makes plain data.
"""

from typing import Any

from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.unpickling import (
    Budget,
    Instance,
    checked_key,
    constructors,
)

# Text encodings, and the bytes that a character can take.
_ENCODINGS = {"latin1": 1, "latin-1": 1, "ascii": 1, "utf-8": 4}
_BYTES_PER_ITEM = 64


def plain_globals(budget: Budget) -> dict[str, Any]:
    """Return the names of containers: Python's own, and dicts that are like them."""

    def encode(text: Any, encoding: Any = "utf-8") -> bytes:
        # How protocol 2 writes bytes.
        is_known = isinstance(encoding, str) and encoding in _ENCODINGS
        if not isinstance(text, str) or not is_known:
            msg = "encodes something else than text, or in an unusual way"
            raise Refusal(msg)
        budget.take_bytes(_ENCODINGS[encoding] * len(text))
        return text.encode(encoding)

    def make_bytes(data: Any = b"", *encoding: Any) -> bytes | memoryview:
        if isinstance(data, bytes | memoryview):
            return data
        # Anything else but text would be a size to allocate.
        return encode(data, *encoding)

    def counted(items: Any) -> Any:
        if not isinstance(items, list | tuple | set | dict):
            msg = f"makes a container of an object of type {type(items).__name__}"
            raise Refusal(msg)
        budget.take_bytes(_BYTES_PER_ITEM * len(items))
        return items

    def make_set(items: Any = ()) -> set[Any]:
        return set(map(checked_key, counted(items)))

    def make_dict(items: Any = ()) -> dict[Any, Any]:
        # Its items come with it only in pickles of Python 2.
        given = counted(items)
        pairs = given.items() if isinstance(given, dict) else given
        return {checked_key(key): value for key, value in pairs}

    return constructors(
        {
            "collections.OrderedDict": make_dict,
            "builtins.dict": make_dict,
            "dnnlib.EasyDict": make_dict,
            "dnnlib.util.EasyDict": make_dict,
            "builtins.list": lambda items=(): list(counted(items)),
            "builtins.set": make_set,
            "builtins.frozenset": make_set,
            "torch.Size": lambda items=(): tuple(counted(items)),
            "builtins.bytes": make_bytes,
            "builtins.bytearray": make_bytes,
            "_codecs.encode": encode,
        }
    )


def network_globals() -> dict[str, Any]:
    """Return the names by which NVIDIA's programs pickle networks."""
    return constructors(
        {
            "dnnlib.tflib.network.Network": lambda: Instance("Network"),
            "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
        }
    )


def checkpoint_globals() -> dict[str, Any]:
    """Return the names in a training checkpoint beside tensors: its arguments."""
    return constructors({"argparse.Namespace": lambda: Instance("Namespace")})


def _persistent(meta: Any) -> Instance:
    """Return a module of NVIDIA's torch_utils.persistence, leaving out its source."""
    if not isinstance(meta, dict) or meta.get("type") != "class":
        msg = "has a persistent object that is no class"
        raise Refusal(msg)
    name, state = meta.get("class_name"), meta.get("state")
    if not isinstance(name, str) or not isinstance(state, dict):
        msg = "has a persistent object without a class name and a state"
        raise Refusal(msg)
    return Instance(name[:100], state)
