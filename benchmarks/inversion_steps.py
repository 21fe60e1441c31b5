"""How many steps a start saves the inversion of a picture.

    uv run python benchmarks/inversion_steps.py
    uv run python benchmarks/inversion_steps.py --pictures 16 --seed 1 --json

Pictures are samples of the generator, which it can draw exactly, and renders of the
evaluation's prompts (`reference_images`), which it can not. Each is inverted by the
projector of StyleGAN2-ADA, 500 steps from the mean of w, and by the settings of
`params:editing.inversion` from each start. All minimise the same distance, perceptual
loss and pixels as those parameters weigh them, so that their errors compare. Printed
are the error after some steps, as the median over pictures with its quartiles, and of
each picture the first step at which it has reached its goal, the error of its 500
steps. The models are those of the catalog: run the pipelines data_generation and
training first.
"""

import argparse
import json
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.editing.inversion.config import ADA_PROJECTOR, InversionConfig
from clip2latent_kedro.editing.inversion.distance import make_distance
from clip2latent_kedro.editing.inversion.invert import prepare_pictures
from clip2latent_kedro.editing.inversion.projector import measure_spread, project
from clip2latent_kedro.editing.inversion.starts import STARTS
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.images import uint8_to_image
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.runtime import describe_machine, make_generator

PROJECT = Path(__file__).parents[1]
SHOWN = (0, 10, 25, 50, 75, 100, 200, 300, 500)
PROJECTOR = "projector, 500 steps"


def load_models() -> tuple[EditingModels, InversionConfig, np.ndarray]:
    """Return models and settings of the catalog, and renders, uint8 [n, h, w, 3]."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(PROJECT)
    logging.disable(logging.INFO)
    with KedroSession.create(PROJECT) as session:
        catalog = session.load_context().catalog
        data = catalog.load("params:data")
        encoder = catalog.load("encoder")
        models = Models(
            generator=catalog.load("generator"),
            encoder=encoder,
            embedder=encoder,
            latent_repeats=data.latent_repeats,
            latent_batch_size=256,
            image_batch_size=64,
            priors={"prior": catalog.load("prior")},
            sampling=catalog.load("params:sampling"),
        )
        editing = EditingModels(
            models=models,
            perceptual=catalog.load("perceptual"),
            image_inverter=catalog.load("image_inverter"),
        )
        config = catalog.load("params:editing.inversion")
        renders = catalog.load("reference_images")["images"][:, 0]
    return editing, config, renders


def follow(
    models: EditingModels, pictures: Tensor, config: InversionConfig, seed: int
) -> dict[str, Any]:
    """Return the errors of each picture after each step, and what they took.

    Returns:
        `error` and `pixel_rmse`, [num_steps + 1, n]; and seconds of a picture, of the
        start and of a step.
    """
    generator, num_steps = models.generator, config.num_steps
    distance = make_distance(models.perceptual, config)
    spread = measure_spread(generator, device=models.device)
    began = time.process_time()
    start = STARTS[config.start](
        pictures, models, distance, config, spread=spread, seed=seed
    )
    started = time.process_time() - began
    wanted = distance.features(pictures)
    errors, pixels, measuring = [], [], 0.0
    began = time.process_time()
    for latents in project(
        generator, distance, pictures, start, config, spread=spread, seed=seed
    ):
        paused = time.process_time()
        with torch.no_grad():
            image = synthesise_latents(generator, latents)
            errors.append(distance.between(image, wanted))
            square = (image - pictures).square().mean(dim=(1, 2, 3))
            pixels.append(square.sqrt() / 2)
        measuring += time.process_time() - paused
    spent = time.process_time() - began - measuring
    return {
        "error": torch.stack(errors).numpy(),
        "pixel_rmse": torch.stack(pixels).numpy(),
        "start_seconds": started / len(pictures),
        "step_seconds": spent / len(pictures) / num_steps,
    }


def compare(
    models: EditingModels, pictures: Tensor, config: InversionConfig, seed: int
) -> dict[str, dict[str, Any]]:
    """Return what `follow` does of each way, the projector's first."""
    ways = {
        PROJECTOR: replace(
            ADA_PROJECTOR,
            num_steps=500,
            perceptual_weight=config.perceptual_weight,
            pixel_weight=config.pixel_weight,
        ),
        "from the mean": replace(config, start="mean"),
        "from the prior": replace(config, start="prior"),
    }
    if models.image_inverter is not None:
        ways["from the encoder"] = replace(config, start="encoder")
    return {name: follow(models, pictures, way, seed) for name, way in ways.items()}


