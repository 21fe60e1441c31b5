"""Nodes of `evaluation` that show the images themselves."""

from collections.abc import Iterator, Mapping

import numpy as np

from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.pipelines.evaluation.nodes import Rows
from clip2latent_kedro.study.cells import Cell, Column, Picture, Table
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult
from clip2latent_kedro.study.grid import plot_grid
from clip2latent_kedro.study.page import Section
from clip2latent_kedro.study.pictures import score_chosen
from clip2latent_kedro.study.samples import Samples
from clip2latent_kedro.study.scoring import best_samples
from clip2latent_kedro.study.tables import describe_scores


def draw_samples(
    answers: Mapping[str, StoredResult],
    rows: Rows,
    queries: Queries,
    evaluation: EvaluationConfig,
) -> np.ndarray:
    """Return prompts x methods as a picture, uint8 [h, w, 3].

    Args:
        answers: All that are stored.
        rows: What `leave_out_failed` returned.
        queries: Prompts.
        evaluation: `params:evaluation`.

    Returns:
        The first sample of each method; of clip2latent also the best by CLIP. White
        where a row was not asked a prompt.
    """
    num_prompts = min(evaluation.figure_prompts, len(queries.texts))
    columns = {}
    for name, planned in rows.items():
        samples, prompts = answers[name][0], planned.prompts
        images = samples["images"]
        shown = np.flatnonzero(prompts < num_prompts)
        for title, number in _choose_samples(name, planned, samples, queries):
            column = np.full((num_prompts, *images.shape[2:]), 255, np.uint8)
            column[prompts[shown]] = images[shown, number[shown]]
            columns[title] = column
    return plot_grid(queries.texts[:num_prompts], columns)


def show_samples(
    answers: Mapping[str, StoredResult],
    rows: Rows,
    queries: Queries,
    evaluation: EvaluationConfig,
    seed: int,
) -> Section:
    """Return the section of the same pictures, each with what is known of it.

    Args:
        answers: All that are stored.
        rows: What `leave_out_failed` returned.
        queries: Prompts.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
    """
    num_prompts = min(evaluation.figure_prompts, len(queries.texts))
    lines = [[Cell(text)] for text in queries.texts[:num_prompts]]
    columns = [Column("prompt")]
    for name, planned in rows.items():
        samples = answers[name][0]
        images = samples["images"]
        shown = np.flatnonzero(planned.prompts < num_prompts)
        asked = queries.take(planned.prompts.tolist())
        for title, number in _choose_samples(name, planned, samples, queries):
            scores = score_chosen(samples, asked, number)
            columns.append(Column(title))
            found = {}
            for place in shown:
                facts = {
                    "prompt": asked.texts[place],
                    "row": title,
                    "sample": f"{number[place] + 1} of {images.shape[1]}",
                    "seed": str(seed),
                    **describe_scores({k: v[place] for k, v in scores.items()}),
                }
                shows = f"{title}: {asked.texts[place]}"
                picture = Picture(images[place, number[place]], shows, facts)
                found[planned.prompts[place]] = Cell(picture=picture)
            for prompt, line in enumerate(lines):
                line.append(found.get(prompt, Cell()))
    return Section(
        "Pictures",
        [
            "The first sample of each row, and of clip2latent also the one that CLIP "
            "likes best. Empty: the row was not asked this prompt. A picture that is "
            "followed is shown large, with its scores."
        ],
        tables=[Table("Prompts by rows", columns, lines)],
    )


def _choose_samples(
    name: str, planned: PlannedVariant, samples: Samples, queries: Queries
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a title and which sample of each prompt is shown, [num_prompts] int."""
    best = best_samples(samples, queries.take(planned.prompts.tolist()))
    yield name, np.zeros_like(best)
    if planned.variant.method == "clip2latent":
        yield f"{name}, best", best
