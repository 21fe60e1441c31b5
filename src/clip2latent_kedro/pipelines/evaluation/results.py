"""Nodes of `evaluation` that write the report, section by section."""

from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pipelines.evaluation.nodes import Rows
from clip2latent_kedro.pipelines.evaluation.scores import densify
from clip2latent_kedro.pipelines.evaluation.sections import (
    PUBLISHED,
    ROWS,
    claim_section,
    difference_section,
    gap_section,
    score_section,
    timing_section,
)
from clip2latent_kedro.study.cells import Cell, text_table
from clip2latent_kedro.study.claims import Scored
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.origin import describe_origin, origin_table
from clip2latent_kedro.study.page import Point, Section, to_html, to_markdown
from clip2latent_kedro.study.tables import format_settings


def show_scores(
    scores: pd.DataFrame, scores_figure: np.ndarray, tradeoffs_figure: np.ndarray
) -> Section:
    """Return the section of the scores, with their charts.

    Args:
        scores: What `summarise` returned.
        scores_figure: What `plot_scores` returned.
        tradeoffs_figure: What `plot_tradeoffs` returned.
    """
    charts = {
        "scores against run-time": scores_figure,
        "attributes and blends against diversity": tradeoffs_figure,
    }
    return score_section(scores, charts)


def show_claims(
    scores_by_prompt: pd.DataFrame,
    timings: dict[str, Any],
    rows: Rows,
    evaluation: EvaluationConfig,
) -> Section:
    """Return the section of the claims, and what came of them.

    Args:
        scores_by_prompt: What `score_answers` returned.
        timings: What `collect_timings` returned.
        rows: What `leave_out_failed` returned.
        evaluation: `params:evaluation`.
    """
    scored = _gather_scored(scores_by_prompt, timings, rows)
    return claim_section(scored, evaluation.baseline, evaluation.confidence)


def show_origin(
    rows: Rows, models: Models, evaluation: EvaluationConfig, seed: int
) -> Section:
    """Return the section of what the report rests on.

    Args:
        rows: What `leave_out_failed` returned.
        models: What `add_references` returned.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
    """
    pairs = models.training_pairs
    facts = describe_origin(
        models,
        training_pairs="none" if pairs is None else f"{len(pairs):,}",
        seed=str(seed),
        intervals=f"{evaluation.confidence:.0%}, bootstrap over prompts",
    )
    settings: list[list[str | Cell]] = [
        [Cell(name, link=(ROWS, name)), format_settings(row.settings)]
        for name, row in rows.items()
    ]
    return Section(
        "What this rests on",
        tables=[
            origin_table(facts),
            text_table("Settings of each row", ["row", "settings"], settings),
        ],
    )


def write_report(
    samples_section: Section,
    scores_section: Section,
    left_out: dict[str, str],
    differences: pd.DataFrame,
    claims_section: Section,
    modality_gap: pd.DataFrame,
    timings: dict[str, Any],
    origin_section: Section,
) -> tuple[str, str]:
    """Return the report as HTML, and without pictures in Markdown.

    Args:
        samples_section: What `show_samples` returned.
        scores_section: What `show_scores` returned.
        left_out: Why rows have no images, of `leave_out_failed`.
        differences: What `compare_rows` returned.
        claims_section: What `show_claims` returned.
        modality_gap: What `measure_gap` returned.
        timings: What `collect_timings` returned.
        origin_section: What `show_origin` returned.
    """
    lacking = [Point(f"{name}:", problem) for name, problem in left_out.items()]
    sections = [
        samples_section,
        scores_section,
        Section("Rows left out", points=lacking),
        difference_section(differences),
        claims_section,
        gap_section(modality_gap),
        timing_section(timings),
        PUBLISHED,
        origin_section,
    ]
    return to_html("Evaluation", "", sections), to_markdown("Evaluation", "", sections)


def _gather_scored(
    scores_by_prompt: pd.DataFrame, timings: dict[str, Any], rows: Rows
) -> list[Scored]:
    dense = densify(scores_by_prompt)
    seconds = {
        name: np.sum(list(stages.values()), axis=0).tolist()  # of each repeat
        for name, stages in timings["seconds"].items()
    }
    return [
        Scored(
            name,
            planned.variant.method,
            planned.settings,
            dense[name],
            seconds.get(name),
            () if planned.method is None else planned.method.caveats,
        )
        for name, planned in rows.items()
    ]
