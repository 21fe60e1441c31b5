"""Writes small files in the formats of other programs, from networks of this project.

The classes and functions that such pickles name are made here, put under the names
of the original modules while a file is written, and taken away again.
"""

import argparse
import pickle
import sys
from collections import OrderedDict
from contextlib import contextmanager
from math import log2
from types import ModuleType

import numpy as np
import torch
from torch import nn

CLASSES = {
    "MappingNetwork": "MappingNetwork",
    "SynthesisNetwork": "SynthesisNetwork",
    "SynthesisBlock": "SynthesisBlock",
    "SynthesisLayer": "SynthesisLayer",
    "ToRGB": "ToRGBLayer",
    "FullyConnected": "FullyConnectedLayer",
    "SkipConvolution": "Conv2dLayer",
    "FourierInput": "SynthesisInput",
}


class EasyDict(dict):
    """Stands for dnnlib.util.EasyDict."""


def _reconstruct_persistent_obj(meta):
    raise AssertionError("the embedded source would be executed here")


class Persistent:
    """Pickles as torch_utils.persistence pickles a module."""

    def __init__(self, class_name, state):
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise SystemError('this must never run')\n",
            "class_name": class_name,
            "state": state,
        }

    def __reduce__(self):
        return _reconstruct_persistent_obj, (self.meta,)


class Network:
    """Pickles as dnnlib.tflib.network.Network does."""

    def __init__(self, **state):
        self.state = state

    def __getstate__(self):
        return self.state


_NAMES = {
    "dnnlib.util": {"EasyDict": EasyDict},
    "dnnlib.tflib.network": {"Network": Network},
    "torch_utils.persistence": {
        "_reconstruct_persistent_obj": _reconstruct_persistent_obj
    },
}


@contextmanager
def original_names():
    """Let our stand-ins be pickled under the names of the original modules."""
    added = []
    for module_name, members in _NAMES.items():
        parts = module_name.split(".")
        for num in range(1, len(parts) + 1):
            name = ".".join(parts[:num])
            if name not in sys.modules:
                sys.modules[name] = ModuleType(name)
                added.append(name)
        for name, member in members.items():
            setattr(sys.modules[module_name], name, member)
            member.__module__, member.__qualname__ = module_name, name
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


def dump(content, path, protocol=4):
    with original_names(), path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path


def persist(module, attributes, path=""):
    """Return a module and all within it as persistent objects.

    Args:
        module: Of this project.
        attributes: Returns what a module has beside its tensors, by its path.
        path: Of the module within the network.
    """
    children = {
        name: persist(child, attributes, f"{path}.{name}" if path else name)
        for name, child in module.named_children()
    }
    hooks = {name: OrderedDict() for name in ("_backward_hooks", "_forward_hooks")}
    state = {
        "training": False,
        "_parameters": OrderedDict(module._parameters),
        "_buffers": OrderedDict(module._buffers),
        "_non_persistent_buffers_set": set(),
        **hooks,
        "_modules": OrderedDict(children),
        **attributes(path, module),
    }
    return Persistent(CLASSES.get(type(module).__name__, "Generator"), state)


def snapshot(generator, **others):
    """Return a snapshot around a persistent generator, with other networks in it."""
    discriminator = Persistent(
        "Discriminator",
        {
            "_parameters": {"weight": nn.Parameter(torch.randn(7, 5))},
            "_buffers": {"half": torch.randn(3).half(), "count": torch.tensor(4)},
            "_modules": {},
            "sizes": np.broadcast_to(np.asarray(4), [2]),
            "gain": 1 / np.sqrt(7),
        },
    )
    return {
        "G": discriminator,
        "D": discriminator,
        "G_ema": generator,
        "training_set_kwargs": EasyDict(path="/data/x.zip", use_labels=False),
        "augment_pipe": None,
        **others,
    }