def first_steps(errors: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Return the first step at which a picture's error is at its goal, [n]; inf: none.

    Args:
        errors: [num_steps + 1, n].
        goal: [n].
    """
    reached = errors <= goal
    return np.where(reached.any(axis=0), reached.argmax(axis=0), np.inf)


def summarise(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the numbers of the table for each way."""
    goal = found[PROJECTOR]["error"][-1]
    rows = {}
    for name, one in found.items():
        quartiles = {
            step: np.quantile(one["error"][step], [0.5, 0.25, 0.75]).tolist()
            for step in SHOWN
            if step < len(one["error"])
        }
        steps = first_steps(one["error"], goal)
        rows[name] = {
            "error": quartiles,
            "pixel_rmse": float(np.median(one["pixel_rmse"][-1])),
            "steps_to_goal": float(np.median(steps)),
            "worst_steps_to_goal": float(steps.max()),
            "share_in_100": float((steps <= 100).mean()),
            "median_goal_in": float(
                first_steps(
                    np.median(one["error"], axis=1)[:, None], np.median(goal)[None]
                )[0]
            ),
            "start_ms": 1000 * one["start_seconds"],
            "step_ms": 1000 * one["step_seconds"],
        }
    return rows


def main() -> None:
    """Invert, and print a table for each kind of pictures."""
    options = _parse_arguments()
    models, config, renders = load_models()
    z = torch.randn(
        options.pictures,
        models.generator.z_dim,
        generator=make_generator(options.seed, "inversion_steps"),
    )
    with torch.no_grad():
        samples = models.generator.synthesis(models.generator.mapping(z))
    given = uint8_to_image(torch.from_numpy(renders[: options.pictures]))
    report: dict[str, Any] = {"settings": vars(options), "machine": describe_machine()}
    for name, pictures in (("samples", samples), ("renders", given)):
        fitted = prepare_pictures(pictures.clamp(-1, 1), models)
        found = compare(models, fitted, config, options.seed)
        report[name] = summarise(found)
        if not options.json:
            print(f"{len(fitted)} {name} of the seed {options.seed}\n")
            print(f"{_table(report[name])}\n", flush=True)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print(json.dumps(report["machine"]))


def _table(rows: dict[str, dict[str, Any]]) -> str:
    steps = [step for step in SHOWN if step <= 500]
    head = [
        *("error after step", *map(str, steps), "pixel RMSE", "steps to the goal"),
        *("slowest", "within 100", "medians meet at", "start, step (CPU ms)"),
    ]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, row in rows.items():
        cells = []
        for step in steps:
            if step in row["error"]:
                median, low, high = row["error"][step]
                cells.append(f"{median:.4f} ({low:.4f}-{high:.4f})")
            else:
                cells.append("")
        lines.append(
            [
                name,
                *cells,
                f"{row['pixel_rmse']:.4f}",
                f"{row['steps_to_goal']:.0f}",
                f"{row['worst_steps_to_goal']:.0f}",
                f"{row['share_in_100']:.0%}",
                f"{row['median_goal_in']:.0f}",
                f"{row['start_ms']:.0f}, {row['step_ms']:.0f}",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=16, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="JSON, not Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    main()
