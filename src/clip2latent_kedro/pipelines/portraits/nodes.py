"""Nodes of `portraits`."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.pipelines.portraits.card import write_card
from clip2latent_kedro.portraits.attributes import ATTRIBUTES
from clip2latent_kedro.portraits.captions import Caption, held_out_prompts
from clip2latent_kedro.portraits.clip import (
    ClipFinetuneConfig,
    ClipTrainingConfig,
    export_clip,
)
from clip2latent_kedro.portraits.clip_training import clip_task, finetune_task
from clip2latent_kedro.portraits.generator import (
    GeneratorConfig,
    export_generator,
    generator_task,
)
from clip2latent_kedro.portraits.judge import JudgeConfig, export_judge, judge_task
from clip2latent_kedro.portraits.prompts import (
    bank_prompts,
    draw_reference_z,
    render_references,
)
from clip2latent_kedro.portraits.quality import (
    compare_pictures,
    measure_generator,
    measure_judge,
    measure_reconstruction,
    measure_retrieval,
)
from clip2latent_kedro.portraits.training import train_model
from clip2latent_kedro.portraits.vae import (
    VaeTrainingConfig,
    averaged_vae,
    vae_task,
)
from clip2latent_kedro.portraits.vae_flow import (
    FlowTrainingConfig,
    export_vae,
    flow_task,
)
from clip2latent_kedro.runtime import derive_seed, describe_machine, pick_device
from clip2latent_kedro.training import Task
from clip2latent_kedro.training.state import (
    Weights,
    pack_state,
    stored_state,
    unpack_state,
)

Pictures = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def fit_judge(
    config: JudgeConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of the judge's training, each to be stored at once."""
    yield from _fit("judge", judge_task, config, seed, device, resume, progress)