def stylegan2_attributes(config, *, nested=True):
    """Return attributes as stylegan2-ada-pytorch gives them (stylegan3: not nested)."""
    synthesis = EasyDict(
        channel_base=config.channel_base,
        channel_max=config.channel_max,
        num_fp16_res=0,
        conv_clamp=config.conv_clamp,
        architecture=config.architecture,
        resample_filter=list(config.resample_filter),
        use_noise=config.use_noise,
    )
    mapping = EasyDict(num_layers=config.mapping_layers, lr_multiplier=None)
    arguments = {
        "z_dim": config.z_dim,
        "c_dim": config.c_dim,
        "w_dim": config.w_dim,
        "img_resolution": config.resolution,
        "img_channels": config.img_channels,
        "mapping_kwargs": mapping,
    }
    arguments |= {"synthesis_kwargs": synthesis} if nested else synthesis

    def attributes(path, module):
        if path == "":
            return {"_init_args": (), "_init_kwargs": arguments, "z_dim": config.z_dim}
        if path.startswith("mapping.fc"):
            lr = config.mapping_lr
            gain = lr / np.sqrt(module.weight.shape[1])
            return {"activation": "lrelu", "weight_gain": gain, "bias_gain": lr}
        if path.endswith(("conv0", "conv1")):
            own = {"activation": "lrelu", "conv_clamp": config.conv_clamp, "up": 1}
            if path.endswith("conv1"):  # is not told the generator's filter
                default = torch.outer(*2 * [torch.tensor([1.0, 3.0, 3.0, 1.0])]) / 64
                buffers = module._buffers | {"resample_filter": default}
                own["_buffers"] = OrderedDict(buffers)
            return own
        return {"_init_args": (), "_init_kwargs": {}}

    return attributes


def write_nvidia(network, path, *, protocol=4, nested=True, change=None, **others):
    """Write a snapshot of a StyleGAN2.

    `change` takes the path of a module and its attributes, to change them in place.
    """
    attributes = stylegan2_attributes(network.config, nested=nested)

    def changed(path, module):
        given = attributes(path, module)
        if change is not None:
            change(path, given)
        return given

    return dump(snapshot(persist(network, changed), **others), path, protocol)


def write_stylegan3(network, path, *, protocol=4, omit=()):
    """Write a snapshot of a StyleGAN3; arguments in `omit` are left to defaults."""
    fields = vars(network.config)
    mapping = {
        "num_layers": fields["mapping_layers"],
        "lr_multiplier": fields["mapping_lr"],
    }
    own = {k: v for k, v in fields.items() if not k.startswith("mapping_")}
    kwargs = {k: v for k, v in own.items() if k not in omit}
    kwargs |= {"mapping_kwargs": EasyDict(mapping), "magnitude_ema_beta": 0.999}

    def attributes(path, module):
        if path == "":
            return {"_init_args": (), "_init_kwargs": kwargs}
        if path == "synthesis":
            names = ("num_layers", "num_critical", "margin_size", "output_scale")
            return {name: fields[name] for name in names}
        if path.startswith("synthesis.L") and path.count(".") == 1:
            size = np.broadcast_to(np.asarray(36), [2])
            kernel = module.weight.shape[-1]
            cutoff = np.float64(fields["first_cutoff"])
            return {"in_size": size, "conv_kernel": kernel, "in_cutoff": cutoff}
        return {}

    return dump(snapshot(persist(network, attributes)), path, protocol)


def write_lafite(network, path):
    """Write a snapshot of a LAFITE."""
    generator = persist(network, stylegan2_attributes(network.config))
    blocks = generator.meta["state"]["_modules"]["synthesis"].meta["state"]["_modules"]
    for block in blocks.values():
        for layer in block.meta["state"]["_modules"].values():
            modules = layer.meta["state"]["_modules"]
            modules |= modules.pop("affine").meta["state"]["_modules"]
    return dump(snapshot(generator), path)


def _parts(network):
    """Yield (resolution, layer, part, value) of each tensor of a network's blocks."""
    for name, value in network.synthesis.state_dict().items():
        block, layer, *part = name.split(".", 2)
        if "resample_filter" not in (layer, *part):
            yield int(block[1:]), layer, "".join(part), value


