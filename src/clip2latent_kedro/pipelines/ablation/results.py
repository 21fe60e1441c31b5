"""Nodes of `ablation` that make tables, figures and the report."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.ablation.words import Tried, describe_study
from clip2latent_kedro.metrics.student_t import t_interval
from clip2latent_kedro.pipelines.ablation.figure import draw_strip, draw_study
from clip2latent_kedro.pipelines.ablation.nodes import Groups, describe_base
from clip2latent_kedro.pipelines.ablation.origin import describe_origin
from clip2latent_kedro.pipelines.ablation.report import (
    Section,
    compose_html,
    compose_markdown,
)
from clip2latent_kedro.pipelines.evaluation.tables import score_cells
from clip2latent_kedro.study.ablation.config import AblationConfig
from clip2latent_kedro.study.ablation.plan import SCORES, Ablation
from clip2latent_kedro.study.comparison import describe_interval
from clip2latent_kedro.study.engine import Planned, Stored, describe_scorers
from clip2latent_kedro.study.figure import render_figure
from clip2latent_kedro.study.scoring import average_prompts

Files = dict[str, str | np.ndarray]


def tabulate(
    results: Mapping[str, Stored],
    variants: list[Planned],
    bench: Ablation,
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
    scored_by = describe_scorers(bench.models)
    rows = []
    for one in variants:
        arrays, record = results[one.key]
        row: dict[str, Any] = {
            "study": one.variant.group,
            "variant": one.variant.label,
            "num_prompts": ablation.num_prompts,
            "num_samples": ablation.num_samples,
            "num_seeds": ablation.num_seeds,
        }
        for name, of_seeds in average_prompts(arrays, SCORES).items():
            found = t_interval(of_seeds, ablation.confidence)
            row |= describe_interval(name, found)
        row |= {
            "seconds": record.get("seconds", 0.0),
            "training_seconds": record.get("training_seconds", 0.0),
            "line": one.variant.line,
            "value": json.dumps(one.variant.value),
            **scored_by,
            "problem": record["problem"],
            "result": one.key,
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
    variants: list[Planned],
    bench: Ablation,
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
        members = [one for one in variants if one.variant.group == name]
        outcomes = {v.key: results[v.key] for v in members}
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
    variants: list[Planned],
    bench: Ablation,
    base: Groups,
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
        base: Of `gather_settings`.
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
    records = [results[key][1] for key in keys]
    facts = describe_origin(
        bench,
        ablation,
        seed=seed,
        num_variants=len(keys),
        seconds=sum(record.get("seconds", 0.0) for record in records),
        training_seconds=sum(record.get("training_seconds", 0.0) for record in records),
    )
    start = describe_base(base)
    return (
        compose_html(sections, facts, start, ablation.budget),
        compose_markdown(sections, facts, start, ablation.budget),
    )


def _describe(
    variants: Sequence[Planned], outcomes: Mapping[str, Stored], confidence: float
) -> str:
    tried = [
        Tried(
            v.variant.line,
            v.variant.label,
            average_prompts(outcomes[v.key][0], SCORES),
            v.variant.is_apart,
            f"{v.settings['condition']}s",
        )
        for v in variants
        if outcomes[v.key][1]["problem"] is None
    ]
    return describe_study(tried, confidence, len(variants) - len(tried)) + "\n"


def _problems(table: pd.DataFrame) -> list[str]:
    failed = table[table["problem"].notna()]
    return [f"{row['variant']}: {row['problem']}" for row in failed.to_dict("records")]