def fit_clip(
    config: ClipTrainingConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of the CLIP model's training, each to be stored at once."""
    yield from _fit("clip", clip_task, config, seed, device, resume, progress)


def fit_clip_closer(
    config: ClipFinetuneConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
    trained: Weights,
    architecture: ClipTrainingConfig,
) -> Iterator[Weights]:
    """Yield states of the CLIP model's second training.

    Args:
        config: `params:portraits.clip_finetune`.
        seed: `params:seed`.
        device: `params:device`.
        resume: `params:resume`.
        progress: What an earlier run left.
        trained: The last state of the first training.
        architecture: `params:portraits.clip`.
    """
    given = unpack_state(trained), architecture
    yield from _fit(
        "clip_finetune", finetune_task, config, seed, device, resume, progress, *given
    )


def fit_held_out_clip(
    config: ClipTrainingConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of the training of a CLIP model that shares nothing with the other.

    Its weights, pictures and captions are drawn from a seed of its own.
    """
    own_seed = derive_seed(seed, "held_out_clip")
    name = "clip_held_out"
    yield from _fit(name, clip_task, config, own_seed, device, resume, progress)


def fit_generator(
    config: GeneratorConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of the generator's training, each to be stored at once."""
    yield from _fit("generator", generator_task, config, seed, device, resume, progress)


def fit_vae(
    config: VaeTrainingConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of the VAE's training, each to be stored at once."""
    yield from _fit("vae", vae_task, config, seed, device, resume, progress)


def fit_vae_flow(
    config: FlowTrainingConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
    trained: Weights,
    architecture: VaeTrainingConfig,
) -> Iterator[Weights]:
    """Yield states of the training of the flow to the VAE's codes.

    Args:
        config: `params:portraits.vae_flow`.
        seed: `params:seed`.
        device: `params:device`.
        resume: `params:resume`.
        progress: What an earlier run left.
        trained: The last state of the VAE.
        architecture: `params:portraits.vae`.
    """
    given = unpack_state(trained), architecture
    yield from _fit(
        "vae_flow", flow_task, config, seed, device, resume, progress, *given
    )


def ship_judge(state: Weights, config: JudgeConfig) -> Weights:
    """Return the judge's weights as they are used."""
    return export_judge(unpack_state(state), config)


def ship_clip(state: Weights, config: ClipTrainingConfig) -> Weights:
    """Return the CLIP model's weights as they are used."""
    return export_clip(unpack_state(state), config)


def ship_generator(state: Weights, config: GeneratorConfig) -> Weights:
    """Return the generator's weights as they are used."""
    return export_generator(unpack_state(state), config)


def ship_vae(
    state: Weights,
    architecture: VaeTrainingConfig,
    flow_state: Weights,
    flow: FlowTrainingConfig,
) -> Weights:
    """Return the weights of the VAE's decoder and of its flow as they are used."""
    return export_vae(unpack_state(state), unpack_state(flow_state), architecture, flow)


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
    z = {"z": draw_reference_z(captions, num_references, seed)}
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
    captions = bank_prompts(num_bank_prompts, seed, apart_from=list(prompts["prompt"]))
    return _tabulate(captions)


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
    judged = measure_judge(judge, seed=seed, num=num)
    generated, psnr = measure_generator(generator, judge, seed=seed, num=num)
    return {
        "judge_accuracy": judged | {"mean": float(np.mean(list(judged.values())))},
        "generator_accuracy": generated
        | {"mean": float(np.mean(list(generated.values())))},
        "generator_psnr_db": psnr,
        "clip_recall_at_1_in_256": measure_retrieval(encoder, seed=seed),
        "training_seconds": states,
        "num_measured": num,
        "seed": seed,
        "machine": describe_machine(),
    }


def collect_seconds(
    judge: Weights,
    clip: Weights,
    clip_finetune: Weights,
    generator: Weights,
    clip_held_out: Weights,
    vae: Weights,
    vae_flow: Weights,
) -> dict[str, float]:
    """Return how long the training of each model took, in seconds."""
    trainings = {
        "judge": [judge],
        "clip": [clip, clip_finetune],
        "generator": [generator],
        "clip_held_out": [clip_held_out],
        "vae": [vae, vae_flow],
    }
    return {
        name: sum(unpack_state(state).seconds or 0.0 for state in states)
        for name, states in trainings.items()
    }


def draw_comparison(generator: Generator, seed: int) -> Pictures:
    """Return a picture of 48 renders, each above what the generator makes of it."""
    pairs = image_to_uint8(compare_pictures(generator, seed=seed, num=48))
    height, width = pairs.shape[2:4]
    rows = pairs.reshape(2, 4, 12, height, width, 3)
    tiles = rows.transpose(1, 0, 3, 2, 4, 5)  # [4, 2, h, 12, w, 3]
    return tiles.reshape(8 * height, 12 * width, 3)


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
    accuracy, psnr = measure_reconstruction(
        lambda image: model.decoder(model.encoder(image)[0]), judge, seed=seed, num=num
    )
    return {
        "accuracy": accuracy | {"mean": float(np.mean(list(accuracy.values())))},
        "psnr_db": psnr,
    }


def measure_held_out_clip(encoder: Encoder, seed: int) -> dict[str, Any]:
    """Return how well the held-out CLIP finds texts and images.

    Args:
        encoder: The trained model.
        seed: `params:seed`; the portraits are not those of the training.
    """
    return {"clip_recall_at_1_in_256": measure_retrieval(encoder, seed=seed)}


def write_model_card(
    quality: dict[str, Any],
    held_out_quality: dict[str, Any],
    vae_quality: dict[str, Any],
) -> str:
    """Return the model card, Markdown, of what was measured."""
    return write_card(quality, held_out_quality, vae_quality)


def _tabulate(captions: list[Caption]) -> pd.DataFrame:
    rows = [{"prompt": caption.text, **caption.stated} for caption in captions]
    return pd.DataFrame(rows, columns=["prompt", *ATTRIBUTES])


def _fit(
    name: str,
    task: Callable[..., Task],
    config: Any,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
    *given: Any,
) -> Iterator[Weights]:
    start = stored_state(progress) if resume else None
    device = pick_device(device)
    states = train_model(
        name, task, config, *given, seed=seed, device=device, start=start
    )
    yield from map(pack_state, states)
