"""Between the controls of a page, as lists of plain values, and what is asked for."""

from collections.abc import Sequence
from typing import Any

from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.demo.request import DrawRequest, EditRequest
from clip2latent_kedro.errors import InputError

DRAW_FIELDS = (
    "prompt",
    "negative",
    "picture_weight",
    "num_images",
    "guidance_scale",
    "psi",
    "sampler",
    "num_steps",
    "seed",
    "rank",
    "mix",
    "mix_rows",
)
"""Fields of a `DrawRequest` in the order of the controls."""

_WHOLE = ("num_images", "num_steps", "seed")


def read_draw(values: Sequence[Any]) -> DrawRequest:
    """Return the request of controls, which may be empty or of another kind.

    Args:
        values: In the order of `DRAW_FIELDS`.

    Raises:
        InputError: If one is missing or out of range.
    """
    given = dict(zip(DRAW_FIELDS, values, strict=True))
    for name in ("prompt", "negative", "mix"):
        given[name] = given[name] or ""
    for name in _WHOLE:
        given[name] = _whole(given[name], name)
    if not str(given["prompt"]).strip() and not given["picture_weight"]:
        msg = "There must be a prompt: a text, or a picture with a weight. Give one."
        raise InputError(msg)
    return read_settings(DrawRequest, given)


def settings_of(request: DrawRequest) -> list[Any]:
    """Return the values of the controls of a request, as `read_draw` takes them."""
    return [getattr(request, name) for name in DRAW_FIELDS]


def read_edit(values: Sequence[Any], names: Sequence[str]) -> EditRequest:
    """Return the edit of controls.

    Args:
        values: The place of the picture, (drawing, index); the way of editing; the two
            texts, to and from; their way and strength; then a strength for each name.
        names: Of the sliders.

    Raises:
        InputError: If no picture is chosen, or a value is out of range.
    """
    place, way, target, neutral, text_way, text_strength, *strengths = values
    drawing, index = place or (0, 0)
    if not drawing:
        msg = "There must be a picture to edit, got none. Draw or invert one first."
        raise InputError(msg)
    given: dict[str, Any] = {
        "drawing": drawing,
        "index": index,
        "target": target or "",
        "neutral": neutral or "",
        "text_strength": text_strength or 0.0,
        "strengths": {
            name: strength or 0.0
            for name, strength in zip(names, strengths, strict=True)
            if strength
        },
    }
    given |= {"way": way} if way else {}
    given |= {"text_way": text_way} if text_way else {}
    return read_settings(EditRequest, given)


def _whole(value: Any, name: str) -> Any:
    """Return what a control gives for a whole number, as one."""
    if value is None:
        msg = f"{name} must be a whole number, got nothing. Give one."
        raise InputError(msg)
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value
