"""Pictures of a user's own prompts, one prompt at a time.

A prompt is a text, or the path of a picture to draw variations of. A picture depends on
its prompt, the seed, the settings, the models and the code, not on the other prompts;
what a killed run has made is found again by its name, which is a digest of them all.
Edits, and pictures that no prior draws, come from outside (`Changes`, made in `edits`):
code of theirs that changes leaves the other pictures what they are.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.conditioning import Query, embed_queries
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import is_picture, read_image
from clip2latent_kedro.inference.config import InferenceConfig, is_stored_w
from clip2latent_kedro.inference.records import (
    CHANGE,
    Changes,
    PictureRecord,
    name_pictures,
    slug_of,
    unchanged,
)
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.latents import Latents, Source
from clip2latent_kedro.prior.sampling import adapt_sampling
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.provenance import list_differences
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

logger = logging.getLogger(__name__)

RECORD = "drawn_with"  # the label that holds all that a picture depends on


@dataclass(frozen=True)
class LabelledPicture:
    """A picture, and what to write into its file.

    Attributes:
        image_u8: uint8 [h, w, 3].
        labels: Such as `prompt`, `seed` and `score`.
    """

    image_u8: np.ndarray
    labels: Mapping[str, str]


PictureReaders = Mapping[str, Callable[[], LabelledPicture]]
"""Pictures by name, each read when it is asked for."""


def read_query(prompt: str) -> str | Tensor:
    """Return a text as it is, and a picture as an image, [3, h, w] in [-1, 1].

    Args:
        prompt: A text; or the path of a picture, by its ending.

    Raises:
        InputError: If there is no such picture, or it cannot be read.
    """
    return read_image(prompt) if is_picture(prompt) else prompt


def find_problems(
    prompts: Sequence[str],
    encoder: Encoder,
    device: str = "cpu",
    *,
    read_w: Callable[[str], object] = read_query,
) -> dict[str, str]:
    """Return the prompts that are refused, each with the reason.

    Args:
        prompts: Texts and paths of pictures.
        encoder: On the device; it may refuse a text.
        device: Where pictures are embedded.
        read_w: Reads a stored w, or says what is wrong with it.
    """
    problems = {}
    for number, prompt in enumerate(prompts, start=1):
        try:
            if is_stored_w(prompt):
                read_w(prompt)
            else:
                embed_queries(encoder, [read_query(prompt)], device)
        except InputError as error:
            problems[prompt] = str(error)
            logger.warning("Prompt %d is left out: %s", number, error)
    return problems


def generate_pictures(
    model: TextToImage,
    records: Mapping[str, PictureRecord],
    sampling: SamplingConfig,
    config: InferenceConfig,
    *,
    seed: int,
    made: PictureReaders | None = None,
    changes: Changes | None = None,
) -> Iterator[dict[str, LabelledPicture]]:
    """Yield the pictures of each prompt by name, but for those made already.

    Where they are edited, the edited ones come after the others, in the same order.

    Args:
        model: Generator, encoder and prior.
        records: Of `describe_pictures`, by prompts that the encoder accepts.
        sampling: How latents are sampled.
        config: What is made of each prompt.
        seed: Seed of the run.
        made: Pictures by name; those of the same record need not be made again.
        changes: Other starts, and edits; None for none.
    """
    made = made or {}
    sampling = adapt_sampling(model.prior, sampling)
    negative = None if config.negative is None else [read_query(config.negative)]
    shared = {
        "negative": config.negative or "",
        "sampling": json.dumps(asdict(sampling)),
        "prior": config.prior,
        "generator": str(model.generator.identity),
        "encoder": str(model.encoder.identity),
    }
    with progress_bar("pictures", total=len(records), unit="prompts") as advance:
        for prompt, record in records.items():
            plain = unchanged(record)
            names = name_pictures(prompt, plain)
            if CHANGE in record:
                names += name_pictures(prompt, record)
            if not set(names) <= made.keys():
                _log_changes(prompt, record, made)
                found = _draw(
                    model, prompt, record, sampling, config, negative, seed, changes
                )
                pictures = {}
                for number, (name, (image, score)) in enumerate(
                    zip(names, found, strict=True)
                ):
                    is_plain = number < record["num_samples"]
                    sample = number % record["num_samples"]
                    place = {"seed": str(seed), "sample": str(sample)}
                    labels = {"prompt": prompt, **place, **shared}
                    if score is not None:
                        labels["score"] = f"{score:.4f}"
                    if not is_plain:
                        labels["edit"] = record[CHANGE]["words"]
                    labels[RECORD] = json.dumps(plain if is_plain else record)
                    pictures[name] = LabelledPicture(image, labels)
                yield pictures
            advance()


def _draw(
    model: TextToImage,
    prompt: str,
    record: PictureRecord,
    sampling: SamplingConfig,
    config: InferenceConfig,
    negative: Sequence[Query] | None,
    seed: int,
    changes: Changes | None,
) -> list[tuple[np.ndarray, float | None]]:
    """Return the pictures of a prompt with their scores, then the edited ones."""
    source = None if changes is None else changes.find_start(prompt, seed=seed)
    if source is None:
        query = read_query(prompt)
        drawn = model.draw(
            [query],
            sampling,
            num_samples=config.num_samples,
            seed=seed,
            negative=negative,
        )
        source, asked = drawn.source, drawn.direction
    else:
        query = read_query(prompt) if is_picture(prompt) else _image_of(model, source)
        asked = embed_queries(model.encoder, [query], model.device).direction
    direction = asked if config.rank else None
    found = _synthesise(model, source.latents, direction)
    order = np.arange(len(found))
    if config.rank:
        order = np.argsort([-score for _, score in found], kind="stable")  # type: ignore[operator]
    if changes is not None and CHANGE in record:
        latents = changes.change(source, query, sampling, seed=seed)
        toward = changes.toward(model.encoder)
        if direction is not None and toward is not None:
            moved = direction + toward.to(direction)
            direction = functional.normalize(moved, dim=-1)
        order = np.concatenate([order, order + len(order)])
        found += _synthesise(model, latents, direction)
    return [found[row] for row in order]


def _synthesise(
    model: TextToImage, latents: Latents, direction: Tensor | None
) -> list[tuple[np.ndarray, float | None]]:
    """Return the pictures of latents, with scores if there is a direction."""
    offset = latents.style_offset
    made = model.generate_images(
        latents.w[None],
        direction,
        style_offset=None if offset is None else offset[None],
    )
    scores: Any = [None] * len(latents.w) if made.scores is None else made.scores[0]
    return list(zip(made.images[0], scores, strict=True))


@torch.no_grad()
def _image_of(model: TextToImage, source: Source) -> Tensor:
    """Return the first image of latents, [3, h, w]."""
    latents = source.latents
    offset = latents.style_offset
    first = model.synthesise(latents.w[:1], None if offset is None else offset[:1])
    return first[0].float().clamp(-1, 1).cpu()


def _log_changes(prompt: str, record: PictureRecord, made: PictureReaders) -> None:
    """Log why a prompt is drawn again: in what its most similar record differs."""
    stored = [
        json.loads(made[name]().labels.get(RECORD, "{}"))
        for name in made
        if re.fullmatch(rf"{re.escape(slug_of(prompt))}_[0-9a-f]+_0", name)
    ]
    differences = [
        list_differences(one, record)
        for one in stored
        if one.get("prompt") == record["prompt"]
    ]
    if differences and (fewest := min(differences, key=len)):
        logger.info("%r is drawn again: %s.", prompt, ", ".join(fewest))
