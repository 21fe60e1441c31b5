"""The report for people, as one HTML page that stands alone."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from clip2latent_kedro.pipelines.evaluation import published
from clip2latent_kedro.pipelines.evaluation.tables import (
    TITLES,
    Cells,
    describe_differences,
)
from clip2latent_kedro.study import DISTANCES, SCORES, STAGES
from clip2latent_kedro.study.claims import Claim

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 80em;
  padding: 0 1em; color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .3em .7em; border-bottom: 1px solid #ddd; text-align: left;
  white-space: nowrap; font-variant-numeric: tabular-nums; }
div { overflow-x: auto; }
img { max-width: 100%; }
"""


def compose_page(
    *,
    scores: Cells,
    differences: Cells,
    baseline: str | None,
    claims: Sequence[Claim],
    sureness: str,
    gaps: Cells,
    timings: Cells,
    protocol: Mapping[str, Any],
    machine: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]],
    left_out: Mapping[str, str],
    facts: Mapping[str, str],
    pictures: np.ndarray,
    plots: np.ndarray,
) -> str:
    """Return the page: pictures, scores, claims, timings, what they rest on.

    Args:
        scores: Of `tables.score_cells`.
        differences: Of `tables.difference_cells`.
        baseline: What they are from.
        claims: Of `evaluation.claims`.
        sureness: Of them all, of `evaluation.claims.describe_claims`.
        gaps: Of `tables.gap_cells`.
        timings: Of `tables.timing_cells`.
        protocol: Of the timings.
        machine: On which they were taken.
        settings: Of each row, in full.
        left_out: Rows that are not there, and why.
        facts: Models, seed, versions.
        pictures: Prompts x methods, uint8 [h, w, 3].
        plots: Scores against run-time, uint8 [h, w, 3].
    """
    known = {**SCORES, **DISTANCES}
    header = [title.split(" (")[0] for title in scores[0]]
    shown = [name for name in known if TITLES[name] in header]
    meanings = [[TITLES[name], known[name]] for name in shown]
    stages = "; ".join(f"{stage}: {meaning}" for stage, meaning in STAGES.items())
    parts = [
        "<h1>Evaluation</h1>",
        f'<img alt="prompts x methods" src="{data_url(pictures)}">',
        "<h2>Scores</h2>",
        "<p>Means over the prompts with their intervals. Best: of the samples of a "
        "prompt, by CLIP. Distances are from images of the generator. KID is of all "
        "images of a row, with its standard error over prompts; FID and CMMD grow as "
        "images get fewer, and are of one number of images in all rows, empty where a "
        "row has not as many.</p>",
        html_table(scores),
        f'<img alt="scores against run-time" src="{data_url(plots)}">',
        html_table([["score", "meaning"], *meanings]),
        *_difference_section(differences, baseline),
        *_claim_section(claims, sureness),
        *_gap_section(gaps),
        "<h2>Timings</h2>",
        f"<p>Seconds after warm-up, mean and standard deviation of the runs (none of "
        f"one run). {stages}. A method with one answer to a prompt has the seconds of "
        f"one image alone. "
        f"{escape(_describe_protocol(**protocol))}.</p>",
        html_table(timings),
        html_table([["machine", ""], *([key, str(v)] for key, v in machine.items())]),
        "<h2>Published figures</h2>",
        f"<p>{escape(published.SOURCE)}</p>",
        html_table(published.TABLE),
        "<h2>What this rests on</h2>",
        html_table([["", ""], *([name, value] for name, value in facts.items())]),
        html_table(_settings_cells(settings)),
        *_left_out_section(left_out),
    ]
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>clip2latent: evaluation</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _difference_section(differences: Cells, baseline: str | None) -> list[str]:
    if len(differences) == 1:
        return []
    return [
        f"<h2>Differences from {escape(str(baseline))}</h2>",
        f"<p>Means over the prompts that both have answered, paired. "
        f"{describe_differences(differences)} The best of other numbers of samples is "
        f"not compared.</p>",
        html_table(differences),
    ]


def _claim_section(claims: Sequence[Claim], sureness: str) -> list[str]:
    if not claims:
        return []
    items = [
        f"<li><b>{escape(claim.title)}: {claim.verdict}.</b> "
        f"{escape(claim.sentence)}</li>"
        for claim in claims
    ]
    title = "<h2>The paper's claims and ours, here</h2>"
    return [title, f"<p>{escape(sureness)}</p>", "<ul>", *items, "</ul>"]


def _gap_section(gaps: Cells) -> list[str]:
    if len(gaps) == 1:
        return []
    return [
        "<h2>Modality gap</h2>",
        "<p>Between the prompts and their references: the mean cosine of those that "
        "belong together, the cosine of the two means, and their distance.</p>",
        html_table(gaps),
    ]


def _left_out_section(left_out: Mapping[str, str]) -> list[str]:
    if not left_out:
        return []
    rows = [[name, reason] for name, reason in left_out.items()]
    return ["<h2>Rows left out</h2>", html_table([["row", "why"], *rows])]


def _describe_protocol(
    timing_prompt: str,
    timing_images: int,
    timing_guidance_scale: float,
    timing_warmups: int,
    timing_repeats: int,
    timing_seconds: float,
) -> str:
    return (
        f'{timing_images} different images of "{timing_prompt}", and one, clip2latent '
        f"with guidance {timing_guidance_scale:g}; methods in turn, warm-ups "
        f"{timing_warmups}, repeats {timing_repeats}, or as many as {timing_seconds:g} "
        f"s have room for, at least 2; what takes longer is timed once"
    )


def _settings_cells(settings: Mapping[str, Mapping[str, Any]]) -> Cells:
    rows = [
        [
            row,
            ", ".join(f"{name} {json.dumps(value)}" for name, value in all_of.items()),
        ]
        for row, all_of in settings.items()
    ]
    return [["row", "settings"], *rows]


def html_table(cells: Cells) -> str:
    """Return cells, the first row of which is the header, as a table."""
    header, *rows = cells
    lines = [_row(header, "th"), *(_row(row, "td") for row in rows)]
    return "<div><table>\n" + "\n".join(lines) + "\n</table></div>"


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"


def data_url(picture: np.ndarray) -> str:
    """Return a picture, uint8 [h, w, 3], as the address of an image in a page."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
