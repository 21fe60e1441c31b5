"""A vector that a user brings, added to w as it is."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from clip2latent_kedro.editing.directions.files import (
    ENDINGS,
    as_numbers,
    read_one_direction,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Latents, Source

Vector = Tensor | np.ndarray | str | Path
"""A tensor, an array, or the path of a file of one."""


@dataclass(frozen=True)
class GivenVector:
    """w' = w + strength * vector.

    Attributes:
        vector: [1 or num_images, 1 or num_ws, w_dim].
    """

    vector: Tensor

    def apply(self, source: Source, strength: float) -> Latents:
        """Return latents with the vector added."""
        latents = source.latents
        return replace(latents, w=latents.w + strength * self.vector.to(latents.w))

    def describe(self) -> dict[str, Any]:
        """Return which vector it is, as plain JSON."""
        content = self.vector.cpu().contiguous().numpy().tobytes()
        digest = hashlib.sha256(content).hexdigest()
        return {"method": "vector", "digest": digest, "shape": list(self.vector.shape)}


def read_vector(
    vector: Vector, num_images: int, num_ws: int, w_dim: int, *, what: str = "edit"
) -> Tensor:
    """Return directions that can be added to w, [num_images or 1, num_ws or 1, w_dim].

    Args:
        vector: Tensor, array, or the path of a file with one direction (see
            `editing.directions.files`), which is read without running anything that it
            may hold. [w_dim] is one for all layers and images, [num_ws, w_dim] one for
            each layer; a further axis in front is that of the images.
        num_images: How many w there are.
        num_ws: Layers of the generator.
        w_dim: Channels of w.
        what: What it is called in messages.

    Raises:
        InputError: If the file, the shape or a number is wrong.
    """
    given = (
        _read_file(Path(vector), num_ws) if isinstance(vector, str | Path) else vector
    )
    is_array = isinstance(given, Tensor | np.ndarray)
    shape = tuple(given.shape) if is_array else ()
    images, layers, channels = (*(1,) * (3 - len(shape)), *shape)[:3]
    fits = images in (1, num_images) and layers in (1, num_ws) and channels == w_dim
    if not is_array or not 1 <= len(shape) <= 3 or not fits:
        found = list(shape) if is_array else type(given).__name__
        msg = (
            f"{what} must have the shape [{w_dim}], [1 or {num_ws}, {w_dim}] or [1 or "
            f"{num_images}, 1 or {num_ws}, {w_dim}], got {found}. Use a direction of "
            f"this generator's w."
        )
        raise InputError(msg)
    return as_numbers(given, what).view(images, layers, channels)


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
