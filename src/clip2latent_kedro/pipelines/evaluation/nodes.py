"""Nodes of `evaluation`."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from clip2latent_kedro.evaluation import (
    SCORES,
    Clip2Latent,
    Drawn,
    EvaluationConfig,
    Method,
    NearestPair,
    Queries,
    RandomW,
    References,
    best_samples,
    draw_row,
    read_queries,
    sampling_of_rows,
    score_prompts,
    summarise_scores,
    time_rows,
)
from clip2latent_kedro.interfaces import Encoder, Generator, Judge
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.pipelines.evaluation.figure import draw_comparison
from clip2latent_kedro.pipelines.evaluation.report import (
    compose_report,
    markdown_table,
    score_cells,
)
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.runtime import describe_machine, pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]
Absent = Mapping[str, Any]  # an empty mapping, in the place of what a domain lacks


def embed_prompts(
    prompts: pd.DataFrame,
    encoder: Encoder,
    judge: Judge | Absent,
    evaluation: EvaluationConfig,
    device: str,
) -> Queries:
    """Return the prompts with their embeddings and what they state.

    Args:
        prompts: A column `prompt`, and one for each attribute that is stated.
        encoder: Text -> embedding.
        judge: Knows the attributes; an empty mapping if there is none.
        evaluation: `params:evaluation`.
        device: `params:device`.
    """
    return read_queries(
        prompts.fillna("").astype(str).to_dict("records"),
        encoder.to(pick_device(device)),
        judge.attributes if isinstance(judge, Judge) else {},
        num_prompts=evaluation.num_prompts,
    )


def assemble_methods(
    generator: Generator,
    encoder: Encoder,
    prior: DiffusionPrior,
    training_pairs: TrainingPairs,
    reference_images: Arrays,
    data: DataConfig,
    sampling: SamplingConfig,
    evaluation: EvaluationConfig,
    device: str,
) -> tuple[dict[str, Method], dict[str, str]]:
    """Return the rows of the comparison by name, and what they are made of.

    Args:
        generator: w -> image.
        encoder: The one that the prior was trained on.
        prior: Averaged weights.
        training_pairs: For retrieval.
        reference_images: `images`, uint8 [num_prompts, num_references, h, w, 3]; an
            empty mapping leaves their row out.
        data: `params:data`.
        sampling: `params:sampling`.
        evaluation: `params:evaluation`.
        device: `params:device`.
    """
    model = TextToImage(
        generator,
        encoder,
        prior,
        data.latent_repeats,
        latent_batch_size=evaluation.latent_batch_size,
        image_batch_size=evaluation.image_batch_size,
        device=pick_device(device),
    )
    methods: dict[str, Method] = {"random_w": RandomW(generator)}
    if reference_images:
        methods["reference"] = References(reference_images["images"])
    methods["nearest_pair"] = NearestPair(
        generator, training_pairs, data.latent_repeats
    )
    for row, settings in sampling_of_rows(sampling, evaluation.rows).items():
        methods[row] = Clip2Latent(model, settings)
    num_weights = sum(weight.numel() for weight in prior.parameters())
    models = {
        "generator": str(generator.identity),
        "encoder": str(encoder.identity),
        "prior": f"{num_weights:,} weights",
        "training_pairs": f"{len(training_pairs):,}",
    }
    return methods, models


def draw_samples(
    methods: dict[str, Method],
    queries: Queries,
    encoder: Encoder,
    judge: Judge | Absent,
    evaluation: EvaluationConfig,
    seed: int,
    device: str,
) -> tuple[dict[str, Drawn], Arrays, Arrays]:
    """Return every method's answers, their images alone, and their w alone.

    Args:
        methods: By row name.
        queries: Prompts.
        encoder: For the CLIP score.
        judge: For the attributes; an empty mapping if there is none.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
        device: `params:device`.
    """
    device = pick_device(device)
    drawn: dict[str, Drawn] = {}
    for row, method in methods.items():
        logger.info("Answering %d prompts by %s.", len(queries.texts), row)
        drawn[row] = draw_row(
            method,
            queries,
            encoder=encoder.to(device),
            judge=judge.to(device) if isinstance(judge, Judge) else None,
            num_samples=evaluation.num_samples,
            image_batch_size=evaluation.image_batch_size,
            stored_image_size=evaluation.stored_image_size,
            seed=seed,
        )
    samples = {row: answers.images for row, answers in drawn.items()}
    w = {row: answers.w for row, answers in drawn.items() if answers.w is not None}
    return drawn, samples, w


def score_samples(drawn: dict[str, Drawn], queries: Queries) -> pd.DataFrame:
    """Return one row for each method and prompt, with the scores of its samples.

    Args:
        drawn: The answers by row name.
        queries: Prompts.
    """
    tables = [
        pd.DataFrame(
            {
                "method": row,
                "prompt_index": range(len(queries.texts)),
                "prompt": queries.texts,
                "num_samples": answers.images.shape[1],
                **score_prompts(answers, queries),
            }
        )
        for row, answers in drawn.items()
    ]
    return pd.concat(tables, ignore_index=True)


def time_methods(
    methods: dict[str, Method],
    queries: Queries,
    encoder: Encoder,
    evaluation: EvaluationConfig,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Return seconds of each method, stage and repeat, with machine and protocol.

    Args:
        methods: By row name.
        queries: Prompts.
        encoder: For text and re-ranking.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
        device: `params:device`.
    """
    device = pick_device(device)
    logger.info(
        "Timing %d images of %r.", evaluation.timing_images, evaluation.timing_prompt
    )
    protocol = {
        name: value
        for name, value in asdict(evaluation).items()
        if name.startswith("timing_")
    }
    seconds = time_rows(methods, queries, encoder.to(device), evaluation, seed=seed)
    machine = {"device": device, **describe_machine()}
    return {"machine": machine, "protocol": protocol, "seconds": seconds}


