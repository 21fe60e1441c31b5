"""LAFITE's training: a StyleGAN2 and pairs in, states out."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from clip2latent_kedro.generators.lafite import Lafite
from clip2latent_kedro.generators.safetensors_files import lafite_weights
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import LatentStatistics, repeat_latents
from clip2latent_kedro.methods.checks import check_models
from clip2latent_kedro.methods.lafite.config import LafiteTrainingConfig
from clip2latent_kedro.methods.lafite.networks import build_networks, shift_styles
from clip2latent_kedro.methods.lafite.trainer import LOSSES, LafiteTrainer
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.portraits.fitting import FitState
from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.loop import run_steps
from clip2latent_kedro.runtime import Stopwatch, make_generator

COLUMNS = ("step", "loss", *LOSSES)
_NUM_Z_FOR_W_AVG = 10_000


def train_lafite(
    generator: Generator,
    encoder: Encoder,
    pairs: TrainingPairs,
    config: LafiteTrainingConfig,
    *,
    seed: int,
    device: str,
    state: FitState | None = None,
) -> Iterator[FitState]:
    """Yield the state every `save_it` steps, and at the end.

    The real images are those of the pairs, drawn again from their w. On a CPU,
    training that goes on from any state yields the same bits as one that was never
    interrupted. Of the original's training, path length regularisation, the mixing of
    two z and new noise in each image are left out, and the discriminator learns from
    the images that the generator has just learnt from.

    Args:
        generator: The domain's StyleGAN2, where training begins.
        encoder: CLIP; gradients flow through it to the images.
        pairs: Made by both.
        config: `params:baselines.lafite`.
        seed: Seed of the run.
        device: Where to compute.
        state: Where to go on from.

    Raises:
        InputError: If the pairs are of other models, if the generator is no StyleGAN2,
            or if the loss is not finite.
    """
    check_models(generator, encoder, pairs)
    lafite, discriminator = build_networks(generator, encoder, config, seed=seed)
    shift_styles(lafite, lafite.mapping.w_avg)
    trainer = LafiteTrainer(
        lafite,
        discriminator,
        encoder,
        config,
        seed=seed,
        device=device,
        tensors=None if state is None else state.tensors,
    )
    generator = generator.to(device)
    first = 0 if state is None else state.step
    raw = LatentStatistics(torch.zeros(1), torch.ones(1))  # w as it is
    batches = PairBatches(
        pairs,
        raw,
        num_pairs=len(pairs),
        batch_size=config.bs,
        buffer_pairs=len(pairs),
        seed=seed,
        device=device,
    ).starting_at(first)
    repeats = pairs.recipe["latent_repeats"]
    history = [] if state is None else state.tensors["history"].tolist()

    def step(number: int) -> Tensor:
        w, clip_embedding = next(batches)
        with torch.no_grad():
            real = generator.synthesis(repeat_latents(w, repeats), noise_mode="const")
        return trainer.step(real, clip_embedding, number)

    def measure(number: int, loss: float, _: bool) -> dict[str, float]:
        row = {"step": float(number), "loss": loss, **trainer.take_means()}
        history.append([row[name] for name in COLUMNS])
        return row

    stopwatch = Stopwatch(0.0 if state is None else state.seconds)
    for number in run_steps(
        "lafite",
        first=first,
        max_it=config.max_it,
        val_it=config.save_it,
        save_it=config.save_it,
        lr=("baselines.lafite.lr", config.lr),
        step=step,
        has_finite_weights=trainer.has_finite_weights,
        measure=measure,
        stopwatch=stopwatch,
    ):
        tensors = {
            **trainer.state(),
            "history": torch.tensor(history, dtype=torch.float64),
        }
        yield FitState(number, stopwatch.seconds or 0.0, tensors)


def tabulate_history(state: FitState) -> list[dict[str, float]]:
    """Return the rows of a state's history: `step`, `loss` and each of `LOSSES`.

    All losses are means since the row before, those of the contrasts not weighted.
    """
    rows = state.tensors["history"].tolist()
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def export_lafite(
    state: FitState,
    generator: Generator,
    encoder: Encoder,
    config: LafiteTrainingConfig,
    *,
    seed: int,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the averaged generator as `load_lafite` reads it, with its mean of w.

    Args:
        state: Of `train_lafite`.
        generator: As there.
        encoder: As there.
        config: As there.
        seed: Of the z that the mean is taken over.
    """
    lafite = averaged_lafite(state, generator, encoder, config)
    z = torch.randn(
        (_NUM_Z_FOR_W_AVG, lafite.config.z_dim),
        generator=make_generator(seed, "lafite_w_avg"),
    )
    with torch.no_grad():
        lafite.mapping.w_avg.copy_(lafite.mapping(z)[:, 0].mean(dim=0))
    lafite.config = replace(lafite.config, training_images=state.step * config.bs)
    return lafite_weights(lafite)


def averaged_lafite(
    state: FitState,
    generator: Generator,
    encoder: Encoder,
    config: LafiteTrainingConfig,
) -> Lafite:
    """Return the averaged generator of a state, frozen; arguments as above."""
    lafite, _ = build_networks(generator, encoder, config, seed=0)
    lafite.load_state_dict(state.weights())
    shift_styles(lafite, -lafite.mapping.w_avg)
    return lafite.eval().requires_grad_(False)
