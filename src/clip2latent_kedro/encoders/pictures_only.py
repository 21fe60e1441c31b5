"""What encoders say to a text that know pictures alone."""

from collections.abc import Sequence
from typing import NoReturn

from clip2latent_kedro.errors import InputError


def refuse_texts(encoder: str, texts: Sequence[str]) -> NoReturn:
    """Raise `InputError`: there are no texts in this space.

    Args:
        encoder: How a sentence calls it.
        texts: What was asked for.
    """
    msg = (
        f"{encoder} takes pictures and no text, got {texts[0]!r}. Give the path of a "
        f"picture, such as face.png."
    )
    raise InputError(msg)
