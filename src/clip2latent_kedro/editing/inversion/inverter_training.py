"""The training of an encoder, picture -> w, on pictures of random w."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated

import torch
from annotated_types import Ge, MultipleOf
from torch import Tensor

from clip2latent_kedro.checked import (
    Checked,
    Decay,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
from clip2latent_kedro.editing.inversion.inverter import InverterNetwork
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import quantise, uint8_to_image
from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.latents import (
    LatentStatistics,
    measure_statistics,
    repeat_latents,
)
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import derive_seed, make_generator, seeded_weights
from clip2latent_kedro.training import (
    Objective,
    Run,
    Task,
    TrainingState,
    averaged_copy,
    fit,
)
from clip2latent_kedro.training.rates import ramped_ema_decay, rising_and_falling_lr

_AT_ONCE = 64  # pictures drawn at a time


@dataclass(frozen=True)
class InverterTrainingConfig(Checked):
    """Size and training of the encoder (`params:editing.inverter`).

    Attributes:
        width: Channels at half the picture's side.
        num_pictures: First of the training pairs, whose pictures it learns from.
        max_it: Training steps.
        bs: Pictures a step.
        lr: Peak learning rate of AdamW.
        weight_decay: Weight decay of its weights.
        noise: Standard deviation of the noise on the pictures, in [-1, 1].
        ema_beta: Largest decay of the averaged weights.
        val_pairs: Last pairs, kept from training to measure with.
        save_it: Steps between saved states, each with a measurement.
    """

    width: Annotated[int, Ge(1), MultipleOf(8)]
    num_pictures: PositiveInt
    max_it: PositiveInt
    bs: PositiveInt
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    noise: NonNegativeFloat
    ema_beta: Decay
    val_pairs: PositiveInt
    save_it: PositiveInt


def train_inverter(
    generator: Generator,
    pairs: TrainingPairs,
    config: InverterTrainingConfig,
    *,
    seed: int,
    device: str,
    start: TrainingState | InputError | None = None,
) -> Iterator[TrainingState]:
    """Yield the state every `save_it` steps, and at the end (see `fit`).

    It learns normalised w by their mean square difference. The history tells on pairs
    held out, of the averaged weights: `latent`, that difference, and `pixel`, the mean
    square difference of what is drawn again.

    Args:
        generator: Which draws the pictures of the pairs' w.
        pairs: Of the generator.
        config: `params:editing.inverter`.
        seed: Seed of the run.
        device: Where to compute.
        start: Where to go on from.

    Raises:
        InputError: If `start` is unfinished and of other settings, if there are too
            few pairs, or if the loss is not finite.
    """
    num_needed = config.val_pairs + 1
    if len(pairs) < num_needed:
        msg = (
            f"training_pairs must be {num_needed} or more, of which "
            f"editing.inverter.val_pairs are held out, got {len(pairs)}."
        )
        raise InputError(msg)
    run = Run(
        entry="inverter_state",
        group="inverter",
        settings={"inverter": asdict(config), "seed": seed, "pairs": pairs.settings},
        making={
            **describe_provenance(device, __name__, generator),
            "pairs": pairs.made_by,
        },
        max_it=config.max_it,
        save_it=config.save_it,
    )
    prepare = partial(_prepare, generator, pairs, config, seed=seed, device=device)
    yield from fit(prepare, run, start)


def inverter_statistics(
    pairs: TrainingPairs, config: InverterTrainingConfig
) -> LatentStatistics:
    """Return mean and spread of the w that the encoder learns, per channel."""
    return measure_statistics(_latents(pairs, config))


def _latents(pairs: TrainingPairs, config: InverterTrainingConfig) -> Tensor:
    """Return the w that are learned from, [n, num_latents, w_dim]."""
    end = min(config.num_pictures, len(pairs) - config.val_pairs)
    return torch.from_numpy(pairs.take(slice(0, end))[0])


def _prepare(
    generator: Generator,
    pairs: TrainingPairs,
    config: InverterTrainingConfig,
    *,
    seed: int,
    device: str,
) -> Task:
    """Return what is trained."""
    generator.to(device)
    repeats = pairs.recipe["latent_repeats"]
    statistics = inverter_statistics(pairs, config)
    num_latents, w_dim = statistics.mean.shape
    with seeded_weights(derive_seed(seed, "weights")):
        network = InverterNetwork(
            width=config.width, num_latents=num_latents, w_dim=w_dim
        )
    network.to(device)
    average = averaged_copy(network)

    def draw(w: Tensor) -> Tensor:
        return generator.synthesis(repeat_latents(w.to(device), repeats))

    # In memory as a picture has them in a file: a step costs the encoder alone.
    w = _latents(pairs, config)
    levels = _draw_levels(draw, w, title="pictures to learn")
    x0 = statistics.normalise(w).to(device)
    last = slice(len(pairs) - config.val_pairs, len(pairs))
    held_out = torch.from_numpy(pairs.take(last)[0])
    shown = uint8_to_image(_draw_levels(draw, held_out)).to(device)
    held_out = held_out.to(device)

    def batch(step: int) -> dict[str, Tensor]:
        random = make_generator(seed, "inverter", step)
        rows = torch.randint(len(x0), (config.bs,), generator=random)
        image = uint8_to_image(levels[rows]).to(device)
        noise = torch.randn(image.shape, generator=random).to(device)
        return {"image": image + config.noise * noise, "x0": x0[rows]}

    def loss(image: Tensor, x0: Tensor) -> Tensor:
        x: Tensor = network(image)
        return (x - x0).square().mean()

    @torch.no_grad()
    def measure(step: int, is_validated: bool) -> dict[str, float]:
        x = torch.cat([average(part) for part in torch.split(shown, _AT_ONCE)])
        latent = (x - statistics.normalise(held_out)).square().mean()
        again = uint8_to_image(_draw_levels(draw, statistics.denormalise(x)))
        pixel = (again.to(shown) - shown).square().mean()
        return {"latent": float(latent), "pixel": float(pixel)}

    optimizer = torch.optim.AdamW(
        network.named_parameters(),
        lr=config.lr,
        weight_decay=config.weight_decay,
        betas=(0.9, 0.99),
    )
    return Task(
        network=network,
        average=average,
        objectives=[Objective(optimizer, loss)],
        batch=batch,
        learning_rate=partial(
            rising_and_falling_lr, max_it=config.max_it, rise=0.05, fall=0.7
        ),
        ema_decay=partial(ramped_ema_decay, beta=config.ema_beta),
        lr_setting=f"editing.inverter.lr = {config.lr}",
        measure=measure,
    )


@torch.no_grad()
def _draw_levels(
    draw: Callable[[Tensor], Tensor], w: Tensor, title: str | None = None
) -> Tensor:
    """Return the pictures of w, uint8 [n, side, side, 3], on the CPU.

    Args:
        draw: w -> images.
        w: [n, num_latents, w_dim].
        title: What a progress bar says; None for no bar.
    """
    bar: AbstractContextManager[Callable[..., None]] = nullcontext(lambda count: None)
    if title is not None:
        bar = progress_bar(title, total=len(w), unit="pictures")
    levels = []
    with bar as advance:
        for part in torch.split(w, _AT_ONCE):
            levels.append(quantise(draw(part)).cpu())
            advance(len(part))
    return torch.cat(levels)
