"""One-step students by several objectives, beside their teacher.

Teacher and students answer prompts of the bank with the same noise; `--prompts prompts`
reports what has been chosen on those of the evaluation. Train the prior first.

Example: `python benchmarks/distillation.py energy endpoint
consistency:max_it=3500,teacher_steps=20 --scales 1 2 4`, with settings of
`params:distillation` after a colon.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from prompt_scores import PromptScorer, add_options

from clip2latent_kedro.prior.checkpoint import prior_from_checkpoint
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.prior.distillation.training import distill_prior
from clip2latent_kedro.runtime import describe_machine

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


def rows(
    options: argparse.Namespace, catalog: Any, parameters: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield what is known of each row."""
    scorer = PromptScorer(
        catalog,
        parameters,
        prompts=options.prompts,
        num_prompts=options.num_prompts,
    )
    teacher = catalog.load("prior_checkpoint")
    pairs = catalog.load("training_pairs")
    for name, settings in TEACHER_ROWS.items():
        if name in options.teacher:
            scores = scorer(prior_from_checkpoint(teacher), settings)
            yield {"teacher": name, "prompts": options.prompts, **scores}
    for text in options.students:
        config = read_settings(text, parameters["distillation"])
        for seed in options.seeds:
            began = time.process_time()
            (checkpoint,) = distill_prior(
                teacher, pairs, distillation=config, seed=seed, device="cpu"
            )
            seconds = round(time.process_time() - began, 1)
            student = prior_from_checkpoint(checkpoint)
            known = {
                "student": text,
                "prompts": options.prompts,
                "seed": seed,
                "cpu_seconds": seconds,
            }
            for scale in options.scales:
                scores = scorer(student, {**ONE_STEP, "guidance_scale": scale})
                yield {
                    **known,
                    "guidance_scale": scale,
                    **checkpoint.history[-1],
                    **scores,
                }


def main() -> None:
    """Print one JSON line for the machine, then one for each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("students", nargs="*", help="OBJECTIVE:NAME=VALUE,...")
    parser.add_argument("--teacher", nargs="*", default=list(TEACHER_ROWS))
    parser.add_argument("--scales", nargs="+", type=float, default=[2.0])
    parser.add_argument("--threads", type=int, default=2)
    add_options(parser)
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
