"""From planned variants to their outcomes, one after another."""

import json
import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clip2latent_kedro.ablation.bench import Bench, Outcome
from clip2latent_kedro.ablation.config import AblationConfig
from clip2latent_kedro.ablation.plan import PlannedVariant
from clip2latent_kedro.ablation.settings import Settings
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.ensemble import Member, train_alone, train_together
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import is_known_failure

logger = logging.getLogger(__name__)

Found = tuple[str, Outcome]


@dataclass(frozen=True)
class _Trained:
    """The priors of one training, by seed, or why there are none."""

    priors: Sequence[DiffusionPrior]
    seconds: float = 0.0
    problem: str | None = None


def run_variants(
    variants: Sequence[PlannedVariant],
    bench: Bench,
    config: AblationConfig,
    *,
    seed: int,
    done: Collection[str] = (),
) -> Iterator[Found]:
    """Yield the outcome of each variant as soon as it is there, by its key.

    A variant that fails by its settings, numbers or memory does not stop the others:
    its outcome says why. Variants of equal priors share them, and those that differ in
    `best_of` alone share a draw.

    Args:
        variants: Of `plan_variants`.
        bench: Models and queries.
        config: `params:ablation`.
        seed: The first of the seeds.
        done: Keys that need not be run.
    """
    pending = {v.key: v for v in variants if v.key not in done}
    seeds = [seed + number for number in range(config.num_seeds)]
    with progress_bar("ablation", total=len(pending), unit="variants") as advance:

        def draw(trained: _Trained, group: Sequence[PlannedVariant]) -> Iterator[Found]:
            for found in _draw_group(trained, group, bench, config, seeds):
                advance()
                yield found

        plain = [v for v in pending.values() if not v.retrains]
        for group in _group_draws(plain):
            yield from draw(_Trained([bench.prior] * len(seeds)), group)
        trainings: dict[str, list[PlannedVariant]] = {}
        for variant in pending.values():
            if variant.retrains:
                name = json.dumps(variant.settings.training(), sort_keys=True)
                trainings.setdefault(name, []).append(variant)
        groups = list(trainings.values())
        for number, trained in _train_all(
            [group[0].settings for group in groups], bench, config.ensemble_size, seeds
        ):
            for group in _group_draws(groups[number]):
                yield from draw(trained, group)


def _train_all(
    settings: Sequence[Settings], bench: Bench, ensemble_size: int, seeds: Sequence[int]
) -> Iterator[tuple[int, _Trained]]:
    """Yield the priors of each settings with their number, as soon as they are there.

    As many whole settings as fit are trained together.
    """
    companies: dict[object, list[int]] = {}
    for number, one in enumerate(settings):
        member = one.as_member(seeds[0])
        company = member.company if member.can_be_stacked else number
        companies.setdefault(company, []).append(number)
    at_once = max(1, ensemble_size // len(seeds))
    for numbers in companies.values():
        for first in range(0, len(numbers), at_once):
            chunk = numbers[first : first + at_once]
            yield from _train_chunk(
                {n: [settings[n].as_member(s) for s in seeds] for n in chunk}, bench
            )


def _train_chunk(
    members: Mapping[int, Sequence[Member]], bench: Bench
) -> Iterator[tuple[int, _Trained]]:
    """Yield the priors of some settings; together if they can be trained so."""
    every = [member for own in members.values() for member in own]
    began = time.perf_counter()
    try:
        priors = _train(every, bench)
    except Exception as error:
        if not is_known_failure(error):
            raise
        if len(members) > 1:  # one of them is at fault: find out which
            for number, own in members.items():
                yield from _train_chunk({number: own}, bench)
            return
        logger.debug("A training failed.", exc_info=True)
        (number,) = members
        yield number, _Trained([], problem=str(error) or repr(error))
        return
    seconds = (time.perf_counter() - began) / len(members)
    for place, (number, own) in enumerate(members.items()):
        found = priors[place * len(own) : (place + 1) * len(own)]
        good = [prior for prior in found if prior is not None]
        problem = None
        if len(good) < len(own):
            problem = (
                "The weights of a prior were not finite after its training. Lower "
                "train.lr."
            )
        yield number, _Trained(good, seconds, problem)


def _train(members: Sequence[Member], bench: Bench) -> list[DiffusionPrior | None]:
    pairs, device, text_mean = bench.pairs, bench.device, bench.text_mean
    if len(members) > 1 and members[0].can_be_stacked:
        return train_together(pairs, members, device=device, text_mean=text_mean)
    return [
        train_alone(pairs, member, device=device, text_mean=text_mean)
        for member in members
    ]


def _group_draws(
    variants: Sequence[PlannedVariant],
) -> list[list[PlannedVariant]]:
    """Return variants of one draw together: those that differ in `best_of` alone."""
    groups: dict[str, list[PlannedVariant]] = {}
    for variant in variants:
        name = repr((variant.settings.sampling, variant.settings.condition))
        groups.setdefault(name, []).append(variant)
    return list(groups.values())


def _draw_group(
    trained: _Trained,
    group: Sequence[PlannedVariant],
    bench: Bench,
    config: AblationConfig,
    seeds: Sequence[int],
) -> Iterator[Found]:
    """Yield the outcomes of variants that share priors and a draw."""
    choices = sorted({variant.settings.best_of for variant in group})
    began = time.perf_counter()
    outcomes: dict[int, Outcome] = {}
    problem = trained.problem
    if problem is None:
        try:
            by_seed = [
                bench.try_settings(
                    prior,
                    group[0].settings,
                    choices,
                    num_samples=config.num_samples,
                    strip_prompts=config.strip_prompts,
                    seed=seed,
                )
                for prior, seed in zip(trained.priors, seeds, strict=True)
            ]
        except Exception as error:
            if not is_known_failure(error):
                raise
            logger.debug("A variant failed.", exc_info=True)
            problem = str(error) or repr(error)
        else:
            seconds = (time.perf_counter() - began) / len(group)
            for place, best_of in enumerate(choices):
                tried = [of_seed[place] for of_seed in by_seed]
                scores = {n: [own[n] for own, _ in tried] for n in tried[0][0]}
                training_seconds = trained.seconds / len(group)
                outcomes[best_of] = Outcome(
                    scores, tried[0][1], seconds, training_seconds
                )
    for variant in group:
        if problem is None:
            yield variant.key, outcomes[variant.settings.best_of]
        else:
            logger.warning("%s, %s: %s", variant.study, variant.point.label, problem)
            nothing = np.empty((0, 1, 1, 3), np.uint8)
            yield variant.key, Outcome({}, nothing, problem=problem)
