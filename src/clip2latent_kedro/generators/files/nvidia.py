"""NVIDIA's PyTorch snapshots: stylegan2-ada-pytorch, stylegan3, and Lafite.

A snapshot is a dict whose `G_ema` is a persistent object: a class name, the source of
its module, which is left unread, and the attributes of a `torch.nn.Module`. The
arguments that built it are the attributes `_init_args` and `_init_kwargs`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files.architecture import (
    Record,
    StyleGANWeights,
    stylegan2_weights_of,
)
from clip2latent_kedro.generators.files.lafite import is_lafite, lafite_weights_of
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.shapes import check_shapes, stylegan3_shapes
from clip2latent_kedro.generators.files.torch_tensors import TensorRecord
from clip2latent_kedro.generators.files.unpickling import Budget, Instance
from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config

_MAX_TENSORS = 10_000
_MAX_MODULES = 10_000
_MAX_NAME = 100
_MAX_TAPS = 64
_POSITIONAL = (
    "z_dim",
    "c_dim",
    "w_dim",
    "img_resolution",
    "img_channels",
    "mapping_kwargs",
    "synthesis_kwargs",
)
# Where modules keep what a file's arguments may leave to the class's defaults.
_STYLEGAN3_ATTRIBUTES = {
    **{name: ("", name) for name in _POSITIONAL[:5]},
    "num_layers": ("synthesis", "num_layers"),
    "num_critical": ("synthesis", "num_critical"),
    "margin_size": ("synthesis", "margin_size"),
    "output_scale": ("synthesis", "output_scale"),
    "conv_kernel": ("synthesis.{first}", "conv_kernel"),
    "conv_clamp": ("synthesis.{first}", "conv_clamp"),
    "first_cutoff": ("synthesis.{first}", "in_cutoff"),
    "mapping_layers": ("mapping", "num_layers"),
    "mapping_lr": ("mapping.fc0", "bias_gain"),
}


def read_snapshot(generator: Instance, budget: Budget) -> StyleGANWeights:
    """Return the weights of a pickled generator module.

    Args:
        generator: `G_ema` of a snapshot.
        budget: Of the whole file.

    Raises:
        Refusal: If it is none of the generators that are known.
    """
    modules = dict(_walk(generator))
    tensors = _tensors(modules, budget)
    if "synthesis.input.weight" in tensors:
        return _stylegan3(modules, tensors)
    if is_lafite(tensors):
        return lafite_weights_of(tensors, _record(modules))
    if "synthesis.b4.const" in tensors:
        return stylegan2_weights_of(tensors, _record(modules))
    msg = (
        f"holds a {generator.name!r} as G_ema, which is no generator of StyleGAN2 or "
        f"StyleGAN3"
    )
    raise Refusal(msg)


def _walk(root: Instance) -> Iterator[tuple[str, Instance]]:
    """Yield every module within a module by its dotted name; the root's is empty."""
    pending = [("", root)]
    for _ in range(_MAX_MODULES):
        if not pending:
            return
        name, module = pending.pop()
        yield name, module
        for child_name, child in _table(module, "_modules").items():
            if isinstance(child, Instance):
                pending.append((_dotted(name, child_name), child))
    msg = f"has a network of more than {_MAX_MODULES} modules"
    raise Refusal(msg)


def _tensors(modules: Mapping[str, Instance], budget: Budget) -> dict[str, Tensor]:
    """Return parameters and buffers by dotted name."""
    records = {
        _dotted(path, name): value
        for path, module in modules.items()
        for kind in ("_parameters", "_buffers")
        for name, value in _table(module, kind).items()
        if isinstance(value, TensorRecord)
    }
    if len(records) > _MAX_TENSORS:
        msg = f"has a network of more than {_MAX_TENSORS} tensors"
        raise Refusal(msg)
    return {name: record.read(budget) for name, record in records.items()}


def _dotted(path: str, name: Any) -> str:
    if not isinstance(name, str) or len(name) > _MAX_NAME:
        msg = f"has a network with a name of more than {_MAX_NAME} characters"
        raise Refusal(msg)
    return f"{path}.{name}" if path else name


def _table(module: Instance, kind: str) -> dict[str, Any]:
    table = module.state.get(kind)
    if not isinstance(table, dict):
        msg = f"has a module {module.name!r} without {kind}"
        raise Refusal(msg)
    return table


