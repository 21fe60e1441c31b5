"""Sections of the report: what each table of the evaluation says, for people."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.study.cells import Cell, text_table
from clip2latent_kedro.study.claims import Scored, describe_claims, judge_claims
from clip2latent_kedro.study.distances import DISTANCES
from clip2latent_kedro.study.page import Point, Section
from clip2latent_kedro.study.scoring import SCORES
from clip2latent_kedro.study.tables import (
    TITLES,
    difference_table,
    format_table,
    score_table,
    timing_table,
)
from clip2latent_kedro.study.timing import STAGES

ROWS = "scores"  # the anchor of the rows, which all other tables lead to

# What the paper itself reports, of other models, data, prompts and machines.
PUBLISHED = Section(
    "Published figures",
    [
        "Pinkney and Li 2022 (arXiv 2210.02347): CLIP score of the best of 16 images, "
        "mean of 64 prompts, StyleGAN2 FFHQ at 1024 px and CLIP ViT-B/32; seconds for "
        "16 images. DALLE-2 is scored with another preprocessing, and so by a metric "
        "of its own. These are the authors' models, prompts and machine, not this "
        "project's: they do not compare with the figures above."
    ],
    tables=[
        text_table(
            "Table 1 of the paper",
            ["method", "CLIP score, best of 16", "seconds"],
            [
                ["clip2latent", "0.316", "11.760"],
                ["clip2latent, respaced", "0.315", "0.244"],
                ["direct optimisation", "0.321", "19.191"],
                ["LAFITE", "0.278", "0.045"],
                ["DALLE-2", Cell("0.291", "(its own metric)", 0.291), ""],
            ],
        )
    ],
)


def score_section(scores: pd.DataFrame, charts: Mapping[str, np.ndarray]) -> Section:
    """Return the scores, with what they mean.

    Args:
        scores: The catalog entry `scores`.
        charts: By what they show, uint8 [h, w, 3].
    """
    meanings = {TITLES[k]: v for k, v in {**SCORES, **DISTANCES}.items() if k in scores}
    return Section(
        "Scores",
        [
            "Means over the prompts with their intervals. Best: of the samples of a "
            "prompt, by CLIP. Distances are from images of the generator. KID is of "
            "all images of a row, with its standard error over prompts; FID and CMMD "
            "grow as images get fewer, and are of one number of images in all rows, "
            "empty where a row has not as many. Where attributes and blends are drawn "
            "against diversity a row with one answer to a prompt stands at 0; one of "
            "which a single image was drawn, and random w, are not there."
        ],
        charts=charts,
        tables=[
            score_table("Scores of each row", scores, anchor=ROWS),
            text_table("What the scores are", ["score", "meaning"], meanings.items()),
        ],
    )


def difference_section(differences: pd.DataFrame) -> Section:
    """Return how far rows are from the baseline; nothing to see without one.

    Args:
        differences: The catalog entry `score_differences`.
    """
    baseline = next(iter(differences["baseline"]), None)
    table = difference_table(
        f"Each row less {baseline}, paired by prompt", differences, link=ROWS
    )
    number = sum(bool(cell.text) for row in table.rows for cell in row[1:])
    return Section(
        f"Differences from {baseline}",
        [
            f"Means over the prompts that both have answered, paired. Each of the "
            f"{number} intervals is by itself: one without 0 tells two rows apart on "
            f"such prompts, but some of so many will be without 0 by chance. The best "
            f"of other numbers of samples is not compared."
        ],
        tables=[table],
    )


def claim_section(
    rows: Sequence[Scored], baseline: str | None, confidence: float
) -> Section:
    """Return the claims that the rows can speak to; arguments of `judge_claims`."""
    claims = judge_claims(rows, baseline, confidence=confidence)
    return Section(
        "The paper's claims and ours, here",
        [describe_claims(claims, confidence)],
        points=[
            Point(
                f"{claim.title}: {claim.verdict}.",
                claim.sentence,
                [(ROWS, name) for name in claim.rows],
                claim.verdict,
            )
            for claim in claims
        ],
    )


def gap_section(modality_gap: pd.DataFrame) -> Section:
    """Return the gap between prompts and references (the entry `modality_gap`)."""
    titles = {name: str(name).replace("_", " ") for name in modality_gap.columns}
    return Section(
        "Modality gap",
        [
            "Between the prompts and their references: the mean cosine of those that "
            "belong together, the cosine of the two means, and their distance."
        ],
        tables=[format_table("The gap after each bridge", modality_gap, titles)],
    )


def timing_section(timings: Mapping[str, Any]) -> Section:
    """Return the seconds of each row, and how they were taken (the entry `timings`)."""
    of = timings["protocol"]
    stages = "; ".join(f"{stage}: {meaning}" for stage, meaning in STAGES.items())
    machine = [[name, str(value)] for name, value in timings["machine"].items()]
    return Section(
        "Timings",
        [
            f"Seconds after warm-up, mean and standard deviation of the runs (none of "
            f"one run). {stages}. A method with one answer to a prompt has the seconds "
            f"of one image alone. {of['timing_images']} different images of "
            f'"{of["timing_prompt"]}", and one, clip2latent with guidance '
            f"{of['timing_guidance_scale']:g}; methods in turn, warm-ups "
            f"{of['timing_warmups']}, repeats {of['timing_repeats']}, or as many as "
            f"{of['timing_seconds']:g} s have room for, at least 2; what takes longer "
            f"is timed once."
        ],
        tables=[
            timing_table("Seconds of each row, by stage", timings, link=ROWS),
            text_table("The machine", ["machine", ""], machine),
        ],
    )
