"""Nodes of `ablation` that make tables, figures and the report."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.metrics.crossed import crossed_interval
from clip2latent_kedro.pipelines.ablation.figures import plot_strip, plot_study
from clip2latent_kedro.pipelines.ablation.nodes import Groups
from clip2latent_kedro.pipelines.ablation.pictures import show_pictures
from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.study.ablation.config import OWN, AblationConfig, StudySpec
from clip2latent_kedro.study.ablation.plan import SCORES, Ablation
from clip2latent_kedro.study.cells import Table, text_table
from clip2latent_kedro.study.engine import (
    PlannedVariant,
    StoredResult,
    describe_scorers,
)
from clip2latent_kedro.study.figures import render_figure
from clip2latent_kedro.study.origin import describe_origin, origin_table
from clip2latent_kedro.study.page import Section, to_html, to_markdown
from clip2latent_kedro.study.scoring import applying_scores
from clip2latent_kedro.study.tables import (
    ENDS,
    as_columns,
    format_settings,
    score_table,
)
from clip2latent_kedro.study.words import VariantScores, describe_study

Files = dict[str, str | np.ndarray]
PROTOCOL = (
    "Each study moves one setting along an axis; all others are the parameters below, "
    "but for what the study states. Means over seeds and prompts, with intervals for "
    "other seeds and other prompts alike. Variants are compared by the differences of "
    "the same seeds and prompts; a sentence that compares several widens their "
    "intervals for their number (Bonferroni)."
)
BUDGET = (
    "This study trains a prior for each variant and seed, by {}: their scores compare "
    "with each other, not with those of studies of the trained prior."
)


def tabulate(
    results: Mapping[str, StoredResult],
    variants: list[PlannedVariant],
    setup: Ablation,
    ablation: AblationConfig,
) -> pd.DataFrame:
    """Return one row for each variant, study after study.

    Args:
        results: All that are stored.
        variants: What `plan` returned.
        setup: What `prepare` returned.
        ablation: `params:ablation`.

    Returns:
        `study`, `variant`; numbers of prompts, samples and seeds; for each score its
        mean over seeds and prompts, `_low` and `_high`, empty where it does not apply;
        seconds; `axis`, `line` and `value`; `encoder`, `held_out_encoder` and `judge`,
        which scored; `problem` of a variant that failed; `result`, the name of its
        file.
    """
    scored_by = describe_scorers(setup.models)
    axes = {name: spec.axis for name, spec in ablation.read_studies().items()}
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
        of_seeds = {
            name: crossed_interval(values, ablation.confidence)
            for name, values in applying_scores(arrays, SCORES).items()
        }
        row |= {
            **as_columns(of_seeds),
            "seconds": record.get("seconds", 0.0),
            "training_seconds": record.get("training_seconds", 0.0),
            "training_cpu_seconds": record.get("training_cpu_seconds"),
            "axis": axes[one.variant.group],
            "line": one.variant.line,
            "value": json.dumps(one.variant.value),
            **scored_by,
            "problem": record["problem"],
            "result": one.key,
        }
        rows.append(row)
    table = pd.DataFrame(rows)
    names = [f"{n}{end}" for n in SCORES if n in table for end in ENDS]
    others = [name for name in table if name not in names]
    return table[[*others[:5], *names, *others[5:]]]


def report_studies(
    scores: pd.DataFrame,
    results: Mapping[str, StoredResult],
    variants: list[PlannedVariant],
    setup: Ablation,
    ablation: AblationConfig,
) -> Files:
    """Return table, figure, pictures and paragraph of each study, by file name.

    Args:
        scores: What `tabulate` returned.
        results: All that are stored.
        variants: What `plan` returned.
        setup: What `prepare` returned.
        ablation: `params:ablation`.
    """
    files: Files = {}
    for name, spec in ablation.read_studies().items():
        of_study = [one for one in variants if one.variant.group == name]
        found = [results[one.key] for one in of_study]
        table = scores[scores["study"] == name]
        conditions = [one.settings["condition"] for one in of_study]
        pictures = [arrays.get("pictures", np.empty(0)) for arrays, _ in found]
        of_seeds = [
            VariantScores(
                one.variant.line,
                one.variant.label,
                applying_scores(arrays, SCORES),
                one.variant.is_off_axis,
                f"{one.settings['condition']}s",
            )
            for one, (arrays, record) in zip(of_study, found, strict=True)
            if record["problem"] is None
        ]
        num_failed = len(of_study) - len(of_seeds)
        said = describe_study(of_seeds, ablation.confidence, num_failed)
        files[f"{name}.csv"] = table.to_csv(index=False)
        files[f"{name}.png"] = render_figure(plot_study(table, spec))
        files[f"{name}_pictures.png"] = plot_strip(
            table, spec, pictures, conditions, setup.queries
        )
        files[f"{name}.md"] = f"{said}\n"
    return files


def write_report(
    studies: Mapping[str, str | np.ndarray],
    scores: pd.DataFrame,
    results: Mapping[str, StoredResult],
    variants: list[PlannedVariant],
    setup: Ablation,
    base: Groups,
    ablation: AblationConfig,
    seed: int,
) -> tuple[str, str]:
    """Return the report as HTML, and without pictures in Markdown.

    Args:
        studies: What `report_studies` returned.
        scores: What `tabulate` returned.
        results: All that are stored.
        variants: What `plan` returned.
        setup: What `prepare` returned.
        base: What `gather_settings` returned.
        ablation: `params:ablation`.
        seed: `params:seed`.
    """
    sections = []
    for name, spec in ablation.read_studies().items():
        paragraphs = [str(studies[f"{name}.md"]).strip()]
        if spec.retrains:
            paragraphs.append(
                _describe_budget(ablation.budget, ablation.budget_of(spec))
            )
        table = scores[scores["study"] == name].drop(columns="training_seconds")
        of_study = [one for one in variants if one.variant.group == name]
        charts = {f"scores of {spec.title}": np.asarray(studies[f"{name}.png"])}
        tables = [
            score_table(f"Scores: {spec.title}", table, ["variant"], anchor=name),
            show_pictures(spec, of_study, results, setup, seed),
            _list_settings(spec),
        ]
        sections.append(Section(spec.title, paragraphs, (), charts, tables))
    different = scores.drop_duplicates("result")
    seconds = different[["seconds", "training_seconds"]].sum()
    facts = describe_origin(
        setup.models,
        pairs_to_train_on=f"{len(setup.pairs):,}",
        queries=f"{ablation.num_prompts} prompts, or as many pictures; "
        f"{ablation.num_samples} images of each",
        seeds=f"{seed} to {seed + ablation.num_seeds - 1}; of the training too, where "
        f"a study trains",
        intervals=f"{ablation.confidence:.0%}, Student's t over seeds and prompts "
        f"(crossed); they do not cover other pairs",
        different_variants=str(len(different)),
        time=f"{seconds['seconds']:.0f} s of drawing and scoring, "
        f"{seconds['training_seconds']:.0f} s of training, in whichever run that was",
        **{name: str(value) for name, value in describe_machine().items()},
    )
    parameters = [
        [f"{group}.{name}", json.dumps(value)]
        for group, settings in base.items()
        for name, value in asdict(settings).items()
        if group != OWN
    ]
    sections += [
        Section("What this rests on", tables=[origin_table(facts)]),
        Section(
            "Parameters",
            tables=[
                text_table("All parameters", ["parameter", "value"], parameters),
            ],
        ),
    ]
    page = "Ablations", PROTOCOL, sections
    return to_html(*page), to_markdown(*page)


def _describe_budget(name: str | None, settings: Mapping[str, Any]) -> str:
    if name is None:
        return BUDGET.format("the training of the parameters")
    written = format_settings(settings) or "nothing else than the parameters"
    return BUDGET.format(f"the budget `{name}` ({written})")


def _list_settings(spec: StudySpec) -> Table:
    """Return how the study is written, as text."""
    written = {"all variants": spec.base, **spec.lines, **spec.apart}
    rows = [[name, format_settings(own)] for name, own in written.items() if own]
    first = [spec.axis, json.dumps(spec.values)]
    header = ["setting", "values"]
    return text_table(f"Settings: {spec.title}", header, [first, *rows])
