"""What a caller hands over: configurations and prompts."""

from typing import Any

import numpy as np
from torch import Tensor

from clip2latent_kedro.conditioning import Query
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import read_image


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
