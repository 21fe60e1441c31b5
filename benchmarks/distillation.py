"""One-step students by several objectives, beside their teacher.

Teacher and students answer the evaluation's prompts, or those of the prompt bank, with
the same noise. Train the prior first.

Example: `python benchmarks/distillation.py energy endpoint
consistency:max_it=3500,teacher_steps=20 --scales 1 2 4`, with settings of
`params:distillation` after a colon.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from clip2latent_kedro.evaluation import (
    Clip2Latent,
    EvaluationConfig,
    draw_row,
    read_queries,
    score_prompts,
)
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.checkpoint import prior_from_checkpoint
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.prior.distillation.training import distill_prior
from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

PROJECT = Path(__file__).parents[1]
ONE_STEP = {"sampler": "ddim", "num_steps": 1}
TEACHER_ROWS: dict[str, dict[str, Any]] = {
    "as sampling": {},
    "1000 steps": {"sampler": "ddpm", "num_steps": 1000},
    "1 step": ONE_STEP,
}


def read_settings(text: str, base: dict[str, Any]) -> DistillationConfig:
    """Return what OBJECTIVE:NAME=VALUE,NAME=VALUE stands for, measured at its end."""
    objective, _, rest = text.partition(":")
    changes = dict(item.split("=") for item in rest.split(",") if item)
    values = {name: yaml.safe_load(value) for name, value in changes.items()}
    config = DistillationConfig(**{**base, "objective": objective, **values})
    return replace(config, val_it=config.max_it, save_it=config.max_it)


class Scorer:
    """Scores a prior on prompts."""

    def __init__(self, catalog: Any, parameters: dict[str, Any], prompts: str) -> None:
        """Load the models, and the prompts of that catalog entry."""
        self.sampling = SamplingConfig(**parameters["sampling"])
        self._generator, self._encoder, self._judge = map(
            catalog.load, ("generator", "encoder", "judge")
        )
        self._evaluation = EvaluationConfig(**parameters["evaluation"])
        self._repeats = DataConfig(**parameters["data"]).latent_repeats
        self._seed = parameters["seed"]
        self._queries = read_queries(
            catalog.load(prompts).to_dict("records"),
            self._encoder,
            self._judge.attributes,
            num_prompts=self._evaluation.num_prompts,
        )

    def __call__(
        self, prior: DiffusionPrior, settings: dict[str, Any]
    ) -> dict[str, float]:
        """Return means over the prompts, and the standard deviation among samples."""
        evaluation = self._evaluation
        model = TextToImage(
            self._generator,
            self._encoder,
            prior,
            self._repeats,
            evaluation.latent_batch_size,
            evaluation.image_batch_size,
        )
        drawn = draw_row(
            Clip2Latent(model, replace(self.sampling, **settings)),
            self._queries,
            encoder=self._encoder,
            judge=self._judge,
            num_samples=evaluation.num_samples,
            seed=self._seed,
            image_batch_size=evaluation.image_batch_size,
            stored_image_size=evaluation.stored_image_size,
        )
        scores = score_prompts(drawn, self._queries, prior.cloud, self._repeats)
        w = drawn.w[:, :, 0] / prior.statistics.std[0].numpy()
        scores["w_spread"] = np.sqrt(w.var(axis=1, ddof=1).mean())
        return {name: round(float(np.nanmean(scores[name])), 4) for name in scores}


def rows(
    options: argparse.Namespace, catalog: Any, parameters: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield what is known of each row."""
    scorer = Scorer(catalog, parameters, options.prompts)
    teacher = catalog.load("prior_checkpoint")
    pairs = catalog.load("training_pairs")
    for name, settings in TEACHER_ROWS.items():
        if name in options.teacher:
            scores = scorer(prior_from_checkpoint(teacher), settings)
            yield {"teacher": name, **scores}
    for text in options.students:
        config = read_settings(text, parameters["distillation"])
        for seed in options.seeds:
            began = time.process_time()
            (checkpoint,) = distill_prior(
                teacher, pairs, distillation=config, seed=seed, device="cpu"
            )
            seconds = round(time.process_time() - began, 1)
            student = prior_from_checkpoint(checkpoint)
            known = {"student": text, "seed": seed, "cpu_seconds": seconds}
            yield {**known, "settings": asdict(config), **checkpoint.history[-1]}
            for scale in options.scales:
                scores = scorer(student, {**ONE_STEP, "guidance_scale": scale})
                yield {**known, "guidance_scale": scale, **scores}


def main() -> None:
    """Print one JSON line for the machine, then one for each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("students", nargs="*", help="OBJECTIVE:NAME=VALUE,...")
    parser.add_argument("--teacher", nargs="*", default=list(TEACHER_ROWS))
    parser.add_argument("--scales", nargs="+", type=float, default=[2.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--prompts",
        choices=["prompts", "prompt_bank"],
        default="prompts",
        help="choose settings with the bank: the evaluation stays untouched",
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT) as session:
        context = session.load_context()
        print(json.dumps({"machine": describe_machine()}))
        parameters = context.config_loader["parameters"]
        for row in rows(options, context.catalog, parameters):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
