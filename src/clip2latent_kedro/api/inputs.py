"""What a caller hands over: configurations and prompts."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from clip2latent_kedro.conditioning import Query
from clip2latent_kedro.editing.given_vector import read_vector
from clip2latent_kedro.editing.inversion.latent_files import (
    LATENT_ENDINGS,
    read_latents,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import read_image
from clip2latent_kedro.interfaces import Generator


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


def read_w(given: Any, generator: Generator) -> Tensor | None:
    """Return w, [n, num_ws, w_dim], of what a caller hands over as one.

    Args:
        given: An array or a tensor, [w_dim], [1 or num_ws, w_dim] or [n, 1 or num_ws,
            w_dim]; a `Path` of a stored one.
        generator: Whose w it is.

    Returns:
        None of anything else, such as an image or a text.

    Raises:
        InputError: If a file cannot be read, or a number is not finite.
    """
    if isinstance(given, Path) and given.suffix.lower() in LATENT_ENDINGS:
        return read_latents(given, generator).w
    if not isinstance(given, Tensor | np.ndarray) or not _is_w(given, generator):
        return None
    num_ws, w_dim = generator.num_ws, generator.w_dim
    num_images = given.shape[0] if given.ndim == 3 else 1
    w = read_vector(given, num_images, num_ws, w_dim, what="w")
    return w.expand(num_images, num_ws, w_dim)


def _is_w(given: Tensor | np.ndarray, generator: Generator) -> bool:
    """Return whether an array has the shape of w rather than of an image."""
    is_deep = given.ndim == 3
    has_rows = not is_deep or given.shape[1] in (1, generator.num_ws)
    return 1 <= given.ndim <= 3 and given.shape[-1] == generator.w_dim and has_rows


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
