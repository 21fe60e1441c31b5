"""Nodes of `portraits`."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, TypeVar

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
from clip2latent_kedro.portraits.clip_training import finetune_clip, train_clip
from clip2latent_kedro.portraits.fitting import (
    FitState,
    Weights,
    go_on,
    unpack_state,
)
from clip2latent_kedro.portraits.generator import (
    GeneratorConfig,
    export_generator,
    train_generator,
)
from clip2latent_kedro.portraits.judge import JudgeConfig, export_judge, train_judge
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
from clip2latent_kedro.portraits.vae import (
    VaeTrainingConfig,
    averaged_vae,
    train_vae,
)
from clip2latent_kedro.portraits.vae_flow import (
    FlowTrainingConfig,
    export_vae,
    train_flow,
)
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import derive_seed, describe_machine, pick_device

Config = TypeVar(
    "Config",
    JudgeConfig,
    ClipTrainingConfig,
    ClipFinetuneConfig,
    GeneratorConfig,
    VaeTrainingConfig,
    FlowTrainingConfig,
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
    yield from _fit(train_judge, config, seed, device, resume, progress)


def fit_clip(
    config: ClipTrainingConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of the CLIP model's training, each to be stored at once."""
    yield from _fit(train_clip, config, seed, device, resume, progress)


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
    start = unpack_state(trained)

    def train(
        config: ClipFinetuneConfig, seed: int, device: str, state: FitState | None
    ) -> Iterator[FitState]:
        return finetune_clip(start, architecture, config, seed, device, state)

    yield from _fit(train, config, seed, device, resume, progress)


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
    yield from _fit(train_clip, config, own_seed, device, resume, progress)


def fit_generator(
    config: GeneratorConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of the generator's training, each to be stored at once."""
    yield from _fit(train_generator, config, seed, device, resume, progress)


def fit_vae(
    config: VaeTrainingConfig,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    """Yield states of the VAE's training, each to be stored at once."""
    yield from _fit(train_vae, config, seed, device, resume, progress)


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
    vae = unpack_state(trained)

    def train(
        config: FlowTrainingConfig, seed: int, device: str, state: FitState | None
    ) -> Iterator[FitState]:
        return train_flow(vae, architecture, config, seed, device, state)

    yield from _fit(train, config, seed, device, resume, progress)


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
        prompts: Of `choose_prompts`.
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
    return {
        "judge": unpack_state(judge).seconds,
        "clip": unpack_state(clip).seconds + unpack_state(clip_finetune).seconds,
        "generator": unpack_state(generator).seconds,
        "clip_held_out": unpack_state(clip_held_out).seconds,
        "vae": unpack_state(vae).seconds + unpack_state(vae_flow).seconds,
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
    train: Callable[[Config, int, str, FitState | None], Iterator[FitState]],
    config: Config,
    seed: int,
    device: str,
    resume: bool,
    progress: Weights | InputError,
) -> Iterator[Weights]:
    device = pick_device(device)
    yield from go_on(
        lambda state: train(config, seed, device, state),
        {"config": asdict(config), "seed": seed},
        making=describe_provenance(device, type(config).__module__),
        steps=config.steps,
        stored=progress if resume else None,
    )
