"""The training of mappers: targets and frozen models in, states out."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial

import torch
from torch import Tensor

from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.editing.mapper.config import MapperConfig
from clip2latent_kedro.editing.mapper.losses import MapperLosses
from clip2latent_kedro.editing.mapper.network import STEP, LevelsMapper
from clip2latent_kedro.editing.mapper.teachers import MapperTeachers, draw_latents
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.processes import Processes, count_processes
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import derive_seed, seeded_weights
from clip2latent_kedro.training import (
    Objective,
    Run,
    Task,
    TrainingState,
    averaged_copy,
    fit,
)
from clip2latent_kedro.training.rates import rising_and_falling_lr
from clip2latent_kedro.training.state import resume

logger = logging.getLogger(__name__)

GROUP = "mapper"
_IDLE = ("only", "num_processes", "save_it")  # decide nothing that is learned


def train_mappers(
    teachers: MapperTeachers,
    targets: Mapping[str, EditTarget],
    config: MapperConfig,
    *,
    seed: int,
    stored: Mapping[str, TrainingState | InputError],
) -> Iterator[tuple[str, TrainingState]]:
    """Yield each state of each target's training, by name, as it comes.

    Targets take turns of `save_it` steps, so that all of them go on side by side. What
    is learned depends neither on the number of processes nor on where a run stopped.
    A mapper that is trained already under the same settings is kept, and not yielded.

    Args:
        teachers: The frozen models.
        targets: What to train for, by name.
        config: `params:editing.mapper`.
        seed: Of first weights and of w.
        stored: What an earlier run left of each; why that cannot be read.

    Raises:
        InputError: If a name is unknown, if an unfinished training has other settings
            (see `training.state.resume`), or if a loss is not finite.
    """
    states: dict[str, TrainingState | None] = {}
    for name, target in choose_targets(targets, config.only).items():
        run = _describe_run(teachers, target, config, seed=seed)
        start, _ = resume(stored.get(name), run)
        if start is not None and start.step >= config.max_it:
            logger.info("The mapper of %s is trained already.", name)
        else:
            states[name] = start
    num = config.num_processes
    if num is None or teachers.device != "cpu":
        num = count_processes(teachers.device, len(states))
    processes = Processes(min(num, len(states)))
    train = partial(train_some_steps, teachers=teachers, config=config, seed=seed)
    done = sum(state.step for state in states.values() if state is not None)
    total = len(states) * config.max_it
    with _bar(total, done, is_shown=num > 1) as advance:
        while names := [
            name for name in states if _is_unfinished(states[name], config)
        ]:
            cases = [(targets[name], states[name]) for name in names]
            for name, state in zip(names, processes.map(train, cases), strict=True):
                before = states[name]
                count = state.step - (0 if before is None else before.step)
                advance(count, loss=state.history[-1]["loss"])
                states[name] = state
                yield name, state


def train_some_steps(
    case: tuple[EditTarget, TrainingState | None],
    *,
    teachers: MapperTeachers,
    config: MapperConfig,
    seed: int,
) -> TrainingState:
    """Return the next state of a training, with one thread on a CPU.

    Args:
        case: The target, and what to go on from.
        teachers: The frozen models.
        config: `params:editing.mapper`.
        seed: Of first weights and of w.
    """
    target, start = case
    with _one_thread() if teachers.device == "cpu" else nullcontext():
        states = train_mapper(teachers, target, config, seed=seed, start=start)
        return next(states)


def train_mapper(
    teachers: MapperTeachers,
    target: EditTarget,
    config: MapperConfig,
    *,
    seed: int,
    start: TrainingState | InputError | None = None,
) -> Iterator[TrainingState]:
    """Yield the state every `save_it` steps, and at the end (see `fit`).

    Args:
        teachers: The frozen models.
        target: Its `target` is the text.
        config: `params:editing.mapper`.
        seed: Of first weights and of w; the w of a step depend on both alone.
        start: Where to go on from.

    Raises:
        InputError: If `start` is unfinished and of other settings, or if the loss is
            not finite.
    """

    def prepare() -> Task:
        device, generator = teachers.device, teachers.generator
        with torch.no_grad():
            (text_embedding,) = teachers.encoder.encode_text([target.target])
        losses = MapperLosses(
            generator,
            teachers.encoder,
            teachers.identity_encoder if config.id_weight else None,
            text_embedding.float(),
        )
        with seeded_weights(derive_seed(seed, "mapper_weights")):
            network = LevelsMapper(teachers.mapper_shape(config))
        network.to(device)
        average = averaged_copy(network)
        measured = draw_latents(
            teachers, config.num_measured, config.psi, seed, "measured"
        )

        def batch(step: int) -> dict[str, Tensor]:
            return {"w": draw_latents(teachers, config.bs, config.psi, seed, step)}

        def loss(w: Tensor) -> Tensor:
            terms = losses.measure(w, w + STEP * network(w))
            return weigh(terms, config).mean()

        return Task(
            network=network,
            average=average,
            objectives=[
                Objective(
                    torch.optim.Adam(network.named_parameters(), lr=config.lr), loss
                )
            ],
            batch=batch,
            learning_rate=partial(
                rising_and_falling_lr,
                max_it=config.max_it,
                rise=config.rise,
                fall=config.fall,
            ),
            ema_decay=lambda _: 0.0,  # the weights themselves, as in the source
            lr_setting=f"editing.mapper.lr = {config.lr}",
            measure=lambda step, _: measure_losses(losses, average, measured, config),
        )

    yield from fit(prepare, _describe_run(teachers, target, config, seed=seed), start)


@torch.no_grad()
def measure_losses(
    losses: MapperLosses, network: LevelsMapper, w: Tensor, config: MapperConfig
) -> dict[str, float]:
    """Return the means of each term and, as `total`, of their weighted sum.

    Args:
        losses: Of the target.
        network: M.
        w: [n, num_ws, w_dim].
        config: Their weights, and how many pictures are drawn at a time.
    """
    sums: dict[str, float] = {}
    for rows in torch.split(w, config.bs):
        terms = losses.measure(rows, rows + STEP * network(rows))
        for name, values in {**terms, "total": weigh(terms, config)}.items():
            sums[name] = sums.get(name, 0.0) + float(values.double().sum())
    return {name: value / len(w) for name, value in sums.items()}


def weigh(terms: Mapping[str, Tensor], config: MapperConfig) -> Tensor:
    """Return the weighted sum of the terms, [n]."""
    weights = {
        "clip": config.clip_weight,
        "identity": config.id_weight,
        "latent": config.l2_weight,
    }
    return torch.stack([weights[name] * terms[name] for name in terms]).sum(dim=0)


def choose_targets(
    targets: Mapping[str, EditTarget], only: Sequence[str] | None
) -> dict[str, EditTarget]:
    """Return the targets of some names, all of them for None.

    Raises:
        InputError: If there is no target of a name.
    """
    for name in only or ():
        if name not in targets:
            msg = (
                f"editing.mapper.only must be names of editing.targets, got {name!r}. "
                f"There are {', '.join(targets)}."
            )
            raise InputError(msg)
    return {name: targets[name] for name in targets if only is None or name in only}


def _describe_run(
    teachers: MapperTeachers, target: EditTarget, config: MapperConfig, *, seed: int
) -> Run:
    own = {name: x for name, x in asdict(config).items() if name not in _IDLE}
    who = teachers.identity_encoder if config.id_weight else None
    return Run(
        entry=f"mapper of {target.name or target.target}",
        group=GROUP,
        settings={
            GROUP: own,
            "seed": seed,
            "text": target.target,
            "models": teachers.identities(config),
            "shape": asdict(teachers.mapper_shape(config)),
        },
        making=describe_provenance(
            teachers.device, __name__, teachers.generator, teachers.encoder, who
        ),
        max_it=config.max_it,
        save_it=config.save_it,
    )


def _is_unfinished(state: TrainingState | None, config: MapperConfig) -> bool:
    return state is None or state.step < config.max_it


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread, as a process of several does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _bar(
    total: int, done: int, *, is_shown: bool
) -> AbstractContextManager[Callable[..., None]]:
    """Return the bar of all trainings; one that runs here has its own."""
    if is_shown and total > done:
        return progress_bar("mappers", total=total, completed=done)
    return nullcontext(lambda count=1, loss=0.0: None)
