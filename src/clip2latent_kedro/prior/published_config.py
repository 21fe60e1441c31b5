"""The configuration of a published checkpoint, and what its weights say of it.

The original keeps it as YAML with the sections `data`, `model` and `train`. Whatever
the weights can tell is compared with it, and taken from them where it is silent.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig
from clip2latent_kedro.prior.published_schedule import find_schedule
from clip2latent_kedro.reading import (
    ConfigNode,
    check_tree,
    check_types,
    read_settings,
    read_yaml,
)

NETWORK = ("dim", "num_timesteps", "depth", "dim_head", "heads")
DIFFUSION = tuple(field.name for field in fields(DiffusionConfig))
_REDUNDANT = {"timesteps": "num_timesteps", "image_embed_dim": "dim"}
_DATA = (
    *("bs", "format", "path", "embed_noise_scale", "sg_pkl", "clip_variant"),
    *("n_latents", "latent_dim", "latent_repeats"),
    *("val_im_samples", "val_text_samples", "val_samples_per_text"),
)
_TRAIN = (
    *("znorm_embed", "znorm_latent", "max_it", "val_it", "lr", "weight_decay"),
    *("ema_update_every", "ema_beta", "ema_power"),
)
_USED = ("latent_repeats", "embed_noise_scale")  # of `data`, by a prior that is read
_SECTIONS = ("data", "model", "train")
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_MAX_REFERENCES = 10  # that lead to one another

Tree = Mapping[str, Any]


def read_config(path: Path) -> dict[str, Any]:
    """Return the configuration in a YAML file, its references resolved.

    Raises:
        InputError: If it is missing, is no YAML, or is no such configuration.
    """
    if not path.is_file():
        msg = f"The YAML of a checkpoint is expected at {path}: there is no such file."
        raise InputError(msg)
    return check_config(read_yaml(path), str(path))


def check_config(content: Any, name: str) -> dict[str, Any]:
    """Return a configuration as plain JSON, its references resolved.

    Args:
        content: As it was read: a tree of plain values, or of OmegaConf's nodes.
        name: Of where it was read, for the message.

    Raises:
        InputError: If it is no mapping of the sections.
    """
    try:
        content = check_tree(content, unwrap=_value)
    except ValueError as error:
        msg = f"{name} must be a plain configuration, but {error}."
        raise InputError(msg) from error
    if not isinstance(content, Mapping) or not set(content) & set(_SECTIONS):
        found = ", ".join(content)[:80] if isinstance(content, Mapping) else ""
        msg = (
            f"{name} must be a mapping with the sections {', '.join(_SECTIONS)}, got "
            f"{found or repr(content)[:80]}."
        )
        raise InputError(msg)
    tree: dict[str, Any] = dict(content)
    for path in (*_SECTIONS, "model.network", "model.diffusion"):
        section = _look_up(tree, path)
        if section is not None and not isinstance(section, Mapping):
            msg = f"{path} in {name} must be a mapping, got {repr(section)[:80]}."
            raise InputError(msg)
    try:
        resolved: dict[str, Any] = check_tree(_resolve(tree, tree, name, {}))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        msg = f"The references in {name} lead too far: {error}."
        raise InputError(msg) from error
    return resolved


def complete_settings(
    config: Tree,
    name: str,
    *,
    measured: Mapping[str, int],
    betas: Tensor,
    is_normalised: bool,
) -> dict[str, Any]:
    """Return `Checkpoint.settings` of a configuration and the weights together.

    Args:
        config: Of `check_config`; empty if there is none.
        name: Of where it is from, for messages.
        measured: What `measure_network` returned.
        betas: Of the noise schedule, [T].
        is_normalised: Whether the weights come with statistics of w.

    Raises:
        InputError: If the two contradict each other, or leave something open.
    """
    data, train = (dict(config.get(section) or {}) for section in ("data", "train"))
    model = config.get("model") or {}
    network, diffusion = (
        dict(model.get(section) or {}) for section in ("network", "diffusion")
    )
    for key in network:
        if key not in NETWORK:
            msg = (
                f"model.network.{key} in {name} is not known here. Known are "
                f"{', '.join(NETWORK)}."
            )
            raise InputError(msg)

    schedule = find_schedule(betas)
    decided: dict[str, Any] = {
        **{f"model.network.{key}": measured[key] for key in NETWORK},
        **{f"model.diffusion.{k}": measured[v] for k, v in _REDUNDANT.items()},
        "model.diffusion.beta_schedule": schedule or "one that is not known here",
        "data.n_latents": measured["n_latents"],
        "data.latent_dim": measured["dim"],
        "train.znorm_latent": is_normalised,
    }
    for path, value in decided.items():
        said = _look_up(config, path)
        if said is not None and said != value:
            msg = (
                f"{path} is {repr(said)[:80]} in {name}, but {value!r} in the "
                f"weights. Give the YAML of this checkpoint."
            )
            raise InputError(msg)
    if schedule is None:
        msg = f"The betas that come with {name} are those of no schedule known here."
        raise InputError(msg)

    diffusion = {k: v for k, v in diffusion.items() if k not in _REDUNDANT}
    diffusion["beta_schedule"] = schedule
    open_ = [f"model.diffusion.{key}" for key in DIFFUSION if key not in diffusion]
    open_ += [] if "latent_repeats" in data else ["data.latent_repeats"]
    if open_:
        msg = (
            f"{name} does not say {', '.join(open_)}, and weights cannot tell. Give "
            f"the YAML that was published with the checkpoint."
        )
        raise InputError(msg)
    data.setdefault("embed_noise_scale", 0.0)
    try:
        read_settings(DiffusionConfig, diffusion)
        check_types(DataConfig, {key: data[key] for key in _USED})
    except ValueError as error:
        said = str(error).rstrip(".")
        raise InputError(f"A part of {name} cannot be used: {said}.") from error
    repeats = data["latent_repeats"]
    if len(repeats) != measured["n_latents"] or min(repeats) < 1:
        msg = (
            f"data.latent_repeats in {name} must be {measured['n_latents']} numbers of "
            f"layers, one for each latent of the weights, got {str(repeats)[:80]}."
        )
        raise InputError(msg)
    return {
        "data": {
            **data,
            "n_latents": measured["n_latents"],
            "latent_dim": measured["dim"],
        },
        "model": {
            "network": {
                "kind": "clip2latent",
                **{key: measured[key] for key in NETWORK},
                "noise_level_input": False,
            },
            "diffusion": diffusion,
            "clip_dim": measured["dim"],
        },
        "train": {**train, "znorm_latent": is_normalised},
    }


def original_config(settings: Tree) -> dict[str, Any]:
    """Return `Checkpoint.settings` in the original's names and sections alone."""
    network, diffusion = (settings["model"][key] for key in ("network", "diffusion"))
    redundant = {key: network[source] for key, source in _REDUNDANT.items()}
    return {
        "data": {k: settings["data"][k] for k in _DATA if k in settings["data"]},
        "model": {
            "network": {key: network[key] for key in NETWORK},
            "diffusion": {**redundant, **{key: diffusion[key] for key in DIFFUSION}},
        },
        "train": {
            "znorm_embed": False,
            **{k: settings["train"][k] for k in _TRAIN if k in settings["train"]},
        },
    }


def _resolve(
    node: Any, root: Tree, name: str, known: dict[str, Any], depth: int = 0
) -> Any:
    """Return a tree with the value that a text such as `${model.dim}` refers to.

    What has been resolved is kept in `known`, and not done again.
    """
    if isinstance(node, Mapping):
        return {k: _resolve(v, root, name, known, depth) for k, v in node.items()}
    if isinstance(node, list):
        return [_resolve(value, root, name, known, depth) for value in node]
    match = _REFERENCE.fullmatch(node) if isinstance(node, str) else None
    if match is None:
        return node
    if match[1] in known:
        return known[match[1]]
    target = _look_up(root, match[1])
    if target is None or isinstance(target, Mapping) or depth == _MAX_REFERENCES:
        msg = f"{name} refers to {match[1]}, which has no value there."
        raise InputError(msg)
    known[match[1]] = _resolve(target, root, name, known, depth + 1)
    return known[match[1]]


def _look_up(tree: Any, path: str) -> Any:
    """Return the value at a dotted path; None if there is none."""
    for key in path.split("."):
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _value(part: Any) -> Any:
    """Return what a part of a configuration stands for."""
    if isinstance(part, ConfigNode):
        return part.value
    return os.fspath(part) if isinstance(part, os.PathLike) else part
