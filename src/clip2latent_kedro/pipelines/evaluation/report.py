"""The report for people: one HTML page, and the table of scores in Markdown."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from clip2latent_kedro.evaluation import SCORES, STAGES

Cells = list[list[str]]  # the first row is the header

TITLES = {
    "clip_score": "CLIP score",
    "clip_score_best": "CLIP score, best",
    "accuracy": "attributes right",
    "accuracy_best": "attributes right, best",
    "all_right": "all right",
    "all_right_best": "all right, best",
    "clip_diversity": "diversity, CLIP",
    "pixel_diversity": "diversity, pixels",
    "w_distance": "distance of w",
}

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 80em;
  padding: 0 1em; color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .3em .7em; border-bottom: 1px solid #ddd; text-align: left;
  white-space: nowrap; font-variant-numeric: tabular-nums; }
div { overflow-x: auto; }
img { max-width: 100%; }
"""


def score_cells(scores: pd.DataFrame, labels: Sequence[str] = ("method",)) -> Cells:
    """Return the scores as text: mean with interval, empty where one does not apply.

    Args:
        scores: One row for each method (see `results.summarise`).
        labels: Columns of texts to begin with.
    """
    shown = [name for name in SCORES if name in scores]
    timed = ["seconds"] if "seconds" in scores else []
    cells = [[*labels, "samples", *(TITLES[name] for name in shown), *timed]]
    for row in scores.to_dict("records"):
        intervals = [
            _with_interval(*(row[f"{name}{end}"] for end in ("", "_low", "_high")))
            for name in shown
        ]
        seconds = [_with_spread(row["seconds"], row["seconds_std"]) for _ in timed]
        texts = [str(row[label]) for label in labels]
        cells.append([*texts, str(row["num_samples"]), *intervals, *seconds])
    return cells


def gap_cells(modality_gap: pd.DataFrame) -> Cells:
    """Return the gap of each bridge as text; only a header without references.

    Args:
        modality_gap: Of `nodes.measure_gap`.
    """
    header = [str(name).replace("_", " ") for name in modality_gap.columns]
    rows = [
        [bridge, *(f"{value:.3f}" for value in values)]
        for bridge, *values in modality_gap.itertuples(index=False)
    ]
    return [header, *rows]


def markdown_table(cells: Cells) -> str:
    """Return cells as a Markdown table."""
    header, *rows = (f"| {' | '.join(row)} |" for row in cells)
    rule = "|" + " --- |" * len(cells[0])
    return "\n".join([header, rule, *rows]) + "\n"


def compose_report(
    scores: Cells,
    gaps: Cells,
    timings: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, str],
    figure: np.ndarray,
) -> str:
    """Return a page that stands alone: pictures, scores, timings, what they rest on.

    Args:
        scores: Of `score_cells`.
        gaps: Of `gap_cells`.
        timings: Of `nodes.time_methods`.
        settings: From which prior and how each row of clip2latent was sampled.
        facts: Models, seed, versions.
        figure: uint8 [h, w, 3].
    """
    protocol = escape(_describe_protocol(**timings["protocol"]))
    machine = [["machine", ""], *([k, str(v)] for k, v in timings["machine"].items())]
    meanings = [[TITLES[name], meaning] for name, meaning in SCORES.items()]
    stages = "; ".join(f"{stage}: {meaning}" for stage, meaning in STAGES.items())
    parts = [
        "<h1>Evaluation</h1>",
        f'<img alt="prompts x methods" src="{_data_url(figure)}">',
        "<h2>Scores</h2>",
        "<p>Means over the prompts with their intervals. Best: of the samples of a "
        "prompt, by CLIP.</p>",
        _html_table(scores),
        _html_table([["score", "meaning"], *meanings]),
        *_gap_section(gaps),
        "<h2>Timings</h2>",
        f"<p>Seconds, mean and standard deviation. {stages}. {protocol}.</p>",
        _html_table(_timing_cells(timings["seconds"])),
        _html_table(machine),
        "<h2>What this rests on</h2>",
        _html_table([["", ""], *([name, value] for name, value in facts.items())]),
        _html_table(_settings_cells(settings)),
    ]
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>clip2latent: evaluation</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _gap_section(gaps: Cells) -> list[str]:
    if len(gaps) == 1:
        return []
    return [
        "<h2>Modality gap</h2>",
        "<p>Between the prompts and their references: the mean cosine of those that "
        "belong together, the cosine of the two means, and their distance.</p>",
        _html_table(gaps),
    ]


def _describe_protocol(
    timing_prompt: str,
    timing_images: int,
    timing_guidance_scale: float,
    timing_warmups: int,
    timing_repeats: int,
) -> str:
    return (
        f'{timing_images} images of "{timing_prompt}" with guidance '
        f"{timing_guidance_scale:g}; {timing_warmups} warm-ups, then {timing_repeats} "
        f"repeats, methods in turn"
    )


def _timing_cells(seconds: Mapping[str, Mapping[str, Sequence[float]]]) -> Cells:
    cells = [["method", *STAGES, "together"]]
    for method, stages in seconds.items():
        together = np.sum(list(stages.values()), axis=0)
        values = [*(stages[stage] for stage in STAGES), together]
        cells.append([method, *(_with_spread(np.mean(v), np.std(v)) for v in values)])
    return cells


def _settings_cells(settings: Mapping[str, Mapping[str, Any]]) -> Cells:
    names = list(next(iter(settings.values()), {}))
    rows = [
        [row, *(json.dumps(values[name]) for name in names)]
        for row, values in settings.items()
    ]
    return [["row", *names], *rows]


def _with_interval(mean: float, low: float, high: float) -> str:
    return "" if np.isnan(mean) else f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _with_spread(mean: Any, std: Any) -> str:
    return "" if mean is None or np.isnan(mean) else f"{mean:.3f} ± {std:.3f}"


def _html_table(cells: Cells) -> str:
    header, *rows = cells
    lines = [_html_row(header, "th"), *(_html_row(row, "td") for row in rows)]
    return "<div><table>\n" + "\n".join(lines) + "\n</table></div>"


def _html_row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"


def _data_url(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