def _arguments(module: Instance) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the mapping's and the synthesis' arguments of a generator.

    stylegan2-ada-pytorch nests those of the synthesis; stylegan3 does not.
    """
    values = module.state.get("_init_args", ())
    if not isinstance(values, tuple | list):
        msg = "has a generator with unknown arguments"
        raise Refusal(msg)
    given = dict(zip(_POSITIONAL, values, strict=False))
    given |= _dict(module.state.get("_init_kwargs"))
    mapping = _dict(given.pop("mapping_kwargs", None))
    nested = _dict(given.pop("synthesis_kwargs", None))
    return mapping, given | nested


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict | None):
        msg = f"has arguments in a {type(value).__name__} instead of a dict"
        raise Refusal(msg)
    return value or {}


def _record(modules: Mapping[str, Instance]) -> Record:
    """Return what a StyleGAN2's modules say beside their tensors."""
    mapping, synthesis = _arguments(modules[""])
    layer = _state(modules, "synthesis.b4.conv1")
    dense = _state(modules, "mapping.fc0")
    for state, arguments in ((layer, synthesis), (dense, mapping)):
        activation = state.get("activation", arguments.get("activation", "lrelu"))
        if activation != "lrelu":
            is_text = isinstance(activation, str)
            got = repr(activation[:40]) if is_text else type(activation).__name__
            msg = f"has the activation {got} where only lrelu is known"
            raise Refusal(msg)
    lr = dense.get("bias_gain", mapping.get("lr_multiplier", Record.mapping_lr))
    clamp = layer.get("conv_clamp", synthesis.get("conv_clamp"))
    taps = synthesis.get("resample_filter") or Record.resample_filter
    if not isinstance(taps, list | tuple) or len(taps) > _MAX_TAPS:
        msg = f"has a resample_filter that is no list of at most {_MAX_TAPS} numbers"
        raise Refusal(msg)
    return Record(
        mapping_lr=_number(lr, "lr_multiplier"),
        conv_clamp=None if clamp is None else _number(clamp, "conv_clamp"),
        resample_filter=[_number(tap, "resample_filter") for tap in taps],
        channel_base=_count(synthesis.get("channel_base", 32768), "channel_base"),
        channel_max=_count(synthesis.get("channel_max", 512), "channel_max"),
    )


def _stylegan3(
    modules: Mapping[str, Instance], tensors: dict[str, Tensor]
) -> StyleGANWeights:
    """Return a StyleGAN3; what the file leaves open has the defaults of the class."""
    mapping, given = _arguments(modules[""])
    renamed = {"num_layers": "mapping_layers", "lr_multiplier": "mapping_lr"}
    given |= {renamed[key]: mapping[key] for key in renamed if key in mapping}
    layers = [name for name in modules if name.startswith("synthesis.L0_")]
    first = layers[0].removeprefix("synthesis.") if layers else ""
    for name, (path, attribute) in _STYLEGAN3_ATTRIBUTES.items():
        state = _state(modules, path.format(first=first))
        if attribute in state:
            given.setdefault(name, state[attribute])
    known = {field.name for field in fields(StyleGAN3Config)}
    arguments = {key: value for key, value in given.items() if key in known}
    for name, value in arguments.items():
        if not isinstance(value, int | float | None):
            msg = f"has a {name} that is a {type(value).__name__} instead of a number"
            raise Refusal(msg)
    try:
        config = StyleGAN3Config(**arguments)
    except (InputError, TypeError) as error:
        msg = f"describes a generator that cannot be built ({str(error).rstrip('.')})"
        raise Refusal(msg) from error
    for num, prefix in (
        (config.num_layers + 1, "synthesis.L"),
        (config.mapping_layers, "mapping.fc"),
    ):
        found = sum(n.startswith(prefix) and n.count(".") == 1 for n in modules)
        if num != found:
            msg = f"has {found} modules {prefix}... where it says {num}"
            raise Refusal(msg)
    check_shapes(stylegan3_shapes(config), tensors)
    return StyleGANWeights("stylegan3", asdict(config), tensors)


def _state(modules: Mapping[str, Instance], path: str) -> dict[str, Any]:
    return modules[path].state if path in modules else {}


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"has a {name} that is a {type(value).__name__} instead of a number"
        raise Refusal(msg)
    return value


def _count(value: Any, name: str) -> int:
    number = _number(value, name)
    if number != int(number) or not 1 <= number < 2**40:
        msg = f"has a {name} that is no positive whole number"
        raise Refusal(msg)
    return int(number)
