"""A run of the pipeline `evaluation` in a world of three colours."""

import numpy as np
import pandas as pd
import torch
from pipelines.world import DATA, ENGINES, make_searches, run_pipeline
from world import (
    PROMPTS,
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    TurnedEncoder,
    make_colour_pairs,
    make_evaluation,
    make_prior,
    make_sampling,
)

from clip2latent_kedro.datasets import (
    ArrayFolderDataset,
    HTMLReportDataset,
    JsonFolderDataset,
    PicturesDataset,
)
from clip2latent_kedro.latents import fit_gaussian
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.evaluation import create_pipeline

ROWS = ["random_w", "reference", "generator_bound", "nearest_pair", "fast", "slow"]
NOT_FROM_TEXT = ("reference", "generator_bound")
CLOUD = fit_gaussian(torch.from_numpy(make_colour_pairs().w))
SAMPLING = {"mean_shift": 1.0, "retrieval_neighbours": 20, "retrieval_spread": 5}


def make_references():
    """Pictures of each prompt's own colour, but for its length."""
    colours = np.array([[255, 128, 128], [0, 192, 128], [128, 128, 255]], np.uint8)
    return np.broadcast_to(colours[:, None, None, None], (3, 2, 4, 4, 3))


def make_reference_z():
    """z whose colours are those of the prompts, [3, 4, 3]."""
    colours = [[float(n) for n in row["prompt"].split()] for row in PROMPTS]
    return 4 * np.array(colours, np.float32)[:, None].repeat(4, axis=1)


def stored(folder):
    """The catalog entries of what is stored row by row."""
    answers = ArrayFolderDataset(filepath=str(folder / "answers"))
    timed = JsonFolderDataset(filepath=str(folder / "timed"))
    return {
        "answers": answers,
        "answers_progress": answers,
        "timed_rows": timed,
        "timed_rows_progress": timed,
    }


def load_arrays(catalog, name):
    """One array of each row, by row."""
    found = {row: arrays for row, (arrays, _) in catalog.load("answers").items()}
    return {row: found[row][name] for row in ROWS if name in found[row]}


def run_in(folder, *outputs, **changes):
    """Run the pipeline, or what leads to some outputs, on a folder."""
    given = {
        "prompts": pd.DataFrame(PROMPTS).replace("", None),
        "prompt_bank": None,
        "generator": ColourGenerator(),
        "encoder": ColourEncoder(),
        "judge": ColourJudge(),
        "held_out_encoder": TurnedEncoder(),
        "prior": make_prior(0.5, gaussian=CLOUD),
        "prior_best_if_made": make_prior(0.25, gaussian=CLOUD),
        "student": None,
        "training_pairs_if_made": make_colour_pairs(),
        "reference_images": {"images": make_references()},
        "reference_z": {"z": make_reference_z()},
        "lafite": None,
        "clip2gan": None,
        "clip2gan_abstract": None,
        "params:data": DataConfig(**DATA),
        "params:sampling": make_sampling(**SAMPLING),
        "params:baselines.optimisation": make_searches(),
        "params:evaluation": make_evaluation(),
        "params:data_generation.psi": 1.0,
        "params:seed": 5,
        "params:resume": True,
        "params:device": "cpu",
        "engines": ENGINES,
        **changes,
    }
    files = {
        **stored(folder),
        "samples_figure": PicturesDataset(filepath=str(folder / "a.png")),
        "scores_figure": PicturesDataset(filepath=str(folder / "b.png")),
        "tradeoffs_figure": PicturesDataset(filepath=str(folder / "c.png")),
        "scores_report": HTMLReportDataset(filepath=str(folder / "a.html")),
    }
    return run_pipeline(create_pipeline(), given, files, *outputs)