def summarise(
    scores_by_prompt: pd.DataFrame,
    timings: dict[str, Any],
    evaluation: EvaluationConfig,
    seed: int,
) -> pd.DataFrame:
    """Return one row for each method: means, intervals, seconds.

    Args:
        scores_by_prompt: Of `score_samples`.
        timings: Of `time_methods`.
        evaluation: `params:evaluation`.
        seed: `params:seed`.

    Returns:
        For each score its mean, `_low` and `_high`, empty where it does not apply;
        `seconds_` of each stage, their sum `seconds`, and its standard deviation.
    """
    rows: list[dict[str, Any]] = []
    for method, table in scores_by_prompt.groupby("method", sort=False):
        intervals = summarise_scores(
            {name: table[name].to_numpy(float) for name in SCORES},
            num_resamples=evaluation.num_resamples,
            confidence=evaluation.confidence,
            seed=seed,
        )
        row: dict[str, Any] = {"method": method}
        row["num_prompts"], row["num_samples"] = len(table), table["num_samples"].max()
        for name, interval in intervals.items():
            row[name] = interval.mean
            row[f"{name}_low"], row[f"{name}_high"] = interval.low, interval.high
        stages = timings["seconds"].get(method, {})
        row |= {f"seconds_{stage}": np.mean(stages[stage]) for stage in stages}
        if stages:
            totals = np.sum(list(stages.values()), axis=0)  # [timing_repeats]
            row["seconds"], row["seconds_std"] = totals.mean(), totals.std()
        rows.append(row)
    return pd.DataFrame(rows)


def draw_figure(
    drawn: dict[str, Drawn], queries: Queries, evaluation: EvaluationConfig
) -> np.ndarray:
    """Return prompts x methods as a picture, uint8 [h, w, 3].

    Args:
        drawn: The answers by row name.
        queries: Prompts.
        evaluation: `params:evaluation`.

    Returns:
        The first sample of each method; of clip2latent also the best by CLIP.
    """
    prompts = np.arange(min(evaluation.figure_prompts, len(queries.texts)))
    columns = {}
    for row, answers in drawn.items():
        columns[row] = answers.images[prompts, 0]
        if row in evaluation.rows:
            best = best_samples(answers, queries)[prompts]
            columns[f"{row}, best"] = answers.images[prompts, best]
    return draw_comparison([queries.texts[prompt] for prompt in prompts], columns)


def write_report(
    scores: pd.DataFrame,
    timings: dict[str, Any],
    samples_figure: np.ndarray,
    models: dict[str, str],
    judge: Judge | Absent,
    sampling: SamplingConfig,
    evaluation: EvaluationConfig,
    seed: int,
) -> tuple[str, str]:
    """Return the report as HTML, and its table of scores as Markdown.

    Args:
        scores: Of `summarise`.
        timings: Of `time_methods`.
        samples_figure: Of `draw_figure`.
        models: Of `assemble_methods`.
        judge: An empty mapping if there is none.
        sampling: `params:sampling`.
        evaluation: `params:evaluation`.
        seed: `params:seed`.
    """
    packages = ("clip2latent-kedro", "torch", "numpy", "kedro")
    facts = {
        **models,
        "judge": str(judge.identity) if isinstance(judge, Judge) else "none",
        "seed": str(seed),
        "intervals": f"{evaluation.confidence:.0%}, bootstrap over prompts",
        "versions": ", ".join(f"{name} {version(name)}" for name in packages),
    }
    settings = {
        row: asdict(values)
        for row, values in sampling_of_rows(sampling, evaluation.rows).items()
    }
    table = score_cells(scores)
    html = compose_report(table, timings, settings, facts, samples_figure)
    return html, markdown_table(table)
