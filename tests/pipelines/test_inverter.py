"""The pipeline, run by Kedro in a world of three colours."""

import pytest
import torch
from editing.test_inverter import CONFIG, LargeColours, make_pairs
from pipelines.world import run_pipeline

from clip2latent_kedro.datasets import ModelDataset, WeightsDataset
from clip2latent_kedro.editing.inversion.inverter_training import (
    InverterTrainingConfig,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pipelines.inverter import create_pipeline


@pytest.fixture
def run(tmp_path):
    def run(resume=True, **changes):
        given = {
            "generator": LargeColours(),
            "training_pairs": make_pairs(),
            "params:editing.inverter": InverterTrainingConfig(
                **{**vars(CONFIG), "max_it": 4, "save_it": 2, **changes}
            ),
            "params:seed": 0,
            "params:device": "cpu",
            "params:resume": resume,
        }
        state = {"filepath": str(tmp_path / "state.safetensors")}
        stored = {
            "inverter_progress": WeightsDataset(**state, missing_ok=True),
            "inverter_state": WeightsDataset(**state),
            "inverter_trained": WeightsDataset(
                filepath=str(tmp_path / "inverter.safetensors")
            ),
        }
        return run_pipeline(create_pipeline(), given, stored)

    return run


def test_what_is_trained_is_a_model_of_the_catalog(run, tmp_path):
    catalog = run()
    history = catalog.load("inverter_history")
    assert history["step"].tolist() == [2, 4]
    assert {"loss", "latent", "pixel"} <= set(history.columns)
    assert catalog.load("inverter_training")["training_seconds"] > 0
    path = tmp_path / "inverter.safetensors"
    entry = {"role": "inverter", "kind": "image_inverter", "missing_ok": True}
    inverter = ModelDataset(filepath=str(path), **entry).load()
    assert inverter(torch.zeros(2, 3, 16, 16)).shape == (2, 2, 3)
    assert ModelDataset(filepath=str(tmp_path / "none"), **entry).load() is None

    before = path.read_bytes()
    run()  # trained already
    assert path.read_bytes() == before
    run(lr=0.02)  # finished, so that another may take its place
    assert path.read_bytes() != before


def test_a_training_that_cannot_be_leaves_what_there_was(run, tmp_path):
    run(max_it=2)
    state = tmp_path / "state.safetensors"
    before = state.read_bytes()
    with pytest.raises(InputError, match="must be 701 or more"):
        run(val_pairs=700)
    assert state.read_bytes() == before
