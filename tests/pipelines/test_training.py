"""The pipeline, run by Kedro on a few pairs."""

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation.parameter_validator import ParameterValidator
from kedro_datasets.pandas import CSVDataset
from pipelines.world import ENGINES
from world import (
    PROMPTS,
    ColourEncoder,
    ColourGenerator,
    make_colour_pairs,
)

from clip2latent_kedro.datasets import (
    CheckpointDataset,
    NpzDataset,
    PriorDataset,
    ValidationPicturesDataset,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import fit_gaussian
from clip2latent_kedro.pairs import DataConfig, summarise_pairs
from clip2latent_kedro.pipelines.training import create_pipeline
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.training.updates import Updates

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
        "best_by": "text_score_g2",
        "save_it": 5,
        "lr": 1e-2,
        "lr_decay": "cosine",
        "warmup_it": 0,
        "weight_decay": 0.01,
        "clip_grad": None,
        "accumulate": 1,
        "precision": "float32",
        "compile": False,
        "ema_update_every": 1,
        "ema_beta": 0.9,
        "ema_power": 1.0,
        "znorm_latent": True,
        "buffer_pairs": 1000,
    },
    "validation": {
        "num_images": 3,
        "num_prompts": 2,
        "num_samples": 2,
        "guidance_scales": [1.0, 2.0],
    },
    "sampling": {"sampler": "ddim", "num_steps": 2, "guidance_scale": 1.0},
    "data_generation": {
        "n_samples": 200,
        "batch_size": 4,
        "out_image_size": None,
        "psi": 1.0,
        "samples_per_shard": 100,
        "save_images": False,
        "dtype": "float32",
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
    step = Updates.step

    def counted(self, number):
        made.append(number)
        return step(self, number)

    monkeypatch.setattr(Updates, "step", counted)
    return made


@pytest.fixture
def run(tmp_path):
    def run(data=None, train=None, prompt_bank=None, encoder=None, **changes):
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
                "generator": MemoryDataset(ColourGenerator(), copy_mode="assign"),
                "encoder": MemoryDataset(
                    encoder or ColourEncoder(), copy_mode="assign"
                ),
                "prompt_bank": MemoryDataset(
                    pd.DataFrame(PROMPTS) if prompt_bank is None else prompt_bank
                ),
                "training_pairs": MemoryDataset(pairs, copy_mode="assign"),
                "latent_statistics": MemoryDataset(summarise_pairs(pairs)),
                "text_mean": NpzDataset(filepath=str(tmp_path / "text_mean.npz")),
                "validator": MemoryDataset(copy_mode="assign"),
                "params:data": MemoryDataset(parameters["data"]),
                "params:model.network": MemoryDataset(parameters["model"]["network"]),
                "params:model.diffusion": MemoryDataset(
                    parameters["model"]["diffusion"]
                ),
                "params:train": MemoryDataset(parameters["train"]),
                **{
                    f"params:{name}": MemoryDataset(parameters[name])
                    for name in ("validation", "sampling", "data_generation", "seed")
                },
                "engines": MemoryDataset(ENGINES),
                "params:device": MemoryDataset("cpu"),
                "params:resume": MemoryDataset(parameters["resume"]),
                "prior_checkpoint": CheckpointDataset(filepath=path),
                "prior_checkpoint_progress": CheckpointDataset(
                    filepath=path, missing_ok=True
                ),
                "validation_pictures": ValidationPicturesDataset(
                    filepath=str(tmp_path / "validation_pictures")
                ),
                "prior": PriorDataset(filepath=str(tmp_path / "prior.safetensors")),
                "prior_best": PriorDataset(
                    filepath=str(tmp_path / "prior_best.safetensors"), which="best"
                ),
                "training_history": CSVDataset(
                    filepath=str(tmp_path / "training_history.csv"),
                    save_args={"index": False},
                ),
                "training_plot": MemoryDataset(copy_mode="assign"),
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
    w = make_colour_pairs().w[:-20]  # of 200, without those to validate with
    np.testing.assert_allclose(prior.w_mean, w.mean(axis=0), atol=1e-6)
    std = w.std(axis=0, ddof=1)
    np.testing.assert_allclose(prior.statistics.std, std, atol=1e-6)
    gaussian = fit_gaussian(torch.from_numpy(w))
    torch.testing.assert_close(prior.gaussian.mean, gaussian.mean)
    torch.testing.assert_close(prior.gaussian.radii, gaussian.radii)
    embedding = make_colour_pairs().clip_embedding[:-20]
    norm = np.linalg.norm(embedding, axis=1, keepdims=True)
    statistics = prior.embedding_statistics
    np.testing.assert_allclose(statistics.mean, (embedding / norm).mean(0), atol=1e-6)
    assert statistics.norm == pytest.approx(norm.mean())


SCORES = ["image_similarity", "text_score_g1", "text_score_g2"]


def test_history_is_a_table_and_a_figure_of_losses_and_scores(run):
    catalog = run()
    history = catalog.load("training_history")
    assert list(history.columns) == ["step", "loss", "validation_loss", *SCORES]
    assert history["step"].tolist() == [3, 5, 6, 9, 10, 12]
    is_validated = history["step"].isin([3, 6, 9, 12])
    for name in SCORES:
        assert history[name].notna().tolist() == is_validated.tolist()
    stored = pd.DataFrame(catalog.load("prior_checkpoint").history)
    np.testing.assert_allclose(history.to_numpy(), stored.to_numpy())

    panels = catalog.load("training_plot").axes
    shown = [[line.get_label() for line in panel.lines] for panel in panels]
    assert shown == [["loss", "validation_loss"], SCORES]
    for line in [*panels[0].lines, *panels[1].lines]:
        values = history[line.get_label()].dropna()
        np.testing.assert_allclose(line.get_ydata(), values)
        np.testing.assert_allclose(line.get_xdata(), history["step"][values.index])


def test_the_best_prior_is_the_average_of_the_best_step(run):
    every = {"max_it": 15, "lr": 0.3, "lr_decay": "none"}
    catalog = run(train=every)
    checkpoint, prior = catalog.load("prior_checkpoint"), catalog.load("prior_best")
    scores = catalog.load("training_history").set_index("step")["text_score_g2"]
    assert checkpoint.best_step == scores.idxmax() < 15
    # Training that ends there ends with the same average.
    ended = run(train={**every, "max_it": checkpoint.best_step}, resume=False)
    expected = ended.load("prior").network.state_dict()
    for name, weight in prior.network.state_dict().items():
        assert torch.equal(weight, expected[name])


def test_prior_knows_the_mean_of_all_texts_of_the_bank(run):
    prior = run().load("prior")
    directions = torch.tensor([[1, 0, 0], [-(0.8**0.5), 0.2**0.5, 0], [0, 0, 1]])
    torch.testing.assert_close(
        prior.embedding_statistics.text_mean, directions.mean(dim=0)
    )


def test_there_may_be_no_texts_and_no_validation(run):
    catalog = run(prompt_bank={}, train={"val_pairs": 0})
    assert catalog.load("text_mean") == {}
    assert catalog.load("prior").embedding_statistics.text_mean is None
    assert list(catalog.load("training_history").columns) == ["step", "loss"]
    assert catalog.load("validation_pictures") == {}
    assert catalog.load("prior_checkpoint").best_step == 0
    last, best = (catalog.load(name) for name in ("prior", "prior_best"))
    for name, weight in last.network.state_dict().items():
        assert torch.equal(best.network.state_dict()[name], weight)


class TextlessEncoder(ColourEncoder):
    def encode_text(self, texts):
        raise InputError("There are no texts here.")


def test_an_encoder_may_know_no_text(run):
    catalog = run(
        encoder=TextlessEncoder(),
        prompt_bank={},
        train={"best_by": "image_similarity"},
        validation={**PARAMETERS["validation"], "num_prompts": 0},
    )
    history = catalog.load("training_history").set_index("step")
    assert list(history.columns) == ["loss", "validation_loss", "image_similarity"]
    best = history["image_similarity"].idxmax()
    assert catalog.load("prior_checkpoint").best_step == best
    assert list(catalog.load("validation_pictures")) == [3, 6, 9, 12]


def test_every_validation_leaves_a_picture_until_a_fresh_run(run):
    pictures = run().load("validation_pictures")
    assert list(pictures) == [3, 6, 9, 12]
    for read in pictures.values():
        assert read().shape == (
            2 * round(128 * 2.45),  # two texts; two rows of images
            round(128 * (2.2 + 4)),  # two scales, two samples
            3,
        )
    assert list(run(train={"val_it": 4}).load("validation_pictures")) == [3, 6, 9, 12]
    fresh = run(train={"val_it": 4}, resume=False)
    assert list(fresh.load("validation_pictures")) == [4, 8, 12]


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
    counted = Updates.step

    def interrupted(self, number):
        if number == 8:
            raise KeyboardInterrupt
        return counted(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(Updates, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(resume=False)
    with pytest.raises(InputError, match=r"data.bs \(stored 16, asked 32\)"):
        run(data={"bs": 32})
    steps.clear()
    resumed = run().load("prior_checkpoint")
    assert steps == list(range(6, 13))  # after the checkpoint of step 5
    for part in ("network", "ema", "best"):
        first, second = getattr(whole, part), getattr(resumed, part)
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert whole.history == resumed.history
    assert whole.best_step == resumed.best_step
    assert list(run().load("validation_pictures")) == [3, 6, 9, 12]


def test_kedro_builds_the_configs_from_the_annotations():
    built = build(PARAMETERS)
    assert built["data"] == DataConfig(**PARAMETERS["data"])
    assert built["train"] == TrainConfig(**PARAMETERS["train"])
    assert built["model"]["network"].kind == "mlp"
    assert built["model"]["diffusion"].beta_schedule == "cosine"
