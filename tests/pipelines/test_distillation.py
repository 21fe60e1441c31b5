"""The pipeline, run by Kedro on a few pairs and a toy teacher."""

import numpy as np
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation.parameter_validator import ParameterValidator
from kedro_datasets.pandas import CSVDataset
from pipelines.world import ENGINES
from prior.toy import make_pairs, train

from clip2latent_kedro.datasets import CheckpointDataset, PriorDataset
from clip2latent_kedro.pipelines.distillation import create_pipeline
from clip2latent_kedro.pipelines.distillation.nodes import plot_distillation_history
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.training.updates import Updates

DISTILLATION = {
    "objective": "energy",
    "max_it": 7,
    "val_it": 3,
    "save_it": 5,
    "bs": 6,
    "num_samples": 2,
    "lr": 1e-2,
    "lr_decay": "none",
    "weight_decay": 0.01,
    "ema_beta": 0.9,
    "ema_power": 1.0,
    "warm_start": True,
    "guidance_range": [1.0, 3.0],
    "mix": 0.5,
    "teacher_steps": 3,
    "pool_batches": 2,
    "pool_uses": 2,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def teacher():
    *_, checkpoint = train()
    return checkpoint


@pytest.fixture
def steps(monkeypatch):
    """The training steps that were made."""
    made = []
    step = Updates.step

    def counted(self, number):
        made.append(number)
        return step(self, number)

    monkeypatch.setattr(Updates, "step", counted)
    return made


@pytest.fixture
def run(tmp_path, teacher):
    def run(resume=True, **changes):
        raw = {
            "distillation": {**DISTILLATION, **changes},
            "seed": 3,
            "resume": resume,
        }
        # Kedro's session builds the config from the annotation of the node.
        built = ParameterValidator({"x": create_pipeline()}).validate_raw_params(raw)
        path = str(tmp_path / "student_checkpoint.safetensors")
        catalog = DataCatalog(
            {
                "prior_checkpoint": MemoryDataset(teacher, copy_mode="assign"),
                "training_pairs": MemoryDataset(make_pairs(), copy_mode="assign"),
                **{f"params:{name}": MemoryDataset(built[name]) for name in raw},
                "engines": MemoryDataset(ENGINES),
                "student_checkpoint": CheckpointDataset(filepath=path),
                "student_checkpoint_progress": CheckpointDataset(
                    filepath=path, missing_ok=True
                ),
                "student": PriorDataset(filepath=str(tmp_path / "student.safetensors")),
                "distillation_history": CSVDataset(
                    filepath=str(tmp_path / "history.csv"), save_args={"index": False}
                ),
                "distillation_plot": MemoryDataset(copy_mode="assign"),
            }
        )
        SequentialRunner().run(create_pipeline(), catalog)
        return catalog

    return run


def test_the_student_has_the_averaged_weights(run):
    catalog = run()
    checkpoint, student = catalog.load("student_checkpoint"), catalog.load("student")
    assert checkpoint.finished
    config = DistillationConfig(**DISTILLATION)
    stored = checkpoint.settings["distillation"]
    assert {name: stored[name] for name in DISTILLATION} == vars(config)
    assert student.condition_inputs == ("guidance_scale",)
    weights = student.network.state_dict()
    assert all(torch.equal(weights[name], checkpoint.ema[name]) for name in weights)


def test_comparisons_are_a_table_and_a_figure(run):
    catalog = run()
    history = catalog.load("distillation_history")
    assert list(history) == ["step", "loss", "validation_loss", "spread"]
    assert history["step"].tolist() == [3, 5, 6, 7]
    rows = catalog.load("student_checkpoint").history
    np.testing.assert_allclose(history.to_numpy(), [list(row.values()) for row in rows])
    figure = catalog.load("distillation_plot")
    for axes, name in zip(figure.axes, ("validation_loss", "spread"), strict=True):
        np.testing.assert_allclose(axes.lines[0].get_ydata(), history[name])


def test_a_history_without_comparisons_has_an_empty_figure(run):
    history = run().load("distillation_history")[["step", "loss"]]
    assert not any(axes.lines for axes in plot_distillation_history(history).axes)


def test_a_finished_student_is_not_trained_again(run, steps):
    first = run().load("student_checkpoint")
    assert steps == list(range(1, 8))
    again = run().load("student_checkpoint")
    assert len(steps) == 7
    afresh = run(resume=False).load("student_checkpoint")
    assert len(steps) == 14
    for other in (again, afresh):
        assert all(torch.equal(first.ema[name], other.ema[name]) for name in first.ema)


def test_an_interrupted_run_goes_on_to_the_same_bits(run, steps, monkeypatch):
    whole = run().load("student_checkpoint")
    counted = Updates.step

    def interrupted(self, number):
        if number == 7:
            raise KeyboardInterrupt
        return counted(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(Updates, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(resume=False)
    steps.clear()
    resumed = run().load("student_checkpoint")
    assert steps == [6, 7]  # after the checkpoint of step 5
    assert all(torch.equal(whole.ema[name], resumed.ema[name]) for name in whole.ema)
    assert whole.history == resumed.history
