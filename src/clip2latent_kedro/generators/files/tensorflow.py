"""NVIDIA's TensorFlow pickles of StyleGAN2, brought to the names of its PyTorch form.

A pickle is (G, D, Gs), each a `dnnlib.tflib.network.Network` with arguments, variables
and components; Gs is the average. Weights of dense layers are transposed, those of
convolutions [height, width, in, out]; the up-sampling ones are mirrored, and styles
are stored less 1. Sources: NVlabs/stylegan2 and stylegan2-ada, training/networks*.py,
and NVlabs/stylegan3, legacy.py.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.generators.files.architecture import (
    Rules,
    StyleGANWeights,
    rename_tensors,
    stylegan2_weights,
)
from clip2latent_kedro.reading import ArrayRecord, Instance, Refusal

_MIN_VERSION = 4
_MAX_NETWORKS = 100
_MAX_VARIABLES = 10_000
_MAX_PATH = 200
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


def convert_networks(average: Instance) -> StyleGANWeights:
    """Return the weights of a pickled TensorFlow generator, Gs.

    Raises:
        Refusal: If it is no StyleGAN2 generator.
    """
    version = average.state.get("version")
    if type(version) is not int or version < _MIN_VERSION:
        got = version if type(version) is int else "none"
        raise Refusal(f"has networks of version {got}, older than {_MIN_VERSION}")
    arguments = average.state.get("static_kwargs")
    record = _record(arguments if isinstance(arguments, dict) else {})
    variables = {
        path: value
        for path, value in _variables(average).items()
        if path.rpartition("/")[2] != "lod"  # progressive growing, over
    }
    return stylegan2_weights(rename_tensors(variables, _RULES), record)


def _record(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the arguments say that shapes do not."""
    for name, value in arguments.items():
        expected = _EXPECTED.get(name)
        if expected is None and name not in _KNOWN:
            raise Refusal(f"has a network with the unknown argument {str(name)[:40]!r}")
        if expected is not None and value not in expected:
            raise Refusal(f"has a network whose {name} is not {expected[0]}")
    sides = [arguments[name] for name in _SIDES if name in arguments]
    if any(type(side) is not int for side in sides) or len(set(sides)) > 1:
        raise Refusal("has a network of images that are not square")
    # No kernel is a box there (upfirdn_2d.py).
    taps = arguments.get("resample_kernel", (1, 3, 3, 1)) or (1, 1)
    return {
        "mapping_lr": arguments.get("mapping_lrmul", 0.01),
        "conv_clamp": arguments.get("conv_clamp"),
        "resample_filter": [float(tap) for tap in taps],
        "channel_base": 2 * int(arguments.get("fmap_base", 16 << 10)),
        "channel_max": int(arguments.get("fmap_max", 512)),
    }


def _variables(average: Instance) -> dict[str, Tensor]:
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
                raise Refusal(
                    f"has more than {_MAX_VARIABLES} variables, or one whose path has "
                    f"more than {_MAX_PATH} characters"
                )
            found[path] = _tensor(value)
        components = network.state.get("components") or {}
        pending += [(f"{prefix}{name}/", part) for name, part in components.items()]
    raise Refusal(f"has more than {_MAX_NETWORKS} networks")


def _tensor(value: Any) -> Tensor:
    if isinstance(value, int | float):
        return torch.tensor(float(value))
    if not isinstance(value, ArrayRecord):
        raise Refusal("has a variable that is no array")
    return torch.from_numpy(value.read())


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


_RULES: Rules = (
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
