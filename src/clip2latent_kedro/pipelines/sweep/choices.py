"""Nodes of `sweep` and `tuning` that choose, and say what to write into conf/."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods import METHODS
from clip2latent_kedro.pipelines.sweep.results import mean_scores, summarise
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult, as_json
from clip2latent_kedro.study.selection import RULE, Choice, choose_variant
from clip2latent_kedro.study.sweep import SweepConfig
from clip2latent_kedro.study.tables import TITLES

logger = logging.getLogger(__name__)

_TOLD = ("accuracy", "blended", "clip_diversity", "clip_score")  # beside a choice


def choose(
    results: Mapping[str, StoredResult],
    variants: list[PlannedVariant],
    sampling: SamplingConfig,
    sweep: SweepConfig,
    evaluation: EvaluationConfig,
    seed: int,
) -> tuple[dict[str, Any], str]:
    """Choose the best way of sampling, and say what that rests on, as plain JSON.

    Args:
        results: All that are stored.
        variants: What `plan` returned.
        sampling: The base.
        sweep: What the best may not change or give up.
        evaluation: Gives the settings of intervals.
        seed: Seed of the run.

    Returns:
        `run` makes it the settings of a run, `kedro run --config=FILE`; `rule`,
        `comparisons` and `contenders` say how it was found; `scores` of it, with
        intervals; `tried`, the means of all that it was chosen from. And as YAML what
        differs from the base, to be written into conf/.
    """
    base = as_json({"prior": "prior", **asdict(sampling)})
    eligible = [
        one
        for one in variants
        if all(one.settings[name] == base[name] for name in sweep.fixed)
    ]
    best, choice = _choose(eligible, results, sweep, evaluation)
    settings = best.settings
    of_sampling = {field.name: settings[field.name] for field in fields(SamplingConfig)}
    params: dict[str, Any] = {"sampling": of_sampling}
    changed = {n: value for n, value in of_sampling.items() if value != base[n]}
    if settings["prior"] != "prior":
        params["inference"] = {"prior": settings["prior"]}
    told = _describe(best, choice, eligible, results, sweep, evaluation, seed)
    logger.info(
        "The best of %d variants is %s, by intervals for %d comparisons.",
        len({one.key for one in variants}),
        told["variant"],
        choice.num_comparisons,
    )
    chosen = {"run": {"params": params}, "rule": RULE, **told}
    return chosen, _as_yaml({**params, "sampling": changed}, [told])


def choose_each(
    results: Mapping[str, StoredResult],
    variants: list[PlannedVariant],
    sweep: SweepConfig,
    evaluation: EvaluationConfig,
    seed: int,
) -> tuple[dict[str, Any], str]:
    """Choose the best settings of each method by one rule, as plain JSON.

    Args:
        results: All that are stored.
        variants: What `plan` returned; each grid is a method.
        sweep: What the best may give up, `params:tuning`.
        evaluation: Gives the settings of intervals.
        seed: Seed of the run.

    Returns:
        `run` makes the choices the settings of a run; `rule`; and by grid in
        `methods` what `choose` says of one, with all that was `tried`. And the same
        `run` as YAML.
    """
    params: dict[str, Any] = {}
    methods: dict[str, Any] = {}
    for grid in dict.fromkeys(one.variant.group for one in variants):
        of_grid = [one for one in variants if one.variant.group == grid]
        try:
            best, choice = _choose(of_grid, results, sweep, evaluation)
        except InputError:
            problem = results[of_grid[0].key][1]["problem"]
            logger.warning("Nothing of %s could be scored: %s", grid, problem)
            continue
        methods[grid] = _describe(
            best, choice, of_grid, results, sweep, evaluation, seed
        )
        _lay_over(params, _of_method(best))
        logger.info("%s: %s.", methods[grid]["variant"], _list_scores(methods[grid]))
    chosen = {"run": {"params": params}, "rule": RULE, "methods": methods}
    return chosen, _as_yaml(params, methods.values())


def _choose(
    variants: Sequence[PlannedVariant],
    results: Mapping[str, StoredResult],
    sweep: SweepConfig,
    evaluation: EvaluationConfig,
) -> tuple[PlannedVariant, Choice]:
    """Return the best of some variants, the first of those with one result."""
    by_key = {one.key: one for one in reversed(variants)}
    scores = {one.key: mean_scores(results[one.key]) for one in variants}
    choice = choose_variant(
        {key: found for key, found in scores.items() if found},
        tolerances=sweep.tolerances,
        confidence=evaluation.confidence,
    )
    return by_key[choice.best], choice


def _describe(
    best: PlannedVariant,
    choice: Choice,
    variants: Sequence[PlannedVariant],
    results: Mapping[str, StoredResult],
    sweep: SweepConfig,
    evaluation: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """Return what a choice rests on, as plain JSON."""
    by_key = {one.key: one for one in reversed(variants)}
    names = {key: f"{v.variant.group}: {v.variant.label}" for key, v in by_key.items()}
    scores = summarise(results[best.key], evaluation, seed)
    return {
        "variant": names[best.key],
        "settings": dict(best.settings),
        "comparisons": {
            "number": choice.num_comparisons,
            "correction": "Bonferroni",
            "confidence": evaluation.confidence,
            "tolerances": asdict(sweep.tolerances),
        },
        "contenders": {
            criterion: [names[key] for key in keys]
            for criterion, keys in choice.contenders.items()
        },
        "scores": {name: asdict(interval) for name, interval in scores.items()},
        "tried": [
            {
                "variant": names[key],
                "problem": results[key][1]["problem"],
                **{
                    name: interval.mean
                    for name, interval in summarise(
                        results[key], evaluation, seed
                    ).items()
                    if name in _TOLD
                },
            }
            for key in by_key
        ],
    }


def _of_method(best: PlannedVariant) -> dict[str, Any]:
    """Return what a grid tries, as the tree of parameters that a run takes it from.

    Those of the method's group of parameters; of a method that has none, those of the
    row of the evaluation that is named like the grid.
    """
    variant, settings = best.variant, best.settings
    tried = {name: settings[name] for name in variant.overrides}
    method = METHODS[variant.method]
    path = f"evaluation.rows.{variant.group}"
    if method.parameters is not None:
        path = method.parameters.format(variant=settings.get("variant", ""))
        own = method.own_settings()
        tried = {name: value for name, value in tried.items() if name not in own}
    for part in reversed(path.split(".")):
        tried = {part: tried}
    return tried


def _as_yaml(params: Mapping[str, Any], told: Iterable[Mapping[str, Any]]) -> str:
    """Return parameters as YAML, below what each choice has by the rule."""
    scored = (f"# {one['variant']}: {_list_scores(one)}" for one in told)
    return "\n".join([*scored, *_yaml_lines(params), ""])


def _yaml_lines(tree: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:"
            yield from _yaml_lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {json.dumps(value)}"


def _list_scores(told: Mapping[str, Any]) -> str:
    scores = told["scores"]
    return ", ".join(
        f"{TITLES[name]} {scores[name]['mean']:.3f}" for name in _TOLD if name in scores
    )


def _lay_over(tree: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Add a tree of parameters to another, in place."""
    for name, value in other.items():
        if isinstance(value, Mapping):
            _lay_over(tree.setdefault(name, {}), value)
        else:
            tree[name] = value
