"""The pipeline, run by Kedro on a few pairs."""

import numpy as np
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation.parameter_validator import ParameterValidator
from kedro_datasets.pandas import CSVDataset
from linear_models import make_colour_pairs

from clip2latent_kedro.datasets import CheckpointDataset, PriorDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import DataConfig, summarise_pairs
from clip2latent_kedro.pipelines.training import create_pipeline
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.trainer import Trainer

PARAMETERS = {
    "data": {
        "bs": 16,
        "embed_noise_scale": 0.5,
        "clip_variant": "colour",
        "n_latents": 1,
        "latent_dim": 3,
        "latent_repeats": [2],
    },
    "model": {
        "network": {
            "kind": "mlp",
            "dim": 8,
            "num_timesteps": 20,
            "depth": 1,
            "dim_head": 4,
            "heads": 2,
        },
        "diffusion": {
            "cond_drop_prob": 0.2,
            "image_embed_scale": 1.0,
            "text_embed_scale": 1.0,
            "beta_schedule": "cosine",
            "predict_x_start": True,
        },
    },
    "train": {
        "max_it": 12,
        "val_it": 3,
        "val_pairs": 20,
        "save_it": 5,
        "lr": 1e-2,
        "lr_decay": "cosine",
        "weight_decay": 0.01,
        "ema_update_every": 1,
        "ema_beta": 0.9,
        "ema_power": 1.0,
        "znorm_latent": True,
        "buffer_pairs": 1000,
    },
    "seed": 3,
    "device": "cpu",
    "resume": True,
}


def build(parameters):
    """Build the configs from the annotations of the nodes, as Kedro's session does."""
    return ParameterValidator({"training": create_pipeline()}).validate_raw_params(
        parameters
    )


@pytest.fixture
def steps(monkeypatch):
    """The training steps that were made."""
    made = []
    step = Trainer.step

    def counted(self, x0, clip_embedding, number):
        made.append(number)
        return step(self, x0, clip_embedding, number)

    monkeypatch.setattr(Trainer, "step", counted)
    return made


@pytest.fixture
def run(tmp_path):
    def run(data=None, train=None, **changes):
        parameters = build(
            {
                **PARAMETERS,
                "data": {**PARAMETERS["data"], **(data or {})},
                "train": {**PARAMETERS["train"], **(train or {})},
                **changes,
            }
        )
        pairs = make_colour_pairs()
        path = str(tmp_path / "prior_checkpoint.safetensors")
        catalog = DataCatalog(
            {
                "training_pairs": MemoryDataset(pairs, copy_mode="assign"),
                "latent_statistics": MemoryDataset(summarise_pairs(pairs)),
                "params:data": MemoryDataset(parameters["data"]),
                "params:model.network": MemoryDataset(parameters["model"]["network"]),
                "params:model.diffusion": MemoryDataset(
                    parameters["model"]["diffusion"]
                ),
                "params:train": MemoryDataset(parameters["train"]),
                "params:seed": MemoryDataset(parameters["seed"]),
                "params:device": MemoryDataset("cpu"),
                "params:resume": MemoryDataset(parameters["resume"]),
                "prior_checkpoint": CheckpointDataset(filepath=path),
                "prior_checkpoint_progress": CheckpointDataset(
                    filepath=path, missing_ok=True
                ),
                "prior": PriorDataset(filepath=str(tmp_path / "prior.safetensors")),
                "losses": CSVDataset(
                    filepath=str(tmp_path / "losses.csv"), save_args={"index": False}
                ),
                "losses_plot": MemoryDataset(copy_mode="assign"),
            }
        )
        SequentialRunner().run(create_pipeline(), catalog)
        return catalog

    return run


def test_the_prior_has_the_averaged_weights_and_the_identities_of_the_pairs(run):
    catalog = run()
    checkpoint, prior = catalog.load("prior_checkpoint"), catalog.load("prior")
    assert checkpoint.finished
    weights = prior.network.state_dict()
    assert all(torch.equal(weights[name], checkpoint.ema[name]) for name in weights)
    assert str(prior.generator_identity) == "colours@00"
    assert str(prior.encoder_identity) == "colour-clip@11"
    w = make_colour_pairs().w
    np.testing.assert_allclose(prior.w_mean, w.mean(axis=0), atol=1e-6)
    std = w.std(axis=0, ddof=1)
    np.testing.assert_allclose(prior.statistics.std, std, atol=1e-6)


def test_losses_are_a_table_and_a_figure(run):
    catalog = run()
    losses = catalog.load("losses")
    assert list(losses.columns) == ["step", "loss", "validation_loss"]
    assert losses["step"].tolist() == [3, 5, 6, 9, 10, 12]
    stored = catalog.load("prior_checkpoint").losses
    np.testing.assert_allclose(losses.to_numpy(), stored)
    figure = catalog.load("losses_plot")
    for line, name in zip(
        figure.axes[0].lines, ("loss", "validation_loss"), strict=True
    ):
        np.testing.assert_allclose(line.get_ydata(), losses[name])


def test_a_finished_prior_is_not_trained_again(run, steps):
    first = run().load("prior_checkpoint")
    assert steps == list(range(1, 13))
    again = run().load("prior_checkpoint")
    assert len(steps) == 12
    assert all(torch.equal(first.ema[name], again.ema[name]) for name in first.ema)


def test_another_batch_size_is_trained_after_a_finished_run(run, steps):
    run()
    checkpoint = run(data={"bs": 32}).load("prior_checkpoint")
    assert steps == [*range(1, 13)] * 2
    assert checkpoint.settings["data"]["bs"] == 32


def test_resume_false_starts_afresh_and_gives_the_same_bits(run, steps):
    first = run().load("prior_checkpoint")
    again = run(resume=False).load("prior_checkpoint")
    assert steps == [*range(1, 13)] * 2
    assert all(torch.equal(first.ema[name], again.ema[name]) for name in first.ema)


def test_an_interrupted_run_goes_on_to_the_same_bits(run, steps, monkeypatch):
    whole = run().load("prior_checkpoint")
    counted = Trainer.step

    def interrupted(self, x0, clip_embedding, number):
        if number == 8:
            raise KeyboardInterrupt
        return counted(self, x0, clip_embedding, number)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(resume=False)
    with pytest.raises(InputError, match=r"data.bs \(stored 16, asked 32\)"):
        run(data={"bs": 32})
    steps.clear()
    resumed = run().load("prior_checkpoint")
    assert steps == list(range(6, 13))  # after the checkpoint of step 5
    for part in ("network", "ema"):
        first, second = getattr(whole, part), getattr(resumed, part)
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(whole.losses, resumed.losses)


def test_kedro_builds_the_configs_from_the_annotations():
    built = build(PARAMETERS)
    assert built["data"] == DataConfig(**PARAMETERS["data"])
    assert built["train"] == TrainConfig(**PARAMETERS["train"])
    assert built["model"]["network"].kind == "mlp"
    assert built["model"]["diffusion"].beta_schedule == "cosine"
