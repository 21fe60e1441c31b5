"""Nodes of `portraits`."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, get_type_hints

import numpy as np
import pandas as pd

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.runtime import derive_seed, describe_machine, pick_device
from clip2latent_kedro.training import Task
from clip2latent_kedro.training.state import (
    Weights,
    pack_state,
    stored_state,
    unpack_state,
)
from clip2latent_kedro.worlds.portraits.attributes import ATTRIBUTES
from clip2latent_kedro.worlds.portraits.captions import Caption, held_out_prompts
from clip2latent_kedro.worlds.portraits.prompts import (
    bank_prompts,
    render_references,
    sample_reference_z,
)
from clip2latent_kedro.worlds.portraits.quality import (
    measure_pictures,
    measure_retrieval,
)
from clip2latent_kedro.worlds.portraits.vae import VaeTrainingConfig, averaged_vae
from clip2latent_kedro.worlds.training import train_model

Pictures = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
# The second half of a model's training -> the model that it counts for.
_SECOND_HALVES = {"clip_finetune": "clip", "vae_flow": "vae"}


def fit_by(
    task: Callable[..., Task], name: str, *, stream: str = ""
) -> Callable[..., Iterator[Weights]]:
    """Return the node function that trains a model, each state to be stored at once.

    Args:
        task: See `train_model`.
        name: Of the model, in the parameters and the catalog.
        stream: Name of random numbers of its own; empty for those of the seed.
    """

    def fit_model(
        config: Any,
        seed: int,
        device: str,
        resume: bool,
        progress: Weights | InputError,
        trained: Weights | None = None,
        architecture: Any = None,
    ) -> Iterator[Weights]:
        given = () if trained is None else (unpack_state(trained), architecture)
        states = train_model(
            name,
            task,
            config,
            *given,
            seed=derive_seed(seed, stream) if stream else seed,
            device=pick_device(device),
            start=stored_state(progress) if resume else None,
        )
        yield from map(pack_state, states)

    # Kedro makes settings of parameters by the types that a node asks for.
    types = get_type_hints(task)
    kept = types.keys() & {"config", "architecture"}
    fit_model.__annotations__ |= {argument: types[argument] for argument in kept}
    return fit_model


def ship_by(export: Callable[..., Weights]) -> Callable[..., Weights]:
    """Return the node function that makes a model's weights as they are used.

    Args:
        export: (last states of trainings and settings) -> tensors and metadata.
    """

    @wraps(export)  # Kedro makes settings of parameters by its types
    def ship_model(*given: Any) -> Weights:
        return export(*(unpack_state(x) if isinstance(x, tuple) else x for x in given))

    return ship_model


def choose_prompts(
    num_prompts: int, num_references: int, seed: int
) -> tuple[pd.DataFrame, dict[str, Pictures], dict[str, np.ndarray]]:
    """Return the held-out prompts with what they state, and portraits that fit them.

    Args:
        num_prompts: `params:portraits.num_prompts`.
        num_references: `params:portraits.num_references`, portraits of each prompt.
        seed: `params:seed`.

    Returns:
        A column `prompt` and one for each attribute, empty where nothing is stated;
        renders `images`, uint8 [num_prompts, num_references, 64, 64, 3]; and others'
        `z`, [num_prompts, num_references, z_dim].
    """
    captions = held_out_prompts(num_prompts, seed)
    references = {"images": render_references(captions, num_references, seed)}
    z = {"z": sample_reference_z(captions, num_references, seed)}
    return _tabulate(captions), references, z


def fill_prompt_bank(
    prompts: pd.DataFrame, num_bank_prompts: int, seed: int
) -> pd.DataFrame:
    """Return captions for everything that must not see the evaluation's prompts.

    Args:
        prompts: What `choose_prompts` returned.
        num_bank_prompts: `params:portraits.num_bank_prompts`.
        seed: `params:seed`.

    Returns:
        A table like that of `choose_prompts`, with other texts.
    """
    captions = bank_prompts(num_bank_prompts, seed, excluded=list(prompts["prompt"]))
    return _tabulate(captions)


def _tabulate(captions: list[Caption]) -> pd.DataFrame:
    rows = [{"prompt": caption.text, **caption.stated} for caption in captions]
    return pd.DataFrame(rows, columns=["prompt", *ATTRIBUTES])


def collect_seconds(**states: Weights) -> dict[str, float]:
    """Return how long the training of each model took, in seconds.

    Args:
        states: The last state of each training, by its name in the parameters.
    """
    seconds: dict[str, float] = {}
    for name, state in states.items():
        model = _SECOND_HALVES.get(name, name)
        seconds[model] = seconds.get(model, 0) + (unpack_state(state).seconds or 0.0)
    return seconds


def measure_models(
    judge: Judge,
    encoder: Encoder,
    generator: Generator,
    states: dict[str, float],
    num: int,
    seed: int,
) -> dict[str, Any]:
    """Return how good the three models are on renders that none has seen.

    Args:
        judge: The trained judge.
        encoder: The trained CLIP model.
        generator: The trained generator.
        states: Seconds that each training took.
        num: `params:portraits.num_measured`, portraits to measure with.
        seed: `params:seed`; the portraits are not those of the training.
    """
    on_renders, _ = measure_pictures(lambda z, image: image, judge, seed=seed, num=num)
    on_made, psnr = measure_pictures(
        lambda z, image: generator.synthesis(generator.mapping(z)),
        judge,
        seed=seed,
        num=num,
    )
    return {
        "judge_accuracy": on_renders,
        "generator_accuracy": on_made,
        "generator_psnr_db": psnr,
        **measure_clip(encoder, seed),
        "training_seconds": states,
        "num_measured": num,
        "seed": seed,
        "machine": describe_machine(),
    }


def measure_autoencoder(
    state: Weights,
    architecture: VaeTrainingConfig,
    judge: Judge,
    num: int,
    seed: int,
) -> dict[str, Any]:
    """Return how well the VAE draws renders again that it has not seen.

    Args:
        state: The last state of the VAE.
        architecture: `params:portraits.vae`.
        judge: The trained judge.
        num: `params:portraits.num_measured`, portraits to measure with.
        seed: `params:seed`; the portraits are not those of the training.
    """
    model = averaged_vae(unpack_state(state), architecture)
    accuracy, psnr = measure_pictures(
        lambda z, image: model.decoder(model.encoder(image)[0]),
        judge,
        seed=seed,
        num=num,
    )
    return {"accuracy": accuracy, "psnr_db": psnr}


def measure_clip(encoder: Encoder, seed: int) -> dict[str, Any]:
    """Return how well a CLIP model finds texts and images.

    Args:
        encoder: The trained model.
        seed: `params:seed`; the portraits are not those of the training.
    """
    return {"clip_recall_at_1_in_256": measure_retrieval(encoder, seed=seed)}
