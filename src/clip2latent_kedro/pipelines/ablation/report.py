"""The report on all studies, as one HTML page that stands alone, and in Markdown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from clip2latent_kedro.pipelines.ablation.origin import flatten
from clip2latent_kedro.pipelines.evaluation.html import (
    STYLE,
    data_url,
    html_table,
)
from clip2latent_kedro.pipelines.evaluation.tables import Cells, markdown_table
from clip2latent_kedro.study.ablation.config import StudySpec

PROTOCOL = (
    "Each study moves one setting along an axis; all others are the parameters below, "
    "but for what the study states. Means over seeds with their intervals. Variants "
    "are compared seed by seed; a sentence that compares several widens the intervals "
    "of the differences for their number (Bonferroni)."
)
BUDGET = (
    "Studies that train priors train each of them with a reduced budget: their scores "
    "compare with each other, not with those of the other studies."
)
Groups = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Section:
    """What is said of one study.

    Attributes:
        spec: The study.
        paragraph: What its numbers say.
        scores: A row for each variant.
        problems: Of variants that failed.
        figure: Scores along the axis, uint8 [h, w, 3].
        strip: Pictures along it, uint8 [h, w, 3].
    """

    spec: StudySpec
    paragraph: str
    scores: Cells
    problems: list[str]
    figure: np.ndarray
    strip: np.ndarray


def compose_html(
    sections: Sequence[Section],
    facts: Mapping[str, str],
    base: Groups,
    budget: Mapping[str, Any],
) -> str:
    """Return the page.

    Args:
        sections: In the order of the studies.
        facts: Of `origin.describe_origin`.
        base: Parameters that all variants start from, by group.
        budget: `params:ablation.budget`.
    """
    names = [section.spec.name for section in sections]
    links = [
        f'<li><a href="#{name}">{escape(section.spec.title)}</a></li>'
        for name, section in zip(names, sections, strict=True)
    ]
    parts = [
        "<h1>Ablations</h1>",
        f"<p>{PROTOCOL}</p>",
        "<ul>",
        *links,
        "</ul>",
        *(line for section in sections for line in _study_lines(section, budget)),
        "<h2>What this rests on</h2>",
        html_table([["", ""], *([name, value] for name, value in facts.items())]),
        "<h2>Parameters</h2>",
        html_table(_parameter_cells(base)),
    ]
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>clip2latent: ablations</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def compose_markdown(
    sections: Sequence[Section],
    facts: Mapping[str, str],
    base: Groups,
    budget: Mapping[str, Any],
) -> str:
    """Return the same without pictures; arguments are those of `compose_html`."""
    parts = ["# Ablations\n", f"{PROTOCOL}\n"]
    for section in sections:
        parts += [f"## {section.spec.title}\n", f"{section.paragraph}\n"]
        if section.spec.retrains:
            parts.append(f"{_describe_budget(budget)}\n")
        parts.append(markdown_table(section.scores))
        parts += [f"- {problem}\n" for problem in section.problems]
    parts += ["## What this rests on\n", markdown_table([["", ""], *_pairs(facts)])]
    parts += ["## Parameters\n", markdown_table(_parameter_cells(base))]
    return "\n".join(parts)


def _study_lines(section: Section, budget: Mapping[str, Any]) -> list[str]:
    spec = section.spec
    title = escape(spec.title)
    lines = [
        f'<h2 id="{spec.name}">{title}</h2>',
        f"<p>{escape(section.paragraph)}</p>",
    ]
    if spec.retrains:
        lines.append(f"<p>{escape(_describe_budget(budget))}</p>")
    if section.problems:
        items = [f"<li>{escape(problem)}</li>" for problem in section.problems]
        lines += ["<p>Not scored:</p>", "<ul>", *items, "</ul>"]
    return [
        *lines,
        f'<img alt="scores of {title}" src="{data_url(section.figure)}">',
        f'<img alt="pictures of {title}" src="{data_url(section.strip)}">',
        html_table(section.scores),
        html_table(_study_cells(spec)),
    ]


def _describe_budget(budget: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{name} {json.dumps(v)}" for name, v in budget.items())
    return f"{BUDGET} It is {listed or 'that of the parameters'}."


def _study_cells(spec: StudySpec) -> Cells:
    """Return how the study is written, as text."""
    cells = [["setting", ""], [spec.axis, json.dumps(spec.values)]]
    written = {"all variants": spec.base, **spec.lines, **spec.apart}
    for name, overrides in written.items():
        if overrides:
            listed = ", ".join(f"{k} {json.dumps(v)}" for k, v in overrides.items())
            cells.append([name, listed])
    return cells


def _parameter_cells(base: Groups) -> Cells:
    rows = [[name, json.dumps(value)] for name, value in flatten(base).items()]
    return [["parameter", "value"], *rows]


def _pairs(facts: Mapping[str, str]) -> Cells:
    return [[name, value] for name, value in facts.items()]
