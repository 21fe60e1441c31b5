"""NVIDIA's TensorFlow pickles of StyleGAN2, brought to the names of its PyTorch form.

A pickle is (G, D, Gs), each a `dnnlib.tflib.network.Network` with arguments, variables
and components; Gs is the average. Weights of dense layers are transposed, those of
convolutions [height, width, in, out]; the up-sampling ones are mirrored, and styles
are stored less 1. Sources: NVlabs/stylegan2 and stylegan2-ada, training/networks*.py,
and NVlabs/stylegan3, legacy.py.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.generators.files.architecture import (
    Record,
    StyleGANWeights,
    stylegan2_weights_of,
)
from clip2latent_kedro.generators.files.numpy_arrays import ArrayRecord
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.unpickling import Budget, Instance

_MIN_VERSION = 4
_MAX_NETWORKS = 100
_MAX_VARIABLES = 10_000
_MAX_PATH = 200
_MAX_TAPS = 64
# Arguments that shapes do not show, and the only values under which this is StyleGAN2.
_EXPECTED = {
    "nonlinearity": ("lrelu",),
    "mapping_nonlinearity": ("lrelu",),
    "normalize_latents": (True,),
    "fmap_decay": (1,),
    **dict.fromkeys(("is_training", "is_validation", "return_dlatents"), (False,)),
}
_SIDES = ("resolution", "resolution_w", "resolution_h")
# Arguments that shapes show, or that change nothing once training is over.
_KNOWN = {
    *("latent_size", "label_size", "dlatent_size", "num_channels", *_SIDES),
    *("fmap_base", "fmap_max", "fmap_min", "fmap_const", "architecture", "use_noise"),
    *("mapping_layers", "mapping_fmaps", "label_fmaps", "mapping_lrmul"),
    *("conv_clamp", "resample_kernel", "num_fp16_res", "dtype", "fused_modconv"),
    *("truncation_psi", "truncation_cutoff", "truncation_psi_val", "structure"),
    *("truncation_cutoff_val", "style_mixing_prob", "dlatent_avg_beta", "w_avg_beta"),
    *("randomize_noise", "conditioning", "mapping_func", "synthesis_func"),
    *("is_template_graph", "force_clean_graph", "dlatent_broadcast"),
    *("func_name", "name"),
}


def read_networks(average: Instance, budget: Budget) -> StyleGANWeights:
    """Return the weights of a pickled TensorFlow generator.

    Args:
        average: Gs.
        budget: Of the whole file.

    Raises:
        Refusal: If it is no StyleGAN2 generator.
    """
    version = average.state.get("version")
    if type(version) is not int or version < _MIN_VERSION:
        got = version if type(version) is int else "none"
        msg = f"has networks of version {got}, older than {_MIN_VERSION}"
        raise Refusal(msg)
    arguments = average.state.get("static_kwargs")
    record = _record(arguments if isinstance(arguments, dict) else {})
    return stylegan2_weights_of(_rename(_variables(average, budget)), record)


def _record(arguments: Mapping[str, Any]) -> Record:
    """Return what the arguments say that shapes do not."""
    for name, value in arguments.items():
        expected = _EXPECTED.get(name)
        if expected is None and name not in _KNOWN:
            msg = f"has a network with the unknown argument {str(name)[:40]!r}"
            raise Refusal(msg)
        if expected is not None and value not in expected:
            msg = f"has a network whose {name} is not {expected[0]}"
            raise Refusal(msg)
    sides = [arguments[name] for name in _SIDES if name in arguments]
    if any(side != sides[0] for side in sides):
        msg = f"has a network of images that are not square ({sides[:3]})"
        raise Refusal(msg)
    base = arguments.get("fmap_base", 16 << 10)
    # No kernel is a box there (upfirdn_2d.py).
    taps = arguments.get("resample_kernel", Record.resample_filter) or (1, 1)
    lr = arguments.get("mapping_lrmul", Record.mapping_lr)
    clamp = arguments.get("conv_clamp")
    most = arguments.get("fmap_max", 512)
    if not all(isinstance(number, int | float) for number in (base, lr, most, *taps)):
        msg = "has a network with something else where a number is expected"
        raise Refusal(msg)
    if not isinstance(clamp, int | float | None) or len(taps) > _MAX_TAPS:
        msg = f"has a network with a clamp or a filter of more than {_MAX_TAPS} taps"
        raise Refusal(msg)
    return Record(
        mapping_lr=lr,
        conv_clamp=clamp,
        resample_filter=[float(tap) for tap in taps],
        channel_base=2 * int(base),
        channel_max=int(most),
    )


def _variables(average: Instance, budget: Budget) -> dict[str, Tensor]:
    """Return the variables of a network and its components, by path."""
    found: dict[str, Tensor] = {}
    pending = [("", average)]
    for _ in range(_MAX_NETWORKS):
        if not pending:
            return found
        prefix, network = pending.pop()
        for name, value in network.state["variables"]:
            path = prefix + name
            if len(path) > _MAX_PATH or len(found) >= _MAX_VARIABLES:
                msg = (
                    f"has more than {_MAX_VARIABLES} variables, or one whose path has "
                    f"more than {_MAX_PATH} characters"
                )
                raise Refusal(msg)
            found[path] = _tensor(value, budget)
        components = network.state.get("components") or {}
        pending += [(f"{prefix}{name}/", part) for name, part in components.items()]
    msg = f"has more than {_MAX_NETWORKS} networks"
    raise Refusal(msg)


def _tensor(value: Any, budget: Budget) -> Tensor:
    if isinstance(value, int | float):
        return torch.tensor(float(value))
    if not isinstance(value, ArrayRecord) or value.array is None:
        msg = "has a variable that is no array"
        raise Refusal(msg)
    budget.take_bytes(4 * value.array.size)
    return torch.from_numpy(np.array(value.array, dtype=np.float32))


def _rename(variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the variables in NVIDIA's PyTorch names and layouts."""
    tensors = {}
    for path, value in variables.items():
        if path.rpartition("/")[2] == "lod":  # progressive growing, over
            continue
        for pattern, convert in _RULES:
            if match := re.fullmatch(pattern, path):
                name, tensor = convert(value, *match.groups())
                tensors[name] = tensor.contiguous()
                break
        else:
            msg = f"has the variable {path[:80]!r}, which StyleGAN2 does not have"
            raise Refusal(msg)
    return tensors


