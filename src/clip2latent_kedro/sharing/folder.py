"""The folder: `config.json`, `model.safetensors`, `README.md`, and what else there is.

The prior is always in it, and `directions.safetensors` if there are some for edits.
Generator and encoder are named as the catalog names them, by kind, file and options, or
lie in the folder too.
"""

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from safetensors.torch import save_file

from clip2latent_kedro.downloads import fetch
from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.editing.directions.files import (
    pack_directions,
    read_directions,
)
from clip2latent_kedro.editing.edit import read_targets
from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import replacing
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.generators.files import cached_stylegan
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.prior.checkpoint import (
    export_weights,
    read_checkpoint,
    write_checkpoint,
)
from clip2latent_kedro.reading import is_safetensors, read_json, read_settings
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.sharing.card import write_card
from clip2latent_kedro.sharing.model import (
    ModelReference,
    SharedModel,
    read_reference,
)

FORMAT = "clip2latent_kedro.model/1"
CONFIG_FILE, MODEL_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"
DIRECTIONS_FILE = "directions.safetensors"
ROLES = ("generator", "encoder")


def write_folder(
    folder: Path,
    model: SharedModel,
    *,
    include: Collection[str] = (),
    licence: str = "other",
) -> None:
    """Store a model as a folder; files of the same names are replaced.

    Args:
        folder: Made if need be.
        model: Bound to its generator and its encoder.
        include: `generator`, `encoder` or both: what to copy into the folder rather
            than to name. A generator in another program's format is converted. Mind
            the licence of what you pass on.
        licence: Of the prior, as Hugging Face abbreviates it, for the model card.

    Raises:
        InputError: If a model that is to be included has no file.
    """
    unknown = sorted(set(include) - set(ROLES))
    if unknown:
        msg = f"include must name {' or '.join(ROLES)}, got {unknown[0]!r}."
        raise InputError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    for role in include:
        inside = _include(role, getattr(model, role), folder)
        model = replace(model, **{role: inside})  # type: ignore[arg-type]
    config = {
        "format": FORMAT,
        "generator": asdict(model.generator),
        "encoder": asdict(model.encoder),
        "sampling": asdict(model.sampling),
        "data": dict(model.preprocess),
        "editing": {
            "neutral": model.neutral,
            "targets": {name: asdict(one) for name, one in model.targets.items()},
        },
    }
    write_checkpoint(folder / MODEL_FILE, export_weights(model.checkpoint, "ema"))
    _write_directions(folder / DIRECTIONS_FILE, model.own_directions)
    texts = {
        CONFIG_FILE: json.dumps(config, indent=2) + "\n",
        CARD_FILE: write_card(model, licence=licence),
    }
    for name, text in texts.items():
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def read_folder(folder: Path) -> SharedModel:
    """Return the model in a folder.

    Raises:
        InputError: If the folder lacks a file, or one is not what it should be.
    """
    for name in (CONFIG_FILE, MODEL_FILE):
        if not (folder / name).is_file():
            msg = f"{folder} must be a folder of a saved model, but lacks {name}."
            raise InputError(msg)
    path = folder / CONFIG_FILE
    config = read_json(path, mend="Save the model again.")
    found = config.get("format") if isinstance(config, dict) else None
    if found != FORMAT:
        msg = f"{path} must be of the format {FORMAT}, got {str(found)[:80]!r}."
        raise InputError(msg)
    checkpoint = read_checkpoint(
        folder / MODEL_FILE, mend="Save or download the model again."
    )
    directions = folder / DIRECTIONS_FILE
    editing = config.get("editing") or {}  # older folders have none
    try:
        return SharedModel(
            checkpoint=checkpoint,
            generator=read_reference(config["generator"], folder),
            encoder=read_reference(config["encoder"], folder),
            sampling=read_settings(SamplingConfig, config["sampling"]),
            preprocess={name: str(config["data"][name]) for name in config["data"]},
            directions=read_directions(directions) if directions.is_file() else {},
            targets=read_targets(editing.get("targets", {})),
            neutral=editing.get("neutral") and str(editing["neutral"]),
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        reason = str(error).rstrip(".")[:300]
        msg = f"{path} is not as this project writes it ({reason}). Save it again."
        raise InputError(msg) from error


def load_models(
    generator: ModelReference, encoder: ModelReference
) -> tuple[Generator, Encoder]:
    """Return the models that are referred to, on the CPU.

    Raises:
        InputError: If one cannot be loaded or is another one.
    """
    try:
        loaded_generator = load_generator(*_source(generator))
        loaded_encoder = load_encoder(*_source(encoder))
    except (TypeError, AttributeError) as error:  # of options of the wrong kind
        msg = (
            f"The options of generator or encoder are of the wrong kind ({error}): "
            f"{dict(generator.options)}, {dict(encoder.options)}. Correct them."
        )
        raise InputError(msg) from error
    for role, reference, found in (
        ("generator", generator, loaded_generator.identity),
        ("encoder", encoder, loaded_encoder.identity),
    ):
        expected = reference.identity
        if expected is not None and expected.digest != found.digest:
            msg = (
                f"The model was saved with the {role} {expected}, but its file now "
                f"holds {found}. Put the right file there."
            )
            raise InputError(msg)
    return loaded_generator, loaded_encoder


def _write_directions(path: Path, directions: Mapping[str, Direction]) -> None:
    """Write directions, or remove those of an earlier model where there are none."""
    if not directions:
        path.unlink(missing_ok=True)
        return
    tensors, metadata = pack_directions(directions)
    with replacing(path) as partial:
        save_file(tensors, partial, metadata)


def _include(role: str, reference: ModelReference, folder: Path) -> ModelReference:
    """Return a reference to a copy of the model's file in the folder."""
    if reference.filepath is None:
        msg = (
            f"The {role} of kind {reference.kind} has no file to include. Leave "
            f"{role!r} out of include: it is named by its options."
        )
        raise InputError(msg)
    path = fetch(reference.filepath)
    name = PurePosixPath(urlsplit(reference.filepath).path).name
    options = dict(reference.options)
    cache_folder = options.pop("cache_folder", None)
    if reference.kind == "stylegan" and not is_safetensors(path):
        path = cached_stylegan(path, Path(cache_folder or path.parent / "converted"))
        name = f"{PurePosixPath(name).stem}.safetensors"
    target = folder / role / name
    if not target.exists() or not target.samefile(path):
        with replacing(target) as partial:
            shutil.copyfile(path, partial)
    inside = target.relative_to(folder).as_posix()
    return replace(reference, filepath=inside, options=options)


def _source(reference: ModelReference) -> tuple[str, Path | None, Mapping[str, Any]]:
    path = None if reference.filepath is None else fetch(reference.filepath)
    return reference.kind, path, reference.options
