"""Nodes of `sweep` that compare what has been found."""

import json
import logging
from dataclasses import asdict
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.pipelines.evaluation.tables import markdown_table, score_cells
from clip2latent_kedro.pipelines.sweep.figure import draw_grids
from clip2latent_kedro.pipelines.sweep.nodes import Plan, Results, SweepModels
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study import EvaluationConfig, summarise_scores
from clip2latent_kedro.study.selection import RULE, choose_best
from clip2latent_kedro.study.sweep import SweepConfig, Trial, TrialResult
from clip2latent_kedro.study.variants import changes_any, make_variant

logger = logging.getLogger(__name__)


def tabulate(
    results: Results,
    trials: Plan,
    models: SweepModels,
    evaluation: EvaluationConfig,
    sweep: SweepConfig,
    seed: int,
) -> pd.DataFrame:
    """Return one row for each trial.

    Args:
        results: All that are stored.
        trials: Of `plan`.
        models: Of `gather_models`.
        evaluation: `params:evaluation`.
        sweep: `params:sweep`.
        seed: `params:seed`.

    Returns:
        `grid`, `variant`, the value of each setting that the grid sweeps; for each
        score its mean, `_low` and `_high`, empty where it does not apply; `encoder`
        and `judge`, which scored; `problem` of a variant that failed; `result`, the
        name of its file.
    """
    scored_by = {
        "encoder": models.encoder.identity.digest,
        "judge": None if models.judge is None else str(models.judge.identity),
    }
    read = _read(results, trials)
    problems = [result.problem for result in read.values() if result.problem]
    if problems:
        logger.warning(
            "%d of %d variants could not be scored, and sweep_table says why; the "
            "first: %s",
            len(problems),
            len(read),
            problems[0],
        )
    rows: list[dict[str, Any]] = []
    for key, trial in trials:
        row: dict[str, Any] = {"grid": trial.grid, "variant": _name(trial)}
        row |= {name: _cell(value) for name, value in trial.overrides.items()}
        row |= {"num_prompts": sweep.num_prompts, "num_samples": sweep.num_samples}
        for name, interval in _summarise(read[key], evaluation, seed).items():
            row[name] = interval.mean
            row[f"{name}_low"], row[f"{name}_high"] = interval.low, interval.high
        rows.append({**row, **scored_by, "problem": read[key].problem, "result": key})
    table = pd.DataFrame(rows)
    last = [*scored_by, "problem", "result"]
    return table[[*table.columns.drop(last), *last]]


def choose(
    results: Results,
    trials: Plan,
    sampling: SamplingConfig,
    sweep: SweepConfig,
    evaluation: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """Return the best variant with what it rests on, as plain JSON.

    Args:
        results: All that are stored.
        trials: Of `plan`.
        sampling: `params:sampling`, the base.
        sweep: `params:sweep`.
        evaluation: `params:evaluation`.
        seed: `params:seed`.

    Returns:
        `run` makes it the settings of a run, `kedro run --config=FILE`; `rule`,
        `comparisons` and `contenders` say how it was found; `scores` of it, with
        intervals.
    """
    read = _read(results, trials)
    base = make_variant(sampling, {})
    eligible = [
        key
        for key, trial in trials
        if not changes_any(trial.variant, base, sweep.fixed)
    ]
    choice = choose_best(
        {key: read[key].arrays() for key in eligible if read[key].scores},
        clip_tolerance=sweep.clip_tolerance,
        confidence=evaluation.confidence,
    )
    names = {key: f"{trial.grid}: {_name(trial)}" for key, trial in reversed(trials)}
    variant = dict(trials)[choice.best].variant
    params: dict[str, Any] = {"sampling": asdict(variant.sampling)}
    if variant.prior != "prior":
        params["inference"] = {"prior": variant.prior}
    scores = _summarise(read[choice.best], evaluation, seed)
    logger.info(
        "The best of %d variants is %s, by intervals for %d comparisons.",
        len(names),
        names[choice.best],
        choice.num_comparisons,
    )
    return {
        "run": {"params": params},
        "variant": names[choice.best],
        "prior": variant.prior,
        "rule": RULE,
        "comparisons": {
            "number": choice.num_comparisons,
            "correction": "Bonferroni",
            "confidence": evaluation.confidence,
        },
        "contenders": {
            criterion: [names[key] for key in keys]
            for criterion, keys in choice.contenders.items()
        },
        "scores": {name: asdict(interval) for name, interval in scores.items()},
    }


def write_table(sweep_scores: pd.DataFrame) -> str:
    """Return the scores as Markdown, with the problems of variants that failed.

    Args:
        sweep_scores: Of `tabulate`.
    """
    cells = score_cells(sweep_scores, ["grid", "variant"])
    problems = sweep_scores["problem"].fillna("").tolist()
    if any(problems):
        last = ["problem", *problems]
        cells = [[*row, text] for row, text in zip(cells, last, strict=True)]
    return markdown_table(cells)


def plot(sweep_scores: pd.DataFrame, trials: Plan) -> Figure:
    """Return each grid's scores against the values that it sweeps.

    Args:
        sweep_scores: Of `tabulate`.
        trials: Of `plan`.
    """
    return draw_grids(sweep_scores, [trial for _, trial in trials])


def _read(results: Results, trials: Plan) -> dict[str, TrialResult]:
    return {key: TrialResult(**results[key]) for key, _ in trials}


def _summarise(
    result: TrialResult, evaluation: EvaluationConfig, seed: int
) -> dict[str, Interval]:
    return summarise_scores(
        result.arrays(),
        num_resamples=evaluation.num_resamples,
        confidence=evaluation.confidence,
        seed=seed,
    )


def _name(trial: Trial) -> str:
    return trial.label or "as it is"


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value