def tensorflow_variables(network):
    """Return a StyleGAN2's variables as the TensorFlow program holds them."""
    variables = {"dlatent_avg": network.mapping.w_avg.numpy()}
    for name, value in network.mapping.named_parameters():
        scope = name.replace("fc", "Dense").replace("embed", "LabelEmbed")
        variables[f"mapping/{scope.replace('.', '/')}"] = value.numpy().T
    names = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB", "skip": "Skip"}
    for r, layer, part, tensor in _parts(network):
        value = tensor.numpy()
        name = "Conv" if (r, layer) == (4, "conv1") else names.get(layer)
        scope = f"synthesis/{r}x{r}/{name}"
        if layer == "const":
            variables["synthesis/4x4/Const/const"] = value[None]
        elif part == "noise_const":
            index = 2 * int(log2(r)) - (5 if layer == "conv0" else 4)
            variables[f"synthesis/noise{index}"] = value[None, None]
        elif part == "affine.weight":
            variables[f"{scope}/mod_weight"] = value.T
        elif part == "affine.bias":
            variables[f"{scope}/mod_bias"] = value - 1
        elif part == "weight":
            moved = value.transpose(2, 3, 1, 0)
            moved = moved[::-1, ::-1] if layer == "conv0" else moved
            variables[f"{scope}/weight"] = moved
        else:  # session.run gives scalars of NumPy for variables without axes
            variables[f"{scope}/{part}"] = value[()]
    return variables


def write_tensorflow(network, path, *, protocol=3, **static_kwargs):
    """Write (G, D, Gs) of a StyleGAN2."""
    config = network.config
    arguments = {
        "num_channels": config.img_channels,
        "resolution": config.resolution,
        "label_size": config.c_dim,
        "latent_size": config.z_dim,
        "dlatent_size": config.w_dim,
        "fmap_base": config.channel_base // 2,
        "fmap_max": config.channel_max,
        "architecture": config.architecture,
        "mapping_layers": config.mapping_layers,
        **static_kwargs,
    }
    variables = tensorflow_variables(network)

    def part(prefix):
        own = [
            (name.removeprefix(prefix), value)
            for name, value in variables.items()
            if (name.startswith(prefix) if prefix else "/" not in name)
        ]
        return Network(
            version=4,
            name=prefix,
            static_kwargs=EasyDict(arguments),
            components={},
            build_module_src="raise SystemError('this must never run')\n",
            build_func_name="G_main",
            variables=own,
        )

    average = part("")
    average.state["variables"].append(("lod", np.float32(0)))
    average.state["components"] = EasyDict(
        synthesis=part("synthesis/"), mapping=part("mapping/")
    )
    other = Network(version=4, variables=[], components={}, static_kwargs={})
    return dump((other, other, average), path, protocol)


_ROSINALITY = {
    "weight": "conv.weight",
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
    "bias": "activate.bias",
}


def rosinality_state(network):
    """Return a StyleGAN2's state dict as rosinality's program holds it."""
    taps = torch.tensor(network.config.resample_filter)
    kernel = 4 * torch.outer(taps, taps) / taps.sum() ** 2
    state = OrderedDict()
    for name, value in network.mapping.named_parameters():
        number, kind = name.removeprefix("fc").split(".")
        state[f"style.{int(number) + 1}.{kind}"] = value
    for r, layer, part, value in _parts(network):
        power = int(log2(r))
        number = 2 * power - (6 if layer == "conv0" else 5)
        if layer == "torgb":
            prefix = "to_rgb1" if r == 4 else f"to_rgbs.{power - 3}"
        else:
            prefix = "conv1" if r == 4 else f"convs.{number}"
        if layer == "const":
            state["input.input"] = value[None]
        elif part == "noise_const":
            state[f"noises.noise_{number + 1}"] = value[None, None]
        elif part == "noise_strength":
            state[f"{prefix}.noise.weight"] = value.reshape(1)
        elif (layer, part) == ("torgb", "bias"):
            state[f"{prefix}.bias"] = value[None, :, None, None]
        else:
            value = value[None] if part == "weight" else value
            state[f"{prefix}.{_ROSINALITY[part]}"] = value
        if part == "weight" and r > 4 and layer != "conv1":
            where = "upsample" if layer == "torgb" else "conv.blur"
            state[f"{prefix}.{where}.kernel"] = kernel
    state._metadata = OrderedDict({"": {"version": 1}})
    return state


def write_rosinality(network, path, *, legacy=False, with_mean=True):
    """Write a checkpoint of a StyleGAN2, with what its training leaves beside."""
    other = {"weight": torch.randn(4, 3)}
    content = {
        "g": other,
        "d": other,
        "g_ema": rosinality_state(network),
        "g_optim": {
            "state": {0: {"step": 3}},
            "param_groups": [{"betas": (0.0, 0.99)}],
        },
        "args": argparse.Namespace(
            size=network.config.resolution, path="/data", lr=1e-3
        ),
        "ada_aug_p": 0.25,
    }
    if with_mean:
        content["latent_avg"] = network.mapping.w_avg
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path
