"""An encoder that reads images in one of the forms that clip2latent knows."""

from typing import get_args

from clip2latent_kedro.encoders.open_clip import Preprocess, check_choice
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder


def choose_preprocess(encoder: Encoder, form: Preprocess, *, setting: str) -> Encoder:
    """Return the encoder as it reads images in a form (see `open_clip.preprocess`).

    Texts are embedded the same in either form. Another form is another identity.

    Args:
        encoder: One with a method `with_preprocess(form)` has both forms; another
            has its own way alone, which is its `standard`.
        form: `standard` or `upstream`.
        setting: What asks for it, for the message.

    Raises:
        InputError: If there is no such form, or the encoder does not have it.
    """
    check_choice(setting, form, get_args(Preprocess))
    choose = getattr(encoder, "with_preprocess", None)
    if choose is not None:
        view: Encoder = choose(form)
        return view
    if form != "standard":
        msg = (
            f"{setting} must be standard for the encoder {encoder.identity.name}, "
            f"which reads images in one way only, got {form!r}."
        )
        raise InputError(msg)
    return encoder
