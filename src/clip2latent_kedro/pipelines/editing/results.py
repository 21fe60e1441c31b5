"""Nodes of `editing` that summarise, plot and report."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.pipelines.editing.tables import (
    CURVE_COLUMNS,
    DIFFERENCE_COLUMNS,
    SCORE_TITLES,
    SUMMARY_TITLES,
    Found,
    curve_rows,
    difference_rows,
    gather_found,
    summary_rows,
)
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.editing.choice import (
    SETTINGS_RULE,
    Choice,
    strength_rule,
)
from clip2latent_kedro.study.editing.plan import Audit
from clip2latent_kedro.study.editing.scores import EDIT_SCORES
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult
from clip2latent_kedro.study.figures import (
    Chart,
    Line,
    plot_charts,
    render_figure,
)
from clip2latent_kedro.study.grid import plot_grid
from clip2latent_kedro.study.origin import describe_origin
from clip2latent_kedro.study.page import Section, to_html, to_markdown
from clip2latent_kedro.study.tables import format_settings, format_table

# What the paper itself reports, of another model and machine.
PUBLISHED = Section(
    "Published costs",
    [
        "StyleCLIP (Patashnik et al. 2021, arXiv 2103.17249), StyleGAN2 FFHQ at 1024 "
        "px, as its table is quoted elsewhere: unverified, since the table itself was "
        "not at hand. The machine is another one, too. Orders of magnitude compare, "
        "figures do not."
    ],
    tables=[
        [
            ["method", "before the first edit", "an edit"],
            ["latent optimisation", "none", "98 s"],
            ["latent mapper", "10 to 12 h, once a text", "0.075 s"],
            ["global directions", "4 h, once a generator", "0.072 s"],
        ]
    ],
)


def tabulate(
    audit: Audit,
    choices: dict[str, Choice],
    variants: list[PlannedVariant],
    results: Mapping[str, StoredResult],
    evaluation: EvaluationConfig,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the curves, the summary and the differences from the baseline.

    Args:
        audit: What `plan` returned.
        choices: What `choose` returned.
        variants: What is reported, of `choose`.
        results: Of these, all that are stored.
        evaluation: Gives the settings of intervals.
        seed: Seed of the run.

    Returns:
        A row for each row of the audit, target and strength, with the scores of
        `EDIT_SCORES`; a row for each row of the audit, means over the targets at the
        chosen strengths, with areas, seconds and settings; and each row less the
        baseline, paired by w.
    """
    found = gather_found(audit, choices, variants, results)
    curves = list(curve_rows(found, evaluation, seed))
    differences = list(difference_rows(audit, found, evaluation))
    return (
        pd.DataFrame(curves, columns=None if curves else CURVE_COLUMNS),
        pd.DataFrame(summary_rows(audit, found, evaluation, seed)),
        pd.DataFrame(differences, columns=None if differences else DIFFERENCE_COLUMNS),
    )


def plot_curves(edit_scores: pd.DataFrame, audit: Audit) -> np.ndarray:
    """Return gain against leakage, a line a row, as a picture, uint8 [h, w, 3].

    Args:
        edit_scores: What `tabulate` returned.
        audit: What `plan` returned.

    Returns:
        First the mean of all targets, then each target; up to where areas are taken.
    """
    by_row = edit_scores.groupby(["row", "number"], sort=False)[["leakage", "gain"]]
    tables = {"all targets": by_row.mean().reset_index()}
    for target in audit.targets:
        tables[target] = edit_scores[edit_scores["target"] == target]
    charts = [
        _curve_chart(title, table[table["leakage"] <= audit.config.max_leakage])
        for title, table in tables.items()
    ]
    return render_figure(
        plot_charts([charts[start : start + 3] for start in range(0, len(charts), 3)])
    )


def _curve_chart(title: str, table: pd.DataFrame) -> Chart:
    lines = []
    for name, of_row in table.groupby("row", sort=False):
        x = np.concatenate([[0.0], of_row["leakage"].to_numpy(float)])
        y = np.concatenate([[0.0], of_row["gain"].to_numpy(float)])
        lines.append(Line(str(name), x, y, y, y))
    return Chart(
        lines,
        "other attributes changed",
        "asked attribute there",
        title=title.replace("_", " "),
    )


