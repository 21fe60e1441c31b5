"""A trained mapper as one file: ours, or one that StyleCLIP's own code wrote."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.editing.mapper.mapper import StyleMapper
from clip2latent_kedro.editing.mapper.network import (
    DEPTH,
    LEVEL_NAMES,
    LevelsMapper,
    MapperShape,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods.digests import digest_arrays
from clip2latent_kedro.reading import (
    MISSHAPEN,
    Refusal,
    is_safetensors,
    load_network,
    parse_json,
    read_foreign,
    read_settings,
    read_weights,
    tensors_of,
)
from clip2latent_kedro.training import TrainingState

KIND = "styleclip_mapper"
SUFFIXES = (".safetensors", ".pt")
_MEND = "Remove it, and train it again with kedro run --pipeline=mappers."

# Names in orpatashnik/StyleCLIP, mapper/latent_mappers.py: levels, and the position
# of the linear layers, which a norm without weights precedes.
_THEIR_LEVELS = {
    "course_mapping": "coarse",
    "medium_mapping": "middle",
    "fine_mapping": "fine",
}
_THEIR_NAME = re.compile(r"mapper\.(?:(\w+)\.)?mapping\.(\d+)\.(weight|bias)")
_THEIR_ENDS = (4, 8, None)
_EXPECTED = "a checkpoint with state_dict and opts, as StyleCLIP's mapper/ writes it"


def export_mapper(
    state: TrainingState, target: EditTarget
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata, as `load_mapper` reads them.

    Args:
        state: The last that `train_mapper` has yielded.
        target: What it was trained for.

    Raises:
        InputError: If the training is not over, or was for another text.
    """
    text, max_it = state.settings["text"], state.settings["mapper"]["max_it"]
    problem = None
    if text != target.target:
        problem = f"for the text {target.target!r}, got one for {text!r}"
    elif state.step < max_it:
        problem = f"to step {max_it}, got step {state.step}"
    if problem is not None:
        msg = (
            f"The mapper of {target.name or target.target} must be trained {problem}. "
            f"Run the whole of the pipeline mappers."
        )
        raise InputError(msg)
    header = {
        "kind": KIND,
        "shape": state.settings["shape"],
        "target": asdict(target),
        "settings": state.settings,
        "losses": state.history[-1],
        "training_seconds": state.seconds,
        **state.settings["models"],
    }
    tensors = {name: tensor.contiguous() for name, tensor in state.ema.items()}
    return tensors, {"config": json.dumps(header, sort_keys=True)}


def load_mapper(path: Path) -> StyleMapper:
    """Return the mapper in a file, frozen.

    Args:
        path: A file of `export_mapper`, or a checkpoint of StyleCLIP's own code, whose
            norm goes over the rows of a level (see `MapperShape`).

    Raises:
        InputError: If it is missing or of another form.
    """
    if not path.is_file():
        msg = f"A mapper is expected at {path}, where there is no file. " + _MEND
        raise InputError(msg)
    is_ours = path.suffix == ".safetensors" or is_safetensors(path)
    return _load_ours(path) if is_ours else _load_theirs(path)


def _load_ours(path: Path) -> StyleMapper:
    tensors, metadata = read_weights(path, mend=_MEND)
    try:
        header = parse_json(metadata["config"])
        if header["kind"] != KIND:
            raise ValueError(header["kind"])
        shape = read_settings(MapperShape, header["shape"])
        seconds = header["training_seconds"]
        who = header["identity_encoder"]
        return StyleMapper(
            network=_build(shape, tensors),
            identity=_identify(header["target"]["name"] or path.stem, shape, tensors),
            text=str(header["target"]["target"]),
            neutral=str(header["target"]["neutral"]),
            generator_identity=read_settings(Identity, header["generator"]),
            encoder_identity=read_settings(Identity, header["encoder"]),
            identity_encoder_identity=(
                None if who is None else read_settings(Identity, who)
            ),
            settings=dict(header["settings"]),
            losses={str(k): float(v) for k, v in header["losses"].items()},
            training_seconds=None if seconds is None else float(seconds),
        )
    except MISSHAPEN as error:
        msg = (
            f"{path} must hold a mapper as the pipeline mappers writes it, got "
            f"{str(error)[:300]!r}. {_MEND}"
        )
        raise InputError(msg) from error


def _load_theirs(path: Path) -> StyleMapper:
    network, text = read_foreign(path, _convert, expected=_EXPECTED)
    return StyleMapper(network, Identity(path.stem, hash_file(path)), text)


def _convert(content: Any) -> tuple[LevelsMapper, str]:
    """Return the network and the text of a checkpoint of StyleCLIP's."""
    if not isinstance(content, dict) or "state_dict" not in content:
        raise Refusal("has no state_dict")
    stored = content["state_dict"]
    if not isinstance(stored, dict):
        raise Refusal("holds no state dict there")
    # The checkpoint holds the generator as well, which is passed over.
    own = {k: v for k, v in stored.items() if str(k).startswith("mapper.")}
    weights: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors_of(own, "under mapper.").items():
        found = _THEIR_NAME.fullmatch(name)
        if found is None or not 1 <= int(found[2]) <= DEPTH:
            raise Refusal(f"has the weight {name[:80]!r}, which no mapper of w has")
        of_level = weights.setdefault(found[1] or "", {})
        of_level[f"layers.{int(found[2]) - 1}.{found[3]}"] = tensor
    ends: tuple[int | None, ...] = _THEIR_ENDS
    if set(weights) == {"mapping"}:  # of SingleMapper: one network for all rows
        networks, ends = {"coarse": weights["mapping"]}, (None, None, None)
    elif set(weights) <= set(_THEIR_LEVELS):
        networks = {_THEIR_LEVELS[name]: weights[name] for name in weights}
    else:
        raise Refusal(f"has mappers {sorted(weights)}, not those of levels of w")
    first = next(iter(networks.values()))["layers.0.weight"]
    shape = MapperShape(
        w_dim=first.shape[0],
        ends=list(ends),
        moved=[name for name in LEVEL_NAMES if name in networks],
        norm_axis="rows",
    )
    tensors = {
        f"networks.{level}.{name}": tensor
        for level, of_level in networks.items()
        for name, tensor in of_level.items()
    }
    options = content.get("opts")
    text = options.get("description") if isinstance(options, dict) else None
    return _build(shape, tensors), text if isinstance(text, str) else ""


def _build(shape: MapperShape, tensors: Mapping[str, Tensor]) -> LevelsMapper:
    """Return a frozen network; `ValueError` for weights that do not fit it."""
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        msg = "numbers that are not finite"
        raise ValueError(msg)
    weights = {name: tensor.float() for name, tensor in tensors.items()}
    network = load_network(lambda: LevelsMapper(shape), weights)
    return network.eval().requires_grad_(False)


def _identify(name: str, shape: MapperShape, tensors: Mapping[str, Tensor]) -> Identity:
    """Return an identity that says what decides the edit; seconds do not."""
    digest = hashlib.sha256(json.dumps(asdict(shape), sort_keys=True).encode())
    digest.update(digest_arrays(tensors).encode())
    return Identity(name, digest.hexdigest())
