"""A StyleGAN2's state dict as the other two programs name and shape it."""

from collections import OrderedDict
from math import log2

import torch


def tensorflow_variables(network):
    """Return a StyleGAN2's variables as the TensorFlow program holds them."""
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    variables = {"dlatent_avg": state["mapping.w_avg"]}
    layers = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB"}
    for name, value in state.items():
        part, _, kind = name.rpartition(".")
        if part.startswith("mapping."):
            scope = part.replace("mapping.fc", "mapping/Dense")
            scope = scope.replace("mapping.embed", "mapping/LabelEmbed")
            variables[f"{scope}/{kind}"] = value.T
        if not name.startswith("synthesis.b") or kind == "resample_filter":
            continue
        block, _, layer = part.removeprefix("synthesis.").partition(".")
        r = int(block[1:])
        scope = f"synthesis/{r}x{r}"
        if kind == "const":
            variables[f"{scope}/Const/const"] = value[None]
            continue
        layer, _, affine = layer.partition(".")
        if layer == "skip":
            variables[f"{scope}/Skip/weight"] = value.transpose(2, 3, 1, 0)
            continue
        tf_layer = "Conv" if r == 4 and layer == "conv1" else layers[layer]
        scope = f"{scope}/{tf_layer}"
        if affine:
            moved = value.T if kind == "weight" else value - 1
            variables[f"{scope}/mod_{kind}"] = moved
        elif kind == "noise_const":
            index = 2 * int(log2(r)) - (5 if layer == "conv0" else 4)
            variables[f"synthesis/noise{index}"] = value[None, None]
        elif kind == "weight":
            moved = value.transpose(2, 3, 1, 0)
            variables[f"{scope}/weight"] = (
                moved[::-1, ::-1] if layer == "conv0" else moved
            )
        else:
            # session.run gives scalars of NumPy for variables without axes.
            variables[f"{scope}/{kind}"] = value[()]
    return variables


def rosinality_state(network):
    """Return a StyleGAN2's state dict as rosinality's program holds it."""
    config = network.config
    taps = torch.tensor(config.resample_filter)
    kernel = 4 * torch.outer(taps, taps) / taps.sum() ** 2
    state = OrderedDict()
    for name, value in network.state_dict().items():
        part, _, kind = name.rpartition(".")
        if part.startswith("mapping.fc"):
            state[f"style.{int(part.removeprefix('mapping.fc')) + 1}.{kind}"] = value
        if not name.startswith("synthesis.b") or kind == "resample_filter":
            continue
        block, _, layer = part.removeprefix("synthesis.").partition(".")
        if kind == "const":
            state["input.input"] = value[None]
            continue
        r = int(block[1:])
        layer, _, affine = layer.partition(".")
        number = 2 * int(log2(r)) - (6 if layer == "conv0" else 5)
        if layer == "torgb":
            prefix = "to_rgb1" if r == 4 else f"to_rgbs.{int(log2(r)) - 3}"
            if r > 4:
                state[f"{prefix}.upsample.kernel"] = kernel
        else:
            prefix = "conv1" if r == 4 else f"convs.{number}"
        if affine:
            state[f"{prefix}.conv.modulation.{kind}"] = value
        elif kind == "weight":
            state[f"{prefix}.conv.weight"] = value[None]
            if layer == "conv0":
                state[f"{prefix}.conv.blur.kernel"] = kernel
        elif kind == "bias" and layer == "torgb":
            state[f"{prefix}.bias"] = value[None, :, None, None]
        elif kind == "bias":
            state[f"{prefix}.activate.bias"] = value
        elif kind == "noise_strength":
            state[f"{prefix}.noise.weight"] = value.reshape(1)
        else:
            state[f"noises.noise_{number + 1}"] = value[None, None]
    state._metadata = OrderedDict({"": {"version": 1}})
    return state
