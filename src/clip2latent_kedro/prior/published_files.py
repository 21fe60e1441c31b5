"""The original trainer's `.ckpt` files, read and written without running anything.

A file is what torch.save makes of `{"state_dict": ..., "cfg": ...}`. Its `cfg`, where
there is one, is a tree of OmegaConf's objects. They are read as inert data: neither
OmegaConf nor anything else that the pickle names is imported or called.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.torch_tensors import TensorRecord
from clip2latent_kedro.generators.files.unpickling import (
    Budget,
    Instance,
    constructors,
)
from clip2latent_kedro.generators.files.untrusted import (
    read_torch_object,
    read_untrusted,
)
from clip2latent_kedro.reading import bound_tree

_MAX_TENSORS = 10_000
_CONTAINERS = ("dictconfig.DictConfig", "listconfig.ListConfig")
_LEAVES = ("Any", "String", "Integer", "Float", "Boolean", "Bytes", "Path")
_METADATA = ("base.ContainerMetadata", "base.Metadata")
# What the metadata of a node may say of its type.
_TYPES = (
    *(f"typing.{name}" for name in ("Any", "Dict", "List", "Optional", "Tuple")),
    *(f"builtins.{name}" for name in ("int", "float", "str", "bool")),
    *("builtins.long", "builtins.unicode"),  # int and str, as protocol 2 has them
)


class ConfigNode(Instance):
    """A node of OmegaConf, of which only its value is kept."""

    def set_state(self, state: Any) -> None:
        """Take the value; its parent, above all, is left out."""
        super().set_state(state)
        value = self.state.get("_content", self.state.get("_val"))
        self.state = {"value": value}


@dataclass(frozen=True)
class PublishedFile:
    """What a checkpoint file holds.

    Attributes:
        tensors: Its state dict, float32.
        config: Its configuration as a plain tree; None if it has none.
    """

    tensors: dict[str, Tensor]
    config: Any


def read_published_file(path: Path) -> PublishedFile:
    """Return the contents of a file, zip or legacy, as they are.

    Raises:
        InputError: If the file is missing or refused; the message names what refused
            it.
    """
    if not path.is_file():
        msg = f"A published checkpoint is expected at {path}, where there is no file."
        raise InputError(msg)
    expected = "a checkpoint as clip2latent's trainer writes it, with a state_dict"
    return read_untrusted(path, _read, expected=expected)


def _read(data: memoryview, budget: Budget) -> PublishedFile:
    content = read_torch_object(data, budget, _config_names())
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or len(state) > _MAX_TENSORS:
        msg = "holds no state_dict"
        raise Refusal(msg)
    tensors = {}
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, TensorRecord):
            msg = f"has the entry {str(name)[:80]!r} in state_dict, which is no tensor"
            raise Refusal(msg)
        tensors[name] = value.read(budget)
    config = content.get("cfg")
    try:
        bound_tree(config, _inside)
    except ValueError as error:
        msg = f"has a configuration that cannot be used: {error}"
        raise Refusal(msg) from error
    return PublishedFile(tensors, _plain(config))


def _config_names() -> dict[str, Any]:
    """Return the names by which OmegaConf's objects are pickled."""
    nodes = (*_CONTAINERS, *(f"nodes.{kind}Node" for kind in _LEAVES))
    return {
        **{name: name for name in _TYPES},
        **constructors(
            {
                **{f"omegaconf.{n}": lambda: ConfigNode("ConfigNode") for n in nodes},
                **{f"omegaconf.{n}": lambda: Instance("Metadata") for n in _METADATA},
                "collections.defaultdict": lambda *_: {},
                "pathlib.PosixPath": _path,
                "pathlib.WindowsPath": _path,
            }
        ),
    }


def _path(*parts: Any) -> str:
    if not all(isinstance(part, str) for part in parts):
        msg = "has a path that is no text"
        raise Refusal(msg)
    return "/".join(parts)


def _inside(node: Any) -> list[Any]:
    """Return what is directly in a node or a container."""
    if isinstance(node, ConfigNode):
        return [node.state.get("value")]
    if isinstance(node, Mapping):
        return list(node.values())
    return list(node) if isinstance(node, list | tuple) else []


def _plain(node: Any) -> Any:
    """Return a tree of nodes, containers and values without the nodes."""
    if isinstance(node, ConfigNode):
        return _plain(node.state.get("value"))
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_plain(value) for value in node]
    if node is None or isinstance(node, str | int | float | bool):
        return node
    msg = f"has a configuration that holds an object of type {type(node).__name__}"
    raise Refusal(msg)
