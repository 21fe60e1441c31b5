"""Pictures of a user's own prompts, one prompt at a time.

A prompt is a text, or the path of a picture to draw variations of. A picture depends on
its prompt, the seed, the settings, the models and the code, not on the other prompts;
what a killed run has made is found again by its name, which is a digest of them all.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from clip2latent_kedro.checked import Checked, PositiveInt
from clip2latent_kedro.conditioning import embed_queries
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import is_picture, read_image
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.digests import digest_prior
from clip2latent_kedro.methods.models import PriorName
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.prior.sampling import adapt_sampling
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.provenance import describe_provenance, list_differences
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

logger = logging.getLogger(__name__)

SLUG_LENGTH = 40
RECORD = "drawn_with"  # the label that holds all that a picture depends on
PictureRecord = Mapping[str, Any]


@dataclass(frozen=True)
class InferenceConfig(Checked):
    """What is drawn, `params:inference`.

    Attributes:
        prompts: One, or several: texts, or paths of pictures.
        prompts_file: Text file with a prompt a line, instead of `prompts`.
        negative: A prompt that guidance leads away from; None for none.
        num_samples: Pictures of each prompt.
        rank: Put the pictures closest to their prompt first, by the encoder.
        image_batch_size: Images synthesised at a time.
        prior: Name of the catalog entry to draw from.
    """

    prompts: list[str] | str
    prompts_file: str | None
    negative: str | None
    num_samples: PositiveInt
    rank: bool
    image_batch_size: PositiveInt
    prior: PriorName


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


def read_prompts(config: InferenceConfig, lines: str | None) -> list[str]:
    """Return the prompts of the file's lines if there is one, or of the parameter.

    Empty lines of a file are passed over.

    Args:
        config: What is made of each prompt.
        lines: Content of the file; None without one.

    Raises:
        InputError: If there is no prompt at all.
    """
    if lines is not None:
        prompts = [line.strip() for line in lines.splitlines() if line.strip()]
    else:
        given = config.prompts
        prompts = [given] if isinstance(given, str) else list(given)
    if not prompts:
        msg = (
            "inference needs a prompt, got none. Set inference.prompts, or "
            "inference.prompts_file to a text file with a prompt a line."
        )
        raise InputError(msg)
    return prompts


def read_query(prompt: str) -> str | Tensor:
    """Return a text as it is, and a picture as an image, [3, h, w] in [-1, 1].

    Args:
        prompt: A text; or the path of a picture, by its ending.

    Raises:
        InputError: If there is no such picture, or it cannot be read.
    """
    return read_image(prompt) if is_picture(prompt) else prompt


def find_problems(
    prompts: Sequence[str], encoder: Encoder, device: str = "cpu"
) -> dict[str, str]:
    """Return the prompts that are refused, each with the reason.

    Args:
        prompts: Texts and paths of pictures.
        encoder: On the device; it may refuse a text.
        device: Where pictures are embedded.
    """
    problems = {}
    for number, prompt in enumerate(prompts, start=1):
        try:
            embed_queries(encoder, [read_query(prompt)], device)
        except InputError as error:
            problems[prompt] = str(error)
            logger.warning("Prompt %d is left out: %s", number, error)
    return problems


def describe_pictures(
    model: TextToImage,
    prompts: Sequence[str],
    sampling: SamplingConfig,
    config: InferenceConfig,
    *,
    seed: int,
    pairs: TrainingPairs | None = None,
) -> dict[str, PictureRecord]:
    """Return all that the pictures of each prompt depend on, as plain JSON.

    Models count by their digests, training pairs only where `sampling` retrieves from
    them. The other prompts and the sizes of batches are not in it.

    Args:
        model: Generator, encoder and prior.
        prompts: Texts, or paths of pictures, of which the content counts.
        sampling: How latents are sampled.
        config: What is made of each prompt.
        seed: Seed of the run.
        pairs: What the model retrieves from, if it does.
    """
    scorer = model.scorer or model.encoder
    shared = {
        "negative": None if config.negative is None else _content(config.negative),
        "num_samples": config.num_samples,
        "rank": config.rank,
        "seed": seed,
        "sampling": asdict(sampling),
        "prior": f"{config.prior}@{digest_prior(model.prior)}",
        "generator": model.generator.identity.digest,
        "encoder": model.encoder.identity.digest,
        "scorer": scorer.identity.digest,
        "latent_repeats": list(model.latent_repeats),
        "made_by": describe_provenance(model.device, __name__, model),
    }
    if pairs is not None and sampling.retrieval_share > 0:
        shared["pairs"] = dict(pairs.recipe)
    return {prompt: {"prompt": _content(prompt), **shared} for prompt in prompts}


def name_pictures(prompt: str, record: PictureRecord) -> list[str]:
    """Return file names without ending, one a sample.

    Args:
        prompt: A text, or the path of a picture.
        record: What `describe_pictures` returned.
    """
    text = json.dumps(record, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    start = f"{_slug(prompt)}_{digest}"
    return [f"{start}_{number}" for number in range(record["num_samples"])]


def _content(prompt: str) -> str:
    """Return a text, or a digest of the picture that a prompt names."""
    if is_picture(prompt):
        return hashlib.sha256(Path(prompt).read_bytes()).hexdigest()
    return prompt


def _slug(prompt: str) -> str:
    name = Path(prompt).stem if is_picture(prompt) else prompt
    return re.sub(r"[^a-z0-9]+", "_", name.lower())[:SLUG_LENGTH].strip("_")


def generate_pictures(
    model: TextToImage,
    records: Mapping[str, PictureRecord],
    sampling: SamplingConfig,
    config: InferenceConfig,
    *,
    seed: int,
    made: PictureReaders | None = None,
) -> Iterator[dict[str, LabelledPicture]]:
    """Yield the pictures of each prompt by name, but for those made already.

    Args:
        model: Generator, encoder and prior.
        records: Of `describe_pictures`, by prompts that the encoder accepts.
        sampling: How latents are sampled.
        config: What is made of each prompt.
        seed: Seed of the run.
        made: Pictures by name; those of the same record need not be made again.
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
            names = name_pictures(prompt, record)
            if not set(names) <= made.keys():
                _log_changes(prompt, record, made)
                found = model(
                    [read_query(prompt)],
                    sampling,
                    num_samples=config.num_samples,
                    seed=seed,
                    negative=negative,
                    score=config.rank,
                    rank=config.rank,
                )
                pictures = {}
                for number, name in enumerate(names):
                    place = {"seed": str(seed), "sample": str(number)}
                    labels = {"prompt": prompt, **place, **shared}
                    if found.scores is not None:
                        labels["score"] = f"{found.scores[0, number]:.4f}"
                    labels[RECORD] = json.dumps(record)
                    image = found.images[0, number]
                    pictures[name] = LabelledPicture(image, labels)
                yield pictures
            advance()


def _log_changes(prompt: str, record: PictureRecord, made: PictureReaders) -> None:
    """Log why a prompt is drawn again: in what its most similar record differs."""
    stored = [
        json.loads(made[name]().labels.get(RECORD, "{}"))
        for name in made
        if re.fullmatch(rf"{re.escape(_slug(prompt))}_[0-9a-f]+_0", name)
    ]
    differences = [
        list_differences(one, record)
        for one in stored
        if one.get("prompt") == record["prompt"]
    ]
    if differences and (fewest := min(differences, key=len)):
        logger.info("%r is drawn again: %s.", prompt, ", ".join(fewest))
