"""What a caller hands over: configurations, prompts and directions of edits."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from clip2latent_kedro.conditioning import Query
from clip2latent_kedro.editing.directions.files import (
    ENDINGS,
    as_numbers,
    read_one_direction,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import read_image

Edit = Tensor | np.ndarray | str | Path


def plain_config(cfg: Any) -> Any:
    """Return a configuration of OmegaConf as plain containers; anything else as it is.

    References in it stay as they are written.
    """
    if not type(cfg).__module__.startswith("omegaconf."):
        return cfg
    from omegaconf import OmegaConf  # as the caller has

    return OmegaConf.to_container(cfg)


def as_queries(prompts: Any) -> list[Query]:
    """Return prompts as queries.

    Args:
        prompts: A text, an image, a weighted list such as [("a man", 1.0),
            ("glasses", 0.5)], or a list of these; an image is all that
            `images.read_image` takes, a `Path` among it, but no string: a text that
            users of a program type opens no file. An array or tensor of four dimensions
            is several images.

    Raises:
        InputError: If there are none, or one cannot be read.
    """
    if isinstance(prompts, Tensor | np.ndarray) and prompts.ndim == 4:
        prompts = list(prompts)
    # One prompt alone: a weighted list is a list too, but of pairs with a number.
    if not isinstance(prompts, list | tuple) or _is_weighted_list(prompts):
        prompts = [prompts]
    if not prompts:
        msg = "prompts must hold a text or an image at least, got none."
        raise InputError(msg)
    return [
        [(_as_part(part), weight) for part, weight in prompt]
        if _is_weighted_list(prompt)
        else _as_part(prompt)
        for prompt in prompts
    ]


def read_edit(edit: Edit, num_images: int, num_ws: int, w_dim: int) -> Tensor:
    """Return directions that can be added to w, [num_images or 1, num_ws or 1, w_dim].

    Args:
        edit: Tensor, array, or the path of a file with one direction (see
            `editing.directions.files`), which is read without running anything that it
            may hold. [w_dim] is one for all layers
            and images, [num_ws, w_dim] one for each layer; a further axis in front is
            that of the images.
        num_images: How many w there are.
        num_ws: Layers of the generator.
        w_dim: Channels of w.

    Raises:
        InputError: If the file, the shape or a number is wrong.
    """
    given = _read_file(Path(edit), num_ws) if isinstance(edit, str | Path) else edit
    is_array = isinstance(given, Tensor | np.ndarray)
    shape = tuple(given.shape) if is_array else ()
    images, layers, channels = (*(1,) * (3 - len(shape)), *shape)[:3]
    fits = images in (1, num_images) and layers in (1, num_ws) and channels == w_dim
    if not is_array or not 1 <= len(shape) <= 3 or not fits:
        found = list(shape) if is_array else type(given).__name__
        msg = (
            f"edit must have the shape [{w_dim}], [1 or {num_ws}, {w_dim}] or [1 or "
            f"{num_images}, 1 or {num_ws}, {w_dim}], got {found}. Use a direction of "
            f"this generator's w."
        )
        raise InputError(msg)
    return as_numbers(given, "edit").view(images, layers, channels)


def _as_part(prompt: Any) -> str | Tensor:
    return prompt if isinstance(prompt, str) else read_image(prompt)


def _is_weighted_list(prompts: Any) -> bool:
    return (
        isinstance(prompts, list | tuple)
        and bool(prompts)
        and all(
            isinstance(pair, list | tuple)
            and len(pair) == 2
            and isinstance(pair[1], int | float)
            for pair in prompts
        )
    )


def _read_file(path: Path, num_ws: int) -> Tensor | np.ndarray:
    try:
        return read_one_direction(path, num_ws)
    except InputError as error:
        msg = (
            f"edit must be the path of a file with one direction, "
            f"{', '.join(ENDINGS)}, but {path} could not be read "
            f"({str(error).rstrip('.')})."
        )
        raise InputError(msg) from error
