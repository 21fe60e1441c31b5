"""NVIDIA's PyTorch snapshots: stylegan2-ada-pytorch, stylegan3, and Lafite.

A snapshot is a dict whose `G_ema` is a persistent object: a class name, the source of
its module, which is left unread, and the attributes of a `torch.nn.Module`. The
arguments that built it are the attributes `_init_args` and `_init_kwargs`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from clip2latent_kedro.generators.files.architecture import (
    StyleGANWeights,
    checked_weights,
    stylegan2_weights,
)
from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config
from clip2latent_kedro.reading import (
    Instance,
    Refusal,
    TensorRecord,
    tensors_of,
)

_MAX_MODULES = 10_000
_MAX_NAME = 100
_POSITIONAL = (
    *("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels"),
    *("mapping_kwargs", "synthesis_kwargs"),
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

Modules = Mapping[str, Mapping[str, Any]]  # attributes by dotted name


def convert_snapshot(generator: Instance) -> StyleGANWeights:
    """Return the weights of a pickled generator module, `G_ema` of a snapshot.

    Raises:
        Refusal: If it is none of the generators that are known.
    """
    modules = dict(_walk(generator))
    records = {
        _dotted(path, name): value
        for path, state in modules.items()
        for kind in ("_parameters", "_buffers")
        for name, value in _dict(state[kind]).items()
        if isinstance(value, TensorRecord)
    }
    tensors = tensors_of(records, "in G_ema")
    if "synthesis.input.weight" in tensors:
        return checked_weights("stylegan3", _stylegan3_fields(modules), tensors)
    if "synthesis.b4.const" in tensors:
        return stylegan2_weights(tensors, _stylegan2_record(modules))
    raise Refusal(
        f"holds a {generator.name!r} as G_ema, which is no generator of StyleGAN2 or "
        f"StyleGAN3"
    )


def _walk(root: Instance) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the attributes of a module and all within it, by dotted name."""
    pending = [("", root)]
    for _ in range(_MAX_MODULES):
        if not pending:
            return
        name, module = pending.pop()
        yield name, module.state
        for child_name, child in _dict(module.state["_modules"]).items():
            if isinstance(child, Instance):
                pending.append((_dotted(name, child_name), child))
    raise Refusal(f"has a network of more than {_MAX_MODULES} modules")


def _dotted(path: str, name: Any) -> str:
    if not isinstance(name, str) or len(name) > _MAX_NAME:
        raise Refusal(f"has a network with a name of more than {_MAX_NAME} characters")
    return f"{path}.{name}" if path else name


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict | None):
        kind = type(value).__name__
        raise Refusal(f"has a {kind} where a module has a dict")
    return value or {}


def _arguments(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the mapping's and the synthesis' arguments of a generator.

    stylegan2-ada-pytorch nests those of the synthesis; stylegan3 does not.
    """
    given = dict(zip(_POSITIONAL, state.get("_init_args", ()), strict=False))
    given |= _dict(state.get("_init_kwargs"))
    mapping = _dict(given.pop("mapping_kwargs", None))
    nested = _dict(given.pop("synthesis_kwargs", None))
    return mapping, given | nested


def _stylegan2_record(modules: Modules) -> dict[str, Any]:
    """Return what a StyleGAN2's modules say beside their tensors."""
    mapping, synthesis = _arguments(modules[""])
    layer = modules.get("synthesis.b4.conv1", {})
    dense = modules.get("mapping.fc0", {})
    for state, arguments in ((layer, synthesis), (dense, mapping)):
        activation = state.get("activation", arguments.get("activation", "lrelu"))
        if activation != "lrelu":
            is_text = isinstance(activation, str)
            got = repr(activation[:40]) if is_text else type(activation).__name__
            raise Refusal(f"has the activation {got} where only lrelu is known")
    return {
        "mapping_lr": dense.get("bias_gain", mapping.get("lr_multiplier", 0.01)),
        "conv_clamp": layer.get("conv_clamp", synthesis.get("conv_clamp")),
        "resample_filter": synthesis.get("resample_filter") or (1, 3, 3, 1),
        "channel_base": synthesis.get("channel_base", 32768),
        "channel_max": synthesis.get("channel_max", 512),
    }


def _stylegan3_fields(modules: Modules) -> dict[str, Any]:
    """Return arguments of `StyleGAN3Config`; what the file leaves open is left out."""
    mapping, given = _arguments(modules[""])
    renamed = {"num_layers": "mapping_layers", "lr_multiplier": "mapping_lr"}
    given |= {renamed[key]: mapping[key] for key in renamed if key in mapping}
    layers = [name for name in modules if name.startswith("synthesis.L0_")]
    first = layers[0].removeprefix("synthesis.") if layers else ""
    for name, (path, attribute) in _STYLEGAN3_ATTRIBUTES.items():
        state = modules.get(path.format(first=first), {})
        if attribute in state:
            given.setdefault(name, state[attribute])
    known = {field.name for field in fields(StyleGAN3Config)}
    return {key: value for key, value in given.items() if key in known}
