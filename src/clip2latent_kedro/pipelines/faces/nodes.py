"""Nodes of `faces`."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.runtime import derive_seed, describe_machine, pick_device
from clip2latent_kedro.training.state import (
    Weights,
    pack_state,
    stored_state,
    unpack_state,
)
from clip2latent_kedro.worlds.clip_training import ClipTrainingConfig
from clip2latent_kedro.worlds.faces import readings as reading
from clip2latent_kedro.worlds.faces.attributes import ATTRIBUTES
from clip2latent_kedro.worlds.faces.captions import Caption
from clip2latent_kedro.worlds.faces.clip import clip_task, export_clip
from clip2latent_kedro.worlds.faces.prompts import draw_prompts
from clip2latent_kedro.worlds.faces.quality import (
    measure_readings,
    measure_retrieval,
    measure_zero_shot,
)
from clip2latent_kedro.worlds.faces.reader import load_reader
from clip2latent_kedro.worlds.faces.readings import ReadingConfig, Shard
from clip2latent_kedro.worlds.training import train_model


def read_samples(
    generator: Generator,
    config: ReadingConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Mapping[str, Shard],
) -> Iterator[dict[str, Shard]]:
    """Return samples of the generator with what is read in them, shard by shard.

    Args:
        generator: The GAN.
        config: `params:faces.readings`.
        seed: `params:seed`.
        device: `params:device`.
        resume: `params:resume`.
        progress: Shards of an earlier run.
    """
    device = pick_device(device)
    yield from reading.read_samples(
        generator.to(device),
        load_reader().to(device),
        config,
        seed=seed,
        device=device,
        stored=progress if resume else {},
    )


def fit_by(name: str, *, stream: str = "") -> Callable[..., Iterator[Weights]]:
    """Return the node function that trains a CLIP, each state to be stored at once.

    Args:
        name: Of the model, in the parameters and the catalog.
        stream: Name of random numbers of its own; empty for those of the seed.
    """

    def fit_clip(
        config: ClipTrainingConfig,
        readings: Mapping[str, Shard],
        reading_config: ReadingConfig,
        seed: int,
        device: str,
        resume: bool,
        progress: Weights | InputError,
    ) -> Iterator[Weights]:
        faces = reading.join_shards(readings, reading_config).split(held_out=False)
        names = reading.shard_names(reading_config)
        records = [readings[shard][1].get("depends_on") for shard in names]
        digest = hashlib.sha256(json.dumps(records, sort_keys=True).encode())
        states = train_model(
            name,
            clip_task,
            config,
            faces,
            seed=derive_seed(seed, stream) if stream else seed,
            device=pick_device(device),
            start=stored_state(progress) if resume else None,
            world="faces",
            depends_on={"readings": digest.hexdigest()},
        )
        yield from map(pack_state, states)

    return fit_clip


def ship_clip(state: Weights, config: ClipTrainingConfig) -> Weights:
    """Return a CLIP's weights as they are used.

    Args:
        state: The last state of its training.
        config: Its settings.
    """
    return export_clip(unpack_state(state), config)


def choose_prompts(
    readings: Mapping[str, Shard],
    reading_config: ReadingConfig,
    num_prompts: int,
    num_bank_prompts: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return held-out prompts with what they state, and others to choose settings by.

    Args:
        readings: Samples with what is read in them.
        reading_config: `params:faces.readings`.
        num_prompts: `params:faces.num_prompts`.
        num_bank_prompts: `params:faces.num_bank_prompts`.
        seed: `params:seed`.

    Returns:
        Tables of a column `prompt` and one for each attribute, empty where nothing is
        stated; no text is in both.
    """
    faces = reading.join_shards(readings, reading_config)
    prompts = draw_prompts(faces, num_prompts, seed)
    taken = {caption.text for caption in prompts}
    bank_seed = derive_seed(seed, "prompt_bank")
    bank = draw_prompts(faces, num_bank_prompts, bank_seed, excluded=taken)
    return _tabulate(prompts), _tabulate(bank)


def measure_models(
    readings: Mapping[str, Shard],
    reading_config: ReadingConfig,
    clip: Encoder,
    clip_held_out: Encoder,
    clip_state: Weights,
    clip_held_out_state: Weights,
    seed: int,
) -> dict[str, Any]:
    """Return how good both CLIPs are on faces that no training has seen.

    Args:
        readings: Samples with what is read in them.
        reading_config: `params:faces.readings`.
        clip: The CLIP that the method conditions on.
        clip_held_out: The one that only scores.
        clip_state: The last state of the first.
        clip_held_out_state: The last state of the second.
        seed: `params:seed`.
    """
    faces = reading.join_shards(readings, reading_config)
    kept = faces.split(held_out=True)
    models = {
        "clip": (clip, clip_state),
        "clip_held_out": (clip_held_out, clip_held_out_state),
    }
    measured = {
        name: {
            "recall_at_1_in_256": measure_retrieval(encoder, kept, seed=seed),
            "zero_shot": measure_zero_shot(encoder, kept, seed=seed),
            "training_seconds": unpack_state(state).seconds,
        }
        for name, (encoder, state) in models.items()
    }
    return {
        **measured,
        "certain": measure_readings(faces),
        "num_faces": len(faces),
        "num_held_out": len(kept),
        "seed": seed,
        "machine": describe_machine(),
    }


def _tabulate(captions: list[Caption]) -> pd.DataFrame:
    rows = [{"prompt": caption.text, **caption.stated} for caption in captions]
    return pd.DataFrame(rows, columns=["prompt", *ATTRIBUTES])
