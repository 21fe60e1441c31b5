"""The frozen models tried once, before hours are spent on them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pairs.recipe import check_layers
from clip2latent_kedro.runtime import make_generator

NUM_TRIED = 2


@torch.inference_mode()
def try_models(models: Models, data: DataConfig) -> None:
    """Draw two images of random z, embed and classify them, and check every shape.

    Args:
        models: Generator, encoders and judge.
        data: `params:data`.

    Raises:
        InputError: If something has not the shape that the model's own numbers
            promise, or does not fit the settings.
    """
    generator, judge = models.generator, models.judge
    check_layers(generator, data)
    name, side = generator.identity.name, generator.resolution
    z = torch.randn(NUM_TRIED, generator.z_dim, generator=make_generator(0, "trial"))

    w = generator.mapping(z.to(models.device))
    _check(f"w of {name}", w, [NUM_TRIED, generator.num_ws, generator.w_dim])
    _check(f"w_avg of {name}", generator.w_avg, [generator.w_dim])
    image = generator.synthesis(w, noise_mode="const").float()
    _check(f"images of {name}", image, [NUM_TRIED, 3, side, side])
    for encoder in filter(None, (models.embedder, models.encoder, models.held_out)):
        embedding = encoder.encode_image(image)
        shape = [NUM_TRIED, encoder.embed_dim]
        _check(f"embeddings of images of {encoder.identity.name}", embedding, shape)
    if judge is not None:
        values = judge.classify(image)
        shape = [NUM_TRIED, len(judge.attributes)]
        _check(f"values of {judge.identity.name}", values, shape)


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
    try:
        embedding = encoder.encode_text(list(texts))
    except InputError as error:
        msg = f"{where} must have texts that the encoder {name} knows. {error} {mend}"
        raise InputError(msg) from error
    _check(f"embeddings of texts of {name}", embedding, [len(texts), encoder.embed_dim])


def _check(what: str, found: Tensor, shape: list[int]) -> None:
    if list(found.shape) != shape:
        msg = (
            f"The {what} must have shape {shape}, got {list(found.shape)}. Correct the "
            f"model, or the numbers that it states (docs/own_models.md)."
        )
        raise InputError(msg)
    if not torch.isfinite(found).all():
        msg = f"The {what} must be finite, got others. Correct the model."
        raise InputError(msg)
