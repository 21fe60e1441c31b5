"""What each picture depends on, and the name that it has by that."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from clip2latent_kedro.conditioning import Query
from clip2latent_kedro.images import is_picture
from clip2latent_kedro.inference.config import InferenceConfig, is_stored_w
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.latents import Latents, Source
from clip2latent_kedro.methods.digests import digest_prior
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

SLUG_LENGTH = 40
CHANGE = "change"  # the part of a record that is of edits
DRAWN_BY = "clip2latent_kedro.inference.pictures"
PictureRecord = Mapping[str, Any]


class Changes(Protocol):
    """Where pictures begin if no prior draws them, and what is done to them after."""

    def describe_start(self, prompt: str) -> Mapping[str, Any] | None:
        """Return what the latents of a prompt depend on, with how many there are.

        None if the prior draws them.
        """
        ...

    def find_start(self, prompt: str, *, seed: int) -> Source | None:
        """Return the latents of a prompt that the prior does not draw."""
        ...

    def describe_change(self) -> Mapping[str, Any] | None:
        """Return what is done to every picture, as plain JSON; None for nothing."""
        ...

    def change(
        self, source: Source, query: Query, sampling: SamplingConfig, *, seed: int
    ) -> Latents:
        """Return the changed latents of the pictures of a query."""
        ...

    def toward(self, encoder: Encoder) -> Tensor | None:
        """Return what is added to a query's direction to score by, [clip_dim]."""
        ...


def describe_pictures(
    model: TextToImage,
    prompts: Sequence[str],
    sampling: SamplingConfig,
    config: InferenceConfig,
    *,
    seed: int,
    pairs: TrainingPairs | None = None,
    changes: Changes | None = None,
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
        changes: Other starts, and edits; None for none.
    """
    scorer = model.scorer or model.encoder
    shared = {
        "negative": None if config.negative is None else content_of(config.negative),
        "num_samples": config.num_samples,
        "rank": config.rank,
        "seed": seed,
        "sampling": asdict(sampling),
        "prior": f"{config.prior}@{digest_prior(model.prior)}",
        "generator": model.generator.identity.digest,
        "encoder": model.encoder.identity.digest,
        "scorer": scorer.identity.digest,
        "latent_repeats": list(model.latent_repeats),
        "made_by": describe_provenance(model.device, DRAWN_BY, model),
    }
    if pairs is not None and sampling.retrieval_share > 0:
        shared["pairs"] = dict(pairs.recipe)
    change = None if changes is None else changes.describe_change()
    records: dict[str, PictureRecord] = {}
    for prompt in prompts:
        record: dict[str, Any] = {"prompt": content_of(prompt), **shared}
        start = None if changes is None else changes.describe_start(prompt)
        if start is not None:
            record |= {"num_samples": start["num_samples"], "start": dict(start)}
        if change is not None:
            record |= {CHANGE: dict(change)}
        records[prompt] = record
    return records


def unchanged(record: PictureRecord) -> PictureRecord:
    """Return the record of the same pictures before any edit."""
    return {name: value for name, value in record.items() if name != CHANGE}


def name_pictures(prompt: str, record: PictureRecord) -> list[str]:
    """Return file names without ending, one a sample.

    Args:
        prompt: A text, or the path of a picture.
        record: What `describe_pictures` returned.
    """
    text = json.dumps(record, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    start = f"{slug_of(prompt)}_{digest}"
    return [f"{start}_{number}" for number in range(record["num_samples"])]


def content_of(prompt: str) -> str:
    """Return a text, or a digest of the picture that a prompt names."""
    if is_picture(prompt) or is_stored_w(prompt):
        return hashlib.sha256(Path(prompt).read_bytes()).hexdigest()
    return prompt


def digest_models(model: TextToImage) -> dict[str, str]:
    """Return the digests of generator, encoder and prior, by role."""
    return {
        "generator": model.generator.identity.digest,
        "encoder": model.encoder.identity.digest,
        "prior": digest_prior(model.prior),
    }


def slug_of(prompt: str) -> str:
    """Return the part of a file name that tells its prompt."""
    is_path = is_picture(prompt) or is_stored_w(prompt)
    name = Path(prompt).stem if is_path else prompt
    return re.sub(r"[^a-z0-9]+", "_", name.lower())[:SLUG_LENGTH].strip("_")
