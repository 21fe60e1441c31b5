"""A small report with all that a report may have, hostile texts among it."""

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.study.cells import (
    Cell,
    Column,
    Picture,
    Table,
    interval_cell,
    number_cell,
    text_table,
)
from clip2latent_kedro.study.page import Point, Section

HOSTILE = "</script><script>hacked = 1</script> \"a' ]]> <!-- & <b onclick=x> ünïcode"
NAMES = ["ten", "two", "nine", "hundred", "minus", HOSTILE]
VALUES = [10.0, 2.0, 9.0, 100.0, -1.0, 0.5]


def draw(seed, side=64):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def score_rows(num_rows):
    rows = []
    for number in range(num_rows):
        name = NAMES[number] if number < len(NAMES) else f"row_{number}"
        value = VALUES[number] if number < len(VALUES) else number / 100
        scores = [
            interval_cell(Interval(value, value - 1, value + 1), ".3f")
            for _ in range(14)
        ]
        scores[3] = Cell() if number % 2 else scores[3]
        rows.append([Cell(name), number_cell(number, ".0f"), *scores])
    return rows


def make_sections(side=64, num_rows=40):
    """Sections: pictures, scores, differences, claims, code, and what is empty."""
    prompts = ["a face", HOSTILE, "nobody"]
    titles = ["prompt", "ten", "two"]
    pictures = [
        [
            Cell(prompt),
            *(
                Cell(
                    picture=Picture(
                        draw(10 * n + k, side),
                        f"{title}: {prompt}",
                        {"prompt": prompt, "row": title, "seed": "5"},
                    )
                )
                for k, title in enumerate(titles[1:])
            ),
        ]
        for n, prompt in enumerate(prompts)
    ]
    pictures[2][1] = Cell()
    columns = ["method", "number", *(f"score_{n}" for n in range(14))]
    scores = Table(
        "All scores", [Column(n) for n in columns], score_rows(num_rows), "scores"
    )
    signed = [Column("method"), Column("gained", "A sentence.", has_zero=True)]
    difference = interval_cell(Interval(0.5, 0.25, 0.75), "+.3f")
    linked = [[Cell(HOSTILE, link=("scores", HOSTILE)), difference]]
    chart = np.full((60, 90, 3), 255, np.uint8)
    return [
        Section(
            "Pictures",
            ["To be looked at."],
            tables=[Table("Prompts by rows", [Column(t) for t in titles], pictures)],
        ),
        Section("Scores", charts={"a chart": chart}, tables=[scores]),
        Section("Empty", ["Not to be seen."], tables=[text_table("", ["a"], [])]),
        Section(
            "Claims",
            points=[
                Point("two is less: holds.", "1 < 2.", [("scores", "two")], "holds"),
                Point(HOSTILE, HOSTILE, [("scores", HOSTILE), ("scores", "none")]),
            ],
        ),
        Section("Scores", tables=[Table("Differences", signed, linked, "differences")]),
        Section("What is chosen", code="sampling:\n  psi: 1", language="yaml"),
    ]
