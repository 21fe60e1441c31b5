"""Nodes of `ablation` that make tables, figures and the report."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.ablation import (
    AblationConfig,
    Bench,
    Outcome,
    PlannedVariant,
)
from clip2latent_kedro.ablation.bench import SCORES
from clip2latent_kedro.ablation.words import Tried, describe_study
from clip2latent_kedro.metrics.student_t import t_interval
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.ablation.figure import draw_strip, draw_study
from clip2latent_kedro.pipelines.ablation.nodes import describe_base, from_stored
from clip2latent_kedro.pipelines.ablation.origin import describe_origin
from clip2latent_kedro.pipelines.ablation.report import (
    Section,
    compose_html,
    compose_markdown,
)
from clip2latent_kedro.pipelines.evaluation.tables import score_cells
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study import Stored
from clip2latent_kedro.study.figure import render_figure

Files = dict[str, str | np.ndarray]


def tabulate(
    results: Mapping[str, Stored],
    variants: list[PlannedVariant],
    bench: Bench,
    ablation: AblationConfig,
) -> pd.DataFrame:
    """Return one row for each variant, study after study.

    Args:
        results: All that are stored.
        variants: Of `plan`.
        bench: Of `prepare`.
        ablation: `params:ablation`.

    Returns:
        `study`, `variant`; numbers of prompts, samples and seeds; for each score its
        mean over seeds, `_low` and `_high`, empty where it does not apply; seconds;
        `line` and `value`; `encoder`, `held_out_encoder` and `judge`, which scored;
        `problem` of a variant that failed; `result`, the name of its file.
    """
    held_out, judge = bench.held_out, bench.judge
    scored_by = {
        "encoder": bench.encoder.identity.digest,
        "held_out_encoder": None if held_out is None else str(held_out.identity),
        "judge": None if judge is None else str(judge.identity),
    }
    rows = []
    for variant in variants:
        outcome = from_stored(results[variant.key])
        row: dict[str, Any] = {
            "study": variant.study,
            "variant": variant.point.label,
            "num_prompts": ablation.num_prompts,
            "num_samples": ablation.num_samples,
            "num_seeds": ablation.num_seeds,
        }
        for name in SCORES:
            if name in outcome.scores:
                found = t_interval(outcome.scores[name], ablation.confidence)
                row[name] = found.mean
                row[f"{name}_low"], row[f"{name}_high"] = found.low, found.high
        row |= {
            "seconds": outcome.seconds,
            "training_seconds": outcome.training_seconds,
            "line": variant.point.line,
            "value": json.dumps(variant.point.value),
            **scored_by,
            "problem": outcome.problem,
            "result": variant.key,
        }
        rows.append(row)
    table = pd.DataFrame(rows)
    ends = ("", "_low", "_high")
    names = [f"{n}{end}" for n in SCORES if n in table for end in ends]
    first = ["study", "variant", "num_prompts", "num_samples", "num_seeds"]
    last = ["seconds", "training_seconds", "line", "value", *scored_by]
    return table[[*first, *names, *last, "problem", "result"]]


def report_studies(
    scores: pd.DataFrame,
    results: Mapping[str, Stored],
    variants: list[PlannedVariant],
    bench: Bench,
    ablation: AblationConfig,
) -> Files:
    """Return table, figure, pictures and paragraph of each study, by file name.

    Args:
        scores: Of `tabulate`.
        results: All that are stored.
        variants: Of `plan`.
        bench: Of `prepare`.
        ablation: `params:ablation`.
    """
    files: Files = {}
    for name, spec in ablation.read_studies().items():
        members = [variant for variant in variants if variant.study == name]
        outcomes = {v.key: from_stored(results[v.key]) for v in members}
        table = scores[scores["study"] == name]
        files[f"{name}.csv"] = table.to_csv(index=False)
        files[f"{name}.png"] = render_figure(draw_study(table, members, spec))
        files[f"{name}_pictures.png"] = draw_strip(members, outcomes, bench)
        files[f"{name}.md"] = _describe(members, outcomes, ablation.confidence)
    return files


def write_report(
    studies: Mapping[str, str | np.ndarray],
    scores: pd.DataFrame,
    results: Mapping[str, Stored],
    variants: list[PlannedVariant],
    bench: Bench,
    sampling: SamplingConfig,
    data: DataConfig,
    network: NetworkConfig,
    diffusion: DiffusionConfig,
    train: TrainConfig,
    ablation: AblationConfig,
    seed: int,
) -> tuple[str, str]:
    """Return the report as HTML, and without pictures in Markdown.

    Args:
        studies: Of `report_studies`.
        scores: Of `tabulate`.
        results: All that are stored.
        variants: Of `plan`.
        bench: Of `prepare`.
        sampling: `params:sampling`.
        data: `params:data`.
        network: `params:model.network`.
        diffusion: `params:model.diffusion`.
        train: `params:train`.
        ablation: `params:ablation`.
        seed: `params:seed`.
    """
    sections = []
    for name, spec in ablation.read_studies().items():
        table = scores[scores["study"] == name]
        figure, strip = studies[f"{name}.png"], studies[f"{name}_pictures.png"]
        assert isinstance(figure, np.ndarray)
        assert isinstance(strip, np.ndarray)
        sections.append(
            Section(
                spec,
                str(studies[f"{name}.md"]).strip(),
                score_cells(
                    table.drop(columns=["seconds", "training_seconds"]), ["variant"]
                ),
                _problems(table),
                figure,
                strip,
            )
        )
    keys = {variant.key for variant in variants}
    outcomes = [from_stored(results[key]) for key in keys]
    facts = describe_origin(
        bench,
        ablation,
        seed=seed,
        num_variants=len(keys),
        seconds=sum(outcome.seconds for outcome in outcomes),
        training_seconds=sum(outcome.training_seconds for outcome in outcomes),
    )
    base = describe_base(sampling, data, network, diffusion, train)
    return (
        compose_html(sections, facts, base, ablation.budget),
        compose_markdown(sections, facts, base, ablation.budget),
    )


def _describe(
    variants: Sequence[PlannedVariant],
    outcomes: Mapping[str, Outcome],
    confidence: float,
) -> str:
    tried = [
        Tried(
            v.point.line,
            v.point.label,
            outcomes[v.key].scores,
            v.point.is_apart,
            f"{v.settings.condition}s",
        )
        for v in variants
        if outcomes[v.key].problem is None
    ]
    return describe_study(tried, confidence, len(variants) - len(tried)) + "\n"


def _problems(table: pd.DataFrame) -> list[str]:
    failed = table[table["problem"].notna()]
    return [f"{row['variant']}: {row['problem']}" for row in failed.to_dict("records")]
