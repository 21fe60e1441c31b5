"""What a caller hands over: prompts in all their forms, and directions of edits."""

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.conditioning import Query
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference import read_query

Edit = Tensor | np.ndarray | str | Path


def as_queries(prompts: Any) -> list[Query]:
    """Return prompts as queries.

    Args:
        prompts: A text, an image, a weighted list such as [("a man", 1.0),
            ("glasses", 0.5)], or a list of these; an image is all that
            `images.read_image` takes, or a text that ends as a picture's path does. An
            array or tensor of four dimensions is several images.

    Raises:
        InputError: If there are none, or one cannot be read.
    """
    if isinstance(prompts, Tensor | np.ndarray) and prompts.ndim == 4:
        prompts = list(prompts)
    if not isinstance(prompts, list | tuple) or _is_weighted_list(prompts):
        prompts = [prompts]
    if not prompts:
        msg = "prompts must hold a text or an image at least, got none."
        raise InputError(msg)
    return [_as_query(prompt) for prompt in prompts]


def read_edit(edit: Edit, num_ws: int, w_dim: int) -> Tensor:
    """Return a direction that can be added to w, [w_dim] or [num_ws, w_dim].

    Args:
        edit: Tensor, array, or the path of a `.pt` or `.npy` file, which is read
            without running anything that it may hold.
        num_ws: Layers of the generator.
        w_dim: Channels of w.

    Raises:
        InputError: If the file or the shape is wrong.
    """
    direction = _read_file(Path(edit)) if isinstance(edit, str | Path) else edit
    shapes = ((w_dim,), (num_ws, w_dim))
    is_array = isinstance(direction, Tensor | np.ndarray)
    if not is_array or tuple(direction.shape) not in shapes:
        found = list(direction.shape) if is_array else type(direction).__name__
        msg = (
            f"edit must have shape [{w_dim}] or [{num_ws}, {w_dim}], got {found}. Use "
            f"a direction of this generator's w."
        )
        raise InputError(msg)
    return torch.as_tensor(direction).float()


def _as_query(prompt: Any) -> Query:
    if isinstance(prompt, list | tuple) and _is_weighted_list(prompt):
        return [(read_query(part), weight) for part, weight in prompt]
    return read_query(prompt)


def _is_weighted_list(prompts: Sequence[Any]) -> bool:
    return bool(prompts) and all(
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and isinstance(pair[1], int | float)
        for pair in prompts
    )


def _read_file(path: Path) -> Any:
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError, EOFError, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = (
            f"edit must be the path of a .npy file or of a .pt file with one tensor, "
            f"but {path} could not be read ({reason})."
        )
        raise InputError(msg) from error
