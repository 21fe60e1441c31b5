"""The settings of a picture as they are stored in its PNG, and read again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from clip2latent_kedro import __version__
from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.demo.prompts import check_text
from clip2latent_kedro.demo.request import DrawRequest, EditRequest
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.samplers import SamplingConfig

_OF_SAMPLING = ("guidance_scale", "psi", "sampler", "num_steps")


@dataclass(frozen=True)
class LoadedSettings:
    """What a PNG says of its picture.

    Attributes:
        request: To draw it again.
        edit: What was changed of it after; None for nothing.
        index: Its number among the pictures of the request, by sample.
        notes: Sentences on what may differ.
    """

    request: DrawRequest
    edit: EditRequest | None
    index: int
    notes: Sequence[str]


def describe_drawing(
    request: DrawRequest,
    sampling: SamplingConfig,
    models: Mapping[str, str],
    *,
    picture: str | None,
) -> dict[str, Any]:
    """Return all that the pictures of a request depend on, as plain JSON.

    Args:
        request: What was asked for.
        sampling: How it was drawn.
        models: Digests by role.
        picture: Digest of the picture that was part of the prompt; None for none.
    """
    record: dict[str, Any] = {
        "version": __version__,
        "prompt": request.prompt,
        "negative": request.negative or None,
        "seed": request.seed,
        "sampling": asdict(sampling),
        "models": dict(models),
    }
    if picture is not None:
        record["picture"] = {"sha256": picture, "weight": request.picture_weight}
    if request.mix.strip():
        record["mix"] = {"of": request.mix, "rows": list(request.mix_rows)}
    return record


def describe_edits(request: EditRequest, neutral: str | None) -> list[dict[str, Any]]:
    """Return what is changed of a picture, as plain JSON.

    Args:
        request: What was asked for.
        neutral: The project's own text to start from.
    """
    edits: list[dict[str, Any]] = [
        {"name": name, "method": request.way, "strength": strength}
        for name, strength in request.strengths.items()
        if strength != 0
    ]
    if request.has_text:
        edits.append(
            {
                "target": request.target,
                "neutral": request.neutral or neutral,
                "method": request.text_way,
                "strength": request.text_strength,
            }
        )
    return edits


def read_record(
    settings: Mapping[str, Any], defaults: DrawRequest, limits: Limits, models: Any
) -> LoadedSettings:
    """Return the request of stored settings, checked as if a visitor had typed it.

    Args:
        settings: What `png_settings.read_png_settings` returned.
        defaults: What is not stored.
        limits: Of requests.
        models: Digests by role, of the models that are loaded.

    Raises:
        InputError: If they are those of no picture of a prompt, or out of range.
    """
    sampling = _mapping(settings.get("sampling"), "sampling")
    mix = _mapping(settings.get("mix"), "mix")
    index = settings.get("image", 0)
    if not isinstance(index, int) or not 0 <= index < limits.images:
        msg = f"image of the PNG must be 0 to {limits.images - 1}, got {index!r:.40}."
        raise InputError(msg)
    values: dict[str, Any] = {
        field.name: getattr(defaults, field.name) for field in fields(DrawRequest)
    }
    picture = settings.get("picture")
    values |= {
        "prompt": settings.get("prompt") or "",
        "negative": settings.get("negative") or "",
        "picture_weight": 0.0,
        "seed": settings.get("seed", defaults.seed),
        "num_images": max(defaults.num_images, index + 1),
        "rank": False,
        "mix": str(mix.get("of", "")),
        "mix_rows": mix.get("rows", ["fine"]),
        **{name: sampling[name] for name in _OF_SAMPLING if name in sampling},
    }
    if picture is not None and not values["prompt"]:
        values["picture_weight"] = 1.0
    request = read_settings(DrawRequest, values, "settings of the PNG")
    request.check(limits)
    for text in (request.prompt, request.negative, request.mix):
        check_text(text, limits, "A text of the PNG")
    notes = []
    if settings.get("models") != models:
        notes.append("It was drawn by other models, so the pictures will differ.")
    if picture is not None:
        notes.append("A picture was part of its prompt: bring that picture again.")
    edits = _list_edits(settings)
    told = [each for each in edits if {"method", "strength"} <= each.keys()]
    if len(told) < len(edits):
        notes.append("How it was edited is not all in it: set the sliders again.")
    edit = _read_edits(told, index)
    return LoadedSettings(request, edit, index, notes)


def _list_edits(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what is said of each edit, without what is null."""
    edits = settings.get("edits") or []
    if not isinstance(edits, list) or len(edits) > 64:
        msg = f"edits of the PNG must be a list, got {type(edits).__name__}."
        raise InputError(msg)
    said = (_mapping(each, "edits").items() for each in edits)
    return [{name: value for name, value in each if value is not None} for each in said]


def _read_edits(edits: list[Mapping[str, Any]], index: int) -> EditRequest | None:
    values: dict[str, Any] = {"drawing": 0, "index": index, "strengths": {}}
    for edit in edits:
        if "name" in edit:
            values["way"] = edit["method"]
            values["strengths"][str(edit["name"])] = edit["strength"]
        else:
            values |= {
                "target": edit.get("target") or "",
                "neutral": edit.get("neutral") or "",
                "text_way": edit["method"],
                "text_strength": edit["strength"],
            }
    if not edits:
        return None
    return read_settings(EditRequest, values, "edits of the PNG")


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        msg = f"{name} of the PNG must be a group of settings, got {value!r:.40}."
        raise InputError(msg)
    return value
