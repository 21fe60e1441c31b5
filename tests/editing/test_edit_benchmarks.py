"""Benchmarks of edits draw what an edit has made, in w and in S."""

import runpy
from pathlib import Path

import torch
from editing.edits import StyledColours
from world import make_models

from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.latents import Latents

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_judge_sees_edits_of_styles():
    benchmark = runpy.run_path(str(BENCHMARKS / "edit_settings.py"))
    models = EditingModels(models=make_models(generator=StyledColours()))
    w = torch.full((70, 2, 3), -0.5)
    offset = torch.zeros(70, 3)
    offset[66:, 0] = 1.0
    seen = benchmark["classify"](models, Latents(w, offset))
    assert seen[:, 0].tolist() == [0] * 66 + [1] * 4
    assert not benchmark["classify"](models, Latents(w)).any()


def test_errors_of_an_inversion_are_those_of_its_styles():
    benchmark = runpy.run_path(str(BENCHMARKS / "inversion_steps.py"))
    models = EditingModels(models=make_models(generator=StyledColours()))
    config = InversionConfig(
        start="mean", space="s", num_steps=8, lr=0.1, perceptual_weight=0.0
    )
    pictures = torch.full((2, 3, 4, 4), 0.75)
    found = benchmark["follow"](models, pictures, config, 0)
    assert found["error"].shape == (9, 2)
    assert (found["error"][-1] < found["error"][0] / 2).all()
