"""The frozen models tried once, before hours are spent on them."""

import contextlib
import traceback
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pairs.recipe import check_layers
from clip2latent_kedro.runtime import make_generator

NUM_TRIED = 2
_MOST = 32.0  # GANs overshoot 1 a little; what is drawn from 0 to 255 is far beyond


@torch.inference_mode()
def try_models(models: Models, data: DataConfig) -> None:
    """Draw two images of random z, embed and classify them, and check every shape.

    Args:
        models: Generator, encoders and judge.
        data: `params:data`.

    Raises:
        InputError: If something has not the shape that the model's own numbers
            promise, does not fit the settings, or if a model raises.
    """
    generator, judge = models.generator, models.judge
    with _blaming("generator"):
        check_layers(generator, data)
        name, side = generator.identity.name, generator.resolution
        random_numbers = make_generator(0, "trial")
        z = torch.randn(NUM_TRIED, generator.z_dim, generator=random_numbers)
        w = generator.mapping(z.to(models.device))
        _check(f"w of {name}", w, [NUM_TRIED, generator.num_ws, generator.w_dim])
        _check(f"w_avg of {name}", generator.w_avg, [generator.w_dim])
        image = generator.synthesis(w, noise_mode="const")
        _check(f"images of {name}", image, [NUM_TRIED, 3, side, side])
        image = image.float()
        if (largest := image.abs().max().item()) > _MOST:
            msg = (
                f"The images of {name} must be about in [-1, 1], got {largest:g}. "
                f"Scale them in the model."
            )
            raise InputError(msg)
    for encoder in filter(None, (models.embedder, models.encoder, models.held_out)):
        with _blaming("encoder"):
            embedding = encoder.encode_image(image)
            shape = [NUM_TRIED, encoder.embed_dim]
            _check(f"embeddings of images of {encoder.identity.name}", embedding, shape)
    if judge is not None:
        with _blaming("judge"):
            values = judge.classify(image)
            shape = [NUM_TRIED, len(judge.attributes)]
            what = f"values of {judge.identity.name}"
            _check(what, values, shape, is_float=False)


@torch.inference_mode()
def try_texts(encoder: Encoder, texts: Sequence[str], *, where: str, mend: str) -> None:
    """Embed texts, if there are any, and check the shape.

    Args:
        encoder: Of texts.
        texts: What a run will ask it.
        where: What holds them, for the message.
        mend: What a user can do about them, a sentence.

    Raises:
        InputError: If the encoder knows no text, or not one of these, or the shape
            is not that of its images.
    """
    if not texts:
        return
    name = encoder.identity.name
    with _blaming("encoder"):
        try:
            embedding = encoder.encode_text(list(texts))
        except InputError as error:
            msg = f"{where} must have texts that the encoder {name} knows. "
            raise InputError(f"{msg}{error} {mend}") from error
    _check(f"embeddings of texts of {name}", embedding, [len(texts), encoder.embed_dim])


@contextlib.contextmanager
def _blaming(role: str) -> Iterator[None]:
    """Tell what a model raises as a fault of its own, but for want of memory."""
    try:
        yield
    except (InputError, MemoryError, OSError):
        raise
    except Exception as error:  # models of other people raise anything
        if "memory" in str(error):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = " ".join(str(error).split()) or "no reason given"
        msg = (
            f"The {role} must take what it is tried with, but raises "
            f"{type(error).__name__}: {reason} ({place.filename}, line "
            f"{place.lineno}). Correct the model (docs/own_models.md)."
        )
        raise InputError(msg) from error


def _check(
    what: str, found: Tensor, shape: list[int], *, is_float: bool = True
) -> None:
    is_fit = isinstance(found, Tensor) and (found.is_floating_point() or not is_float)
    if not is_fit:
        kind = found.dtype if isinstance(found, Tensor) else type(found).__name__
        msg = (
            f"The {what} must be a tensor{' of floats' if is_float else ''}, got "
            f"{kind}. Correct the model (docs/own_models.md)."
        )
        raise InputError(msg)
    if list(found.shape) != shape:
        msg = (
            f"The {what} must have shape {shape}, got {list(found.shape)}. Correct the "
            f"model, or the numbers that it states (docs/own_models.md)."
        )
        raise InputError(msg)
    if not torch.isfinite(found).all():
        msg = f"The {what} must be finite, got others. Correct the model."
        raise InputError(msg)
