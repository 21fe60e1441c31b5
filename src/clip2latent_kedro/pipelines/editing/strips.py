"""Nodes of `editing` that show pictures before and after."""

from collections.abc import Mapping

import numpy as np

from clip2latent_kedro.pipelines.editing.tables import SCORE_TITLES, Found, gather_found
from clip2latent_kedro.study.cells import Cell, Column, Picture, Table
from clip2latent_kedro.study.editing.choice import Choice
from clip2latent_kedro.study.editing.plan import Audit
from clip2latent_kedro.study.editing.scores import EDIT_SCORES
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult
from clip2latent_kedro.study.grid import plot_grid


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


def show_strips(
    audit: Audit,
    choices: dict[str, Choice],
    variants: list[PlannedVariant],
    results: Mapping[str, StoredResult],
) -> list[Table]:
    """Return a table for each target: rows of the audit at all their strengths.

    Args:
        audit: What `plan` returned.
        choices: What `choose` returned.
        variants: What is reported.
        results: Of these, all that are stored.

    Returns:
        Each target of another picture, which all its rows share.
    """
    tables = []
    found = gather_found(audit, choices, variants, results)
    for number, (name, target) in enumerate(audit.targets.items()):
        rows = [
            _strip_row(one, name, target.target, number, audit.seed)
            for one in found
            if one.scores.get(name, {}).get("pictures", np.empty(0)).size
        ]
        width = max(map(len, rows), default=0)
        rows = [[*row, *[Cell()] * (width - len(row))] for row in rows]
        titles = ["row", "reported", "before", *(f"no. {n + 1}" for n in range(width))]
        columns = [Column(title) for title in titles[:width]]
        caption = f"{name.replace('_', ' ')}: {target.target}"
        tables.append(Table(caption, columns, rows))
    return tables


def _strip_row(
    found: Found, name: str, text: str, number: int, seed: int
) -> list[Cell]:
    pictures = found.scores[name]["pictures"]  # [1 + num_strengths, n, h, w, 3]
    shown = number % pictures.shape[1]  # not the same person throughout
    chosen = found.chosen[name]
    every = {
        "row": found.name,
        "target": text,
        "picture": f"{shown + 1} of seed {seed}",
    }
    before = Picture(pictures[0, shown], f"{text}, before", every)
    cells = [Cell(found.name, link=("rows", found.name))]
    cells += [Cell(f"no. {chosen + 1}"), Cell(picture=before)]
    for step, strength in enumerate(found.strengths):
        facts = {**every, "strength": f"{strength:g}"}
        if step == chosen:
            facts["strength"] += ", the reported one"
        for score in EDIT_SCORES:
            value = found.scores[name][score][step][0, shown]
            if np.isfinite(value):
                facts[SCORE_TITLES[score]] = f"{value:.3f}"
        shows = f"{text}: {found.name} at {strength:g}"
        cells.append(Cell(picture=Picture(pictures[1 + step, shown], shows, facts)))
    return cells
