"""What the trainings of the worlds' small models have in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.training import (
    Objective,
    Run,
    Task,
    TrainingState,
    averaged_copy,
    fit,
)
from clip2latent_kedro.training.rates import ramped_ema_decay, rising_and_falling_lr


def train_model(
    name: str,
    task: Callable[..., Task],
    config: Any,
    *given: Any,
    seed: int,
    device: str,
    start: TrainingState | InputError | None = None,
    world: str = "portraits",
    depends_on: Mapping[str, Any] | None = None,
) -> Iterator[TrainingState]:
    """Yield the states of the training of a model (see `fit`).

    Args:
        name: Name of the model, in the parameters and the catalog.
        task: (config, *given, seed=seed, device=device) -> what is trained.
        config: Settings of the model and its training, a dataclass with `steps` and
            `save_every`.
        given: What it learns from beside renders.
        seed: Gives weights, pictures and noise.
        device: Where to train.
        start: Where to go on from.
        world: Whose model it is; the catalog's names begin with it.
        depends_on: What else decides it, as plain JSON, such as what it learns from.

    Raises:
        InputError: Where `fit` raises it.
    """
    run = Run(
        entry=f"{world}_{name}_state",
        group=name,
        settings={name: asdict(config), "seed": seed, **(depends_on or {})},
        making=describe_provenance(device, task.__module__),
        max_it=config.steps,
        save_it=config.save_every,
    )
    prepare = partial(task, config, *given, seed=seed, device=device)
    yield from fit(prepare, run, start)


def regression_task(
    model: nn.Module,
    config: Any,
    loss: Callable[[int], Tensor],
    *,
    rise: float,
    fall: float,
    ema_beta: float,
    lr_setting: str,
    parameter_groups: Sequence[dict[str, Any]] | None = None,
    betas: tuple[float, float] = (0.9, 0.99),
) -> Task:
    """Return the training of a model by AdamW.

    Args:
        model: On its device; its buffers are averaged too.
        config: Of the model and its training: `steps`, and `lr` where no groups are.
        loss: Loss of a step, from 0; its data depend on that number alone.
        rise: Share of the steps in which the learning rate rises from 0.
        fall: Share of them, the last, in which it falls to 0.
        ema_beta: Largest decay of the averaged weights.
        lr_setting: Where users set the learning rate.
        parameter_groups: As AdamW takes them, with names; None for all weights that
            are not frozen, without decay.
        betas: Decays of the two moments in AdamW.
    """
    if parameter_groups is None:
        learnt = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        parameter_groups = [{"params": learnt, "lr": config.lr, "weight_decay": 0.0}]
    return Task(
        network=model,
        average=averaged_copy(model),
        objectives=[Objective(torch.optim.AdamW(parameter_groups, betas=betas), loss)],
        batch=lambda step: {"step": step - 1},
        learning_rate=partial(
            rising_and_falling_lr, max_it=config.steps, rise=rise, fall=fall
        ),
        ema_decay=partial(ramped_ema_decay, beta=ema_beta),
        lr_setting=lr_setting,
    )