def draw_strips(
    audit: Audit,
    choices: dict[str, Choice],
    variants: list[PlannedVariant],
    results: Mapping[str, StoredResult],
) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures before and after, as two pictures, uint8 [h, w, 3].

    Args:
        audit: What `plan` returned.
        choices: What `choose` returned.
        variants: What is reported.
        results: Of these, all that are stored.

    Returns:
        Targets x rows of the audit at the reported strength, each target of another
        picture, white where a row failed. And a line for each target and row with all
        strengths, which says the reported one and its number among those of the row.
    """
    labels: list[str] = []
    lines: list[list[np.ndarray]] = []
    found = gather_found(audit, choices, variants, results)
    for one in found:
        for target, arrays in one.scores.items():
            pictures = arrays["pictures"]
            if pictures.size:
                labels.append(
                    f"{target.replace('_', ' ')}: {one.name.replace('_', ' ')}, "
                    f"reported: no. {one.chosen[target] + 1}, at "
                    f"{one.strengths[one.chosen[target]]:g}"
                )
                lines.append([row[0] for row in pictures])
    if not lines:
        nothing = np.full((1, 1, 3), 255, np.uint8)
        return nothing, nothing
    order = sorted(range(len(lines)), key=lambda k: labels[k].partition(":")[0])
    stacked = np.array([lines[k] for k in order])  # [num_lines, 1 + num_strengths, ...]
    columns = {"before": stacked[:, 0]}
    for number in range(1, stacked.shape[1]):
        columns[f"no. {number}"] = stacked[:, number]
    strips = plot_grid([labels[k] for k in order], columns)
    return _draw_reported(audit, found, np.full_like(stacked[0, 0], 255)), strips


def _draw_reported(audit: Audit, found: list[Found], blank: np.ndarray) -> np.ndarray:
    columns = {"before": np.array([blank] * len(audit.targets))}
    for one in found:
        column = np.array([blank] * len(audit.targets))
        for number, target in enumerate(audit.targets):
            pictures = one.scores.get(target, {}).get("pictures", np.empty(0))
            if pictures.size:
                shown = number % pictures.shape[1]  # not the same person throughout
                columns["before"][number] = pictures[0, shown]
                column[number] = pictures[1 + one.chosen[target], shown]
        columns[one.name] = column
    texts = [target.target for target in audit.targets.values()]
    return plot_grid(texts, columns)


def write_report(
    audit: Audit,
    edit_summary: pd.DataFrame,
    edit_differences: pd.DataFrame,
    edit_scores: pd.DataFrame,
    curves: np.ndarray,
    samples: np.ndarray,
    strips: np.ndarray,
    evaluation: EvaluationConfig,
) -> tuple[str, str]:
    """Return the report as HTML, and without pictures in Markdown.

    Args:
        audit: What `plan` returned.
        edit_summary: What `tabulate` returned.
        edit_differences: Likewise.
        edit_scores: Likewise.
        curves: What `plot_curves` returned.
        samples: What `draw_strips` returned.
        strips: Likewise.
        evaluation: Gives the settings of intervals.
    """
    config = audit.config
    facts = describe_origin(
        audit.models.models,
        identity="none"
        if audit.models.identity_encoder is None
        else str(audit.models.identity_encoder.identity),
        pictures=f"{config.num_latents} random w of each target and seed, "
        f"{config.num_seeds} seeds from {audit.seed}; {config.num_tuning} others to "
        f"choose by",
        intervals=f"{evaluation.confidence:.0%}, over random w, which targets share: "
        f"bootstrap of areas and of means over the targets, Student's t elsewhere",
    )
    chosen = edit_scores[edit_scores["chosen"].astype(bool)]
    meanings = [[SCORE_TITLES[name], text] for name, text in EDIT_SCORES.items()]
    sections = [
        Section(
            "What each way gains and spoils",
            [
                "Means over the targets, each at the strength that was chosen for it, "
                "on pictures that chose nothing. Area: under the curve of gain against "
                f"leakage up to {config.max_leakage:.0%} of the other attributes, over "
                "the largest there can be.",
                SETTINGS_RULE,
                strength_rule(config.least_kept),
            ],
            pictures={
                "gain against leakage": curves,
                "before and after, at the reported strengths": samples,
            },
            tables=[
                format_table(edit_summary, SUMMARY_TITLES),
                [["score", "meaning"], *meanings],
            ],
        ),
        Section(
            "Rows left out", points=[(f"{k}:", v) for k, v in audit.lacking.items()]
        ),
        Section(
            f"Differences from {config.baseline}",
            ["At the chosen strengths, paired by w; each interval is by itself."],
            tables=[format_table(edit_differences, SCORE_TITLES, sign="+")],
        ),
        Section(
            "Each target",
            tables=[
                format_table(chosen, {"target": "target", "row": "row", **SCORE_TITLES})
            ],
        ),
        PUBLISHED,
        Section(
            "Before and after",
            ["One picture of each target, at the strengths of each curve, from weak."],
            pictures={"before and after": strips},
        ),
        Section("Settings that were tried", tables=[_tried_cells(audit, edit_summary)]),
        Section(
            "What this rests on",
            tables=[
                [["", ""], *map(list, facts.items())],
                [
                    ["target", "text", "neutral", "attribute"],
                    *(
                        [name, t.target, t.neutral, f"{t.attribute}: {t.value}"]
                        for name, t in audit.targets.items()
                    ),
                ],
            ],
        ),
    ]
    return to_html("Editing", "", sections), to_markdown("Editing", "", sections)


def _tried_cells(audit: Audit, summary: pd.DataFrame) -> list[list[str]]:
    areas: dict[str, Any] = dict(zip(summary["row"], summary["areas"], strict=True))
    cells = [["row", "settings", "area"]]
    for name, row in audit.rows.items():
        of_row = str(areas.get(name, "")).split()
        for tried, area in zip(row.tried, of_row, strict=False):
            settings = format_settings({**row.settings, **tried}) or "as they are"
            cells.append([name, settings, area])
    return cells
