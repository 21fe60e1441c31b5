"""Nodes of `coverage` that tell what has been found."""

from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pipelines.coverage.nodes import CoverageFound
from clip2latent_kedro.pipelines.coverage.sections import (
    OF_PROMPTS,
    PROMPTS,
    order_prompts,
    pair_section,
    prompt_section,
    value_section,
    verdict_section,
)
from clip2latent_kedro.study.cells import Cell, Column, Picture, Table
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.coverage.config import CoverageConfig
from clip2latent_kedro.study.coverage.figure import plot_map
from clip2latent_kedro.study.grid import plot_grid
from clip2latent_kedro.study.origin import describe_origin, origin_table
from clip2latent_kedro.study.page import Section, to_html, to_markdown
from clip2latent_kedro.study.tables import as_columns

OF_NEAREST = {
    name: OF_PROMPTS[name] for name in ("nearest_held_out_score", "nearest_clip_score")
}
NUM_ANSWERS = 3  # pictures of the row beside each prompt


def tabulate(found: CoverageFound) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the values and pairs, and the prompts, as tables.

    Args:
        found: What `measure` returned.

    Returns:
        A row for each value and pair: `attribute`, `value`, `other_attribute` and
        `other_value`, empty of a value alone; `num_shown`, `share` with `_low` and
        `_high`, `expected`, `num_asked`, `right` with its interval, `fault`. And a row
        for each prompt.
    """
    rows: list[dict[str, Any]] = []
    for demand in found.demands:
        names = ("attribute", "value", "other_attribute", "other_value")
        parts = [part for pair in demand.values.items() for part in pair]
        row: dict[str, Any] = dict.fromkeys(names) | dict(
            zip(names, parts, strict=False)
        )
        row |= {"num_shown": demand.num_shown, **as_columns({"share": demand.share})}
        row |= {"expected": demand.expected, "num_asked": demand.num_asked}
        if demand.right is not None:
            row |= as_columns({"right": demand.right})
        rows.append({**row, "fault": demand.fault})
    first = ["attribute", "value", "other_attribute", "other_value", "num_shown"]
    return pd.DataFrame(rows, columns=None if rows else first), found.prompts


def plot(found: CoverageFound, models: Models) -> np.ndarray:
    """Return the map of all pairs of values, uint8 [h, w, 3].

    Args:
        found: What `measure` returned.
        models: What `add_judge` returned.

    Returns:
        A white picture in a domain without attributes.
    """
    if models.judge is None:
        return np.full((64, 64, 3), 255, dtype=np.uint8)
    return plot_map(found.demands, models.judge.attributes, found.num_images)


def draw_pictures(found: CoverageFound, evaluation: EvaluationConfig) -> np.ndarray:
    """Return the images nearest to prompts beside answers, uint8 [h, w, 3].

    Args:
        found: What `measure` returned.
        evaluation: How many prompts.

    Returns:
        Of the prompts that the row falls behind most, the nearest image of random w
        and the first of the row's; a white picture where the encoder knows no text.
    """
    worst = order_prompts(found.prompts)[: evaluation.figure_prompts]
    if not len(found.nearest.number):
        return np.full((64, 64, 3), 255, dtype=np.uint8)
    columns = {f"nearest of {found.num_images:,} images": found.nearest.images[worst]}
    if found.answers:
        answered = found.answers["prompts"].tolist()
        pictures = found.answers["images"]
        shown = np.full((len(worst), *pictures.shape[1:]), 255, dtype=np.uint8)
        for row, prompt in enumerate(worst):
            if prompt in answered:
                shown[row] = pictures[answered.index(prompt)]
        for number in range(min(NUM_ANSWERS, shown.shape[1])):
            columns[f"{found.row} {number + 1}"] = shown[:, number]
    return plot_grid([found.prompts["prompt"].iloc[row] for row in worst], columns)


def show_pictures(
    found: CoverageFound, evaluation: EvaluationConfig, seed: int
) -> Table:
    """Return the same pictures, each with what is known of it.

    Args:
        found: What `measure` returned.
        evaluation: How many prompts.
        seed: `params:seed`.
    """
    worst = order_prompts(found.prompts)[: evaluation.figure_prompts]
    if not len(found.nearest.number):
        worst = []
    prompts = found.prompts.to_dict("records")
    answered = found.answers["prompts"].tolist() if found.answers else []
    num_answers = min(NUM_ANSWERS, found.answers["images"].shape[1]) if answered else 0
    titles = [f"{found.row} {number + 1}" for number in range(num_answers)]
    rows = []
    for prompt in worst:
        text = str(prompts[prompt]["prompt"])
        facts = {"prompt": text, "image": f"{found.nearest.number[prompt] + 1:,}"}
        facts |= {
            title: f"{prompts[prompt][name]:.3f}"
            for name, title in OF_NEAREST.items()
            if pd.notna(prompts[prompt].get(name))
        }
        shows = f"nearest image: {text}"
        nearest = Picture(found.nearest.images[prompt], shows, facts)
        row = [Cell(text, link=(PROMPTS, text)), Cell(picture=nearest)]
        for number, title in enumerate(titles):
            if prompt not in answered:
                row.append(Cell())
                continue
            facts = {"prompt": text, "row": str(found.row), "sample": f"{number + 1}"}
            facts |= {"seed": str(seed)}
            pixels = found.answers["images"][answered.index(prompt), number]
            row.append(Cell(picture=Picture(pixels, f"{title}: {text}", facts)))
        rows.append(row)
    nearest_of = f"nearest of {found.num_images:,} images"
    columns = [Column(title) for title in ("prompt", nearest_of, *titles)]
    return Table("Nearest images beside answers", columns, rows)


def write_report(
    found: CoverageFound,
    pair_map: np.ndarray,
    models: Models,
    evaluation: EvaluationConfig,
    coverage: CoverageConfig,
    psi: float,
    seed: int,
) -> tuple[str, str]:
    """Return the report as HTML, and without pictures in Markdown.

    Args:
        found: What `measure` returned.
        pair_map: What `plot` returned.
        models: What `add_judge` returned.
        evaluation: Gives the confidence.
        coverage: `params:coverage`.
        psi: Truncation of the training pairs.
        seed: Seed of the run.
    """
    facts = describe_origin(
        models,
        images=f"{found.num_images:,} of random w, psi {psi:g}",
        row=str(found.row) if found.answers else f"none. {found.problem}".strip(),
        seed=str(seed),
        intervals=f"{evaluation.confidence:.0%}, Wilson",
    )
    sections = [
        verdict_section(found, coverage),
        value_section(found, pair_map),
        pair_section(found),
        prompt_section(found, show_pictures(found, evaluation, seed)),
        Section("What this rests on", tables=[origin_table(facts)]),
    ]
    return to_html("Coverage", "", sections), to_markdown("Coverage", "", sections)