def _noise(value: Tensor, index: str) -> tuple[str, Tensor]:
    """Name a noise map: the layers count up from the one of 4 x 4."""
    number = int(index)
    resolution = 4 << ((number + 1) // 2)
    layer = "conv0" if number % 2 else "conv1"
    return f"synthesis.b{resolution}.{layer}.noise_const", value[0, 0]


def _layer(value: Tensor, resolution: str, layer: str, part: str) -> tuple[str, Tensor]:
    """Name a variable of a modulated convolution."""
    names = {"Conv": "conv1", "Conv1": "conv1", "Conv0_up": "conv0", "ToRGB": "torgb"}
    name = f"synthesis.b{resolution}.{names[layer]}."
    if part == "weight":
        weight = value.flip(0, 1) if layer == "Conv0_up" else value
        return f"{name}weight", weight.permute(3, 2, 0, 1)
    if part == "mod_weight":
        return f"{name}affine.weight", value.t()
    if part == "mod_bias":
        return f"{name}affine.bias", value + 1
    return name + part, value


_RULES: tuple[tuple[str, Any], ...] = (
    (r"dlatent_avg", lambda v: ("mapping.w_avg", v)),
    (r"mapping/LabelEmbed/weight", lambda v: ("mapping.embed.weight", v.t())),
    (r"mapping/LabelEmbed/bias", lambda v: ("mapping.embed.bias", v)),
    (r"mapping/Dense(\d+)/weight", lambda v, i: (f"mapping.fc{i}.weight", v.t())),
    (r"mapping/Dense(\d+)/bias", lambda v, i: (f"mapping.fc{i}.bias", v)),
    (r"synthesis/noise(\d{1,2})", _noise),
    (r"synthesis/4x4/Const/const", lambda v: ("synthesis.b4.const", v[0])),
    (
        r"synthesis/(\d+)x\1/Skip/weight",
        lambda v, r: (f"synthesis.b{r}.skip.weight", v.permute(3, 2, 0, 1)),
    ),
    (
        r"synthesis/(\d+)x\1/(Conv|Conv0_up|Conv1|ToRGB)/"
        r"(weight|bias|noise_strength|mod_weight|mod_bias)",
        _layer,
    ),
)
