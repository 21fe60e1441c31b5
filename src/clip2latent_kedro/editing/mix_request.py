"""From what a user mixes in to rows of w that are replaced."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from clip2latent_kedro.conditioning import Query
from clip2latent_kedro.editing.layers import LayerGroup, check_layers, read_layers
from clip2latent_kedro.editing.mixing import mix_latents
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.latents import Latents, Source
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

GROUPS: tuple[LayerGroup, ...] = ("coarse", "middle", "fine")
Rows = str | int | Sequence[int | str]
"""Groups of rows of w by name, rows by number, or a list of them; a string may join
several by a comma."""


@dataclass(frozen=True)
class MixedIn:
    """Style mixing: some rows of w are another's (Karras et al. 2019, section 3.1).

    Attributes:
        w: The other, [1 or num_images, num_ws, w_dim].
        rows: Which are its own.
    """

    w: Tensor
    rows: Sequence[int]

    def apply(self, source: Source, strength: float) -> Latents:
        """Return latents with the rows moved by a share of the way, 1 for all of it."""
        latents = source.latents
        mixed = mix_latents(latents.w, self.w, self.rows, strength)
        return replace(latents, w=mixed)

    def describe(self) -> dict[str, Any]:
        """Return what is mixed in, as plain JSON."""
        content = self.w.cpu().contiguous().numpy().tobytes()
        digest = hashlib.sha256(content).hexdigest()
        return {"method": "mix", "digest": digest, "rows": list(self.rows)}


def draw_mixed_in(
    model: TextToImage,
    mix: int | Query,
    queries: Sequence[Query],
    sampling: SamplingConfig,
    *,
    num_samples: int,
    seed: int,
    negative: Sequence[Query] | None = None,
) -> Tensor:
    """Return the w that is mixed in, [num_queries * num_samples, num_ws, w_dim].

    Args:
        model: Generator, encoder and prior.
        mix: Another seed, by which the same queries are drawn; or another query, drawn
            from the noise that each picture has.
        queries: What the pictures are of.
        sampling: How latents are sampled.
        num_samples: Pictures of each query.
        seed: Of the pictures.
        negative: What guidance leads away from.

    Raises:
        InputError: If the settings do not suit the prior.
    """
    drawn = model.draw(
        queries if isinstance(mix, int) else [mix] * len(queries),
        sampling,
        num_samples=num_samples,
        seed=mix if isinstance(mix, int) else seed,
        negative=negative,
    )
    return drawn.source.latents.w


def read_rows(layers: Rows, generator: Generator) -> list[int]:
    """Return the rows of w that a user names, in order.

    Args:
        layers: See `Rows`.
        generator: Whose rows they are.

    Raises:
        InputError: If there is no such group or row.
    """
    is_list = isinstance(layers, list | tuple | range | np.ndarray)
    parts = layers if is_list else str(layers).split(",")
    rows: set[int] = set()
    for part in parts:  # type: ignore[union-attr]
        word = str(part).strip()
        group = next((name for name in GROUPS if name == word), None)
        if group is not None:
            rows.update(read_layers(group, generator))
        elif word.isdecimal():
            rows.add(int(word))
        else:
            msg = (
                f"mix_layers must name {', '.join(GROUPS)} or rows of w by number, got "
                f"{word!r}."
            )
            raise InputError(msg)
    check_layers(sorted(rows), generator.num_ws, "mix_layers")
    if not rows:
        msg = f"mix_layers must name some rows of w, got {layers!r}."
        raise InputError(msg)
    return sorted(rows)
