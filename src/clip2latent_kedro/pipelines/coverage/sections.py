"""Sections of the coverage report: what its tables say, for people."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from clip2latent_kedro.pipelines.coverage.nodes import CoverageFound
from clip2latent_kedro.study.cells import (
    Cell,
    Column,
    RowName,
    Table,
    interval_cell,
    number_cell,
)
from clip2latent_kedro.study.coverage.config import CoverageConfig
from clip2latent_kedro.study.coverage.demands import Demand
from clip2latent_kedro.study.page import Point, Section
from clip2latent_kedro.study.tables import format_table

DEMANDS, PROMPTS = "demands", "prompts"  # anchors of rows
SHOWN = 25  # rows of a table of pairs or of prompts
NAMED = 6  # demands in a sentence
SCORES = ("held_out_score", "clip_score")  # of prompts, the one that decides first
OF_PROMPTS = {
    "prompt": "prompt",
    "num_stated": "values stated",
    "most_shown": "most of them in one image",
    "all_shown": "images with all",
    "row_right": "attributes right in the row",
    "nearest_held_out_score": "held-out CLIP, nearest image",
    "row_held_out_score": "held-out CLIP, the row",
    "nearest_clip_score": "CLIP, nearest image",
    "row_clip_score": "CLIP, the row",
    "own_images": "images nearest to it",
}


def verdict_section(found: CoverageFound, coverage: CoverageConfig) -> Section:
    """Return what the generator hardly makes, and whose the row's misses are.

    Args:
        found: What `measure` returned.
        coverage: `params:coverage`.
    """
    points: list[Point] = []
    if found.demands:
        for what, number in (("values", 1), ("pairs of values", 2)):
            every = [one for one in found.demands if len(one.values) == number]
            rare = [one for one in every if one.share.high < coverage.rare]
            asked = [one for one in rare if one.num_asked]
            points.append(
                Point(
                    f"Hardly made {what}:",
                    f"{len(rare)} of {len(every)}, by a share whose whole interval is "
                    f"below {coverage.rare:.2%} of the images{_name(rare)}. Prompts "
                    f"ask for {len(asked)} of them{_name(asked)}.",
                    _rows_of(rare),
                )
            )
    if found.demands and found.answers:
        answered = [one for one in found.demands if one.right is not None]
        missed = [one for one in answered if one.fault]
        by_fault = {
            fault: [one for one in missed if one.fault == fault]
            for fault in ("the generator", "the prior", "cannot be told")
        }
        told = "; ".join(
            f"{fault}: {len(of_fault)}{_name(of_fault)}"
            for fault, of_fault in by_fault.items()
        )
        points.append(
            Point(
                f"Missed by {found.row}:",
                f"{len(missed)} of the {len(answered)} values and pairs that it was "
                f"asked, right in a share whose whole interval is below "
                f"{coverage.missed:.2f}. By whose fault: {told}.",
                _rows_of(missed),
            )
        )
    points += _describe_prompts(found)
    return Section(
        "What the generator makes",
        [
            f"{found.num_images:,} images of random w, drawn as those of the training "
            f"pairs are. A value counts where it can be seen. What a row misses is the "
            f"generator's fault where hardly any image shows it, and otherwise that of "
            f"the prior, or of the encoder that it reads, which may not tell it. Each "
            f"interval is by itself: of so many some are off by chance."
        ],
        points=points,
    )


def value_section(found: CoverageFound, pair_map: np.ndarray) -> Section:
    """Return all values, with the map of their pairs.

    Args:
        found: What `measure` returned.
        pair_map: What `plot` returned.
    """
    values = [one for one in found.demands if len(one.values) == 1]
    return Section(
        "Values",
        ["Shares of the images, beside how many prompts ask for a value."],
        charts={"shares of pairs of values": pair_map} if values else {},
        tables=[_demand_table("Values", values)],
    )


def pair_section(found: CoverageFound) -> Section:
    """Return the rarest pairs, and the rarest and worst that prompts ask for."""
    pairs = [one for one in found.demands if len(one.values) == 2]
    rarest = sorted(pairs, key=lambda one: one.share.mean)
    asked = [one for one in rarest if one.num_asked]
    worst = sorted(
        (one for one in found.demands if one.right is not None),
        key=lambda one: one.right.high if one.right is not None else 1.0,
    )
    tables = {
        "The rarest pairs": rarest[:SHOWN],
        "The rarest that prompts ask for": asked[:SHOWN],
        "What the row misses most": worst[:SHOWN],
    }
    return Section(
        "Pairs",
        [
            f"The {SHOWN} rarest pairs of all; the rarest that prompts ask for; and "
            f"values and pairs that the row misses most. A pair is expected in the "
            f"share that independent values would have: one that is far below it is "
            f"avoided by the generator, and not just made of two rare values."
        ],
        tables=[_demand_table(what, rows) for what, rows in tables.items()],
    )


def prompt_section(found: CoverageFound, pictures: Table) -> Section:
    """Return the prompts, first those that the row falls behind most.

    Args:
        found: What `measure` returned.
        pictures: What `show_pictures` returned.
    """
    order = order_prompts(found.prompts)[:SHOWN]
    table = found.prompts.iloc[order]
    return Section(
        "Prompts",
        [
            "How near the images come to each prompt as a whole. The nearest image is "
            "the one that CLIP likes best of all; the encoder that only scores has not "
            "chosen it. Where it is above the row, the generator can do better than "
            "the row does. The last column counts the images that have a higher cosine "
            "with this text than with any other; texts differ in how near they are to "
            "all images, so that one without any need not be out of reach."
        ],
        tables=[pictures, format_table("Prompts", table, OF_PROMPTS, anchor=PROMPTS)],
    )


def order_prompts(prompts: pd.DataFrame) -> list[int]:
    """Return numbers of prompts, those first that the row falls behind most.

    Without a row, those first to which the nearest image is least near.

    Args:
        prompts: A row for each.
    """
    for score in SCORES:
        nearest, row = f"nearest_{score}", f"row_{score}"
        if nearest in prompts:
            values = -prompts[nearest]
            if row in prompts:
                values = prompts[nearest] - prompts[row]
            order = np.argsort(-values.to_numpy(float), kind="stable")  # NaN is last
            return [int(number) for number in order]
    return list(range(len(prompts)))


def _describe_prompts(found: CoverageFound) -> list[Point]:
    prompts = found.prompts
    points: list[Point] = []
    if "num_stated" in prompts:
        stating = prompts[prompts["num_stated"] > 0]
        lacking = stating["num_stated"] - stating["most_shown"]
        points.append(
            Point(
                "Whole prompts:",
                f"of the {len(stating)} that state something, {(lacking == 0).sum()} "
                f"are shown as a whole by some image, and {(lacking == 1).sum()} but "
                f"for one value; together they state {stating['num_stated'].sum()} "
                f"values.",
            )
        )
    for score in SCORES:
        nearest, row = f"nearest_{score}", f"row_{score}"
        if {nearest, row} <= {*prompts.columns}:
            both = prompts.dropna(subset=[nearest, row])
            behind = int((both[nearest] > both[row]).sum())
            points.append(
                Point(
                    "By CLIP:",
                    f"the nearest of the images scores above the mean image of "
                    f"{found.row} in {behind} of {len(both)} prompts, "
                    f"{both[nearest].mean():.3f} against {both[row].mean():.3f}, by "
                    f"{score.replace('_', ' ')}.",
                )
            )
            break
    return points


def _demand_table(caption: str, demands: Sequence[Demand]) -> Table:
    titles = ["value", "images", "share", "if independent", "asked", "right", "fault"]
    rows = [
        [
            Cell(_name_demand(one)),
            number_cell(one.num_shown, ",.0f"),
            interval_cell(one.share, ".2%"),
            number_cell(one.expected, ".2%") if len(one.values) > 1 else Cell(),
            number_cell(one.num_asked, ".0f") if one.num_asked else Cell(),
            Cell() if one.right is None else interval_cell(one.right, ".2f"),
            Cell(one.fault),
        ]
        for one in demands
    ]
    return Table(caption, [Column(title) for title in titles], rows, DEMANDS)


def _rows_of(demands: Sequence[Demand]) -> list[RowName]:
    return [(DEMANDS, _name_demand(one)) for one in demands[:NAMED]]


def _name_demand(demand: Demand) -> str:
    return demand.name.replace("_", " ")


def _name(demands: Sequence[Demand]) -> str:
    """Return the first names in brackets; nothing of none."""
    if not demands:
        return ""
    named = "; ".join(map(_name_demand, demands[:NAMED]))
    more = len(demands) - NAMED
    return f" ({named}{f'; and {more} more' if more > 0 else ''})"
