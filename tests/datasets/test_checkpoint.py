"""A checkpoint is stored as a whole; the prior is its averaged network."""

from dataclasses import replace

import pytest
import torch
from kedro.io import DatasetError, Version
from shipped import DIFFUSION, MLP, make_checkpoint

from clip2latent_kedro.datasets import CheckpointDataset, PriorDataset
from clip2latent_kedro.errors import MissingError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics, measure_cloud
from clip2latent_kedro.prior.checkpoint import build_prior, read_checkpoint
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig


@pytest.fixture
def checkpoint():
    statistics = LatentStatistics(torch.ones(1, 4), torch.full((1, 4), 2.0))
    embedding_statistics = EmbeddingStatistics(torch.zeros(3), 5.0)
    identities = {
        "generator_identity": Identity("g", "00"),
        "encoder_identity": Identity("e", "11"),
    }
    prior = build_prior(
        NetworkConfig(**MLP),
        DiffusionConfig(**DIFFUSION),
        statistics,
        embedding_statistics,
        znorm_latent=True,
        **identities,
    )
    network = prior.network.state_dict()
    settings = {
        "data": {"embed_noise_scale": 0.5, "latent_repeats": [4]},
        "model": {"network": MLP, "diffusion": DIFFUSION},
        "train": {"max_it": 10, "znorm_latent": True},
    }
    checkpoint = make_checkpoint(
        prior.network,
        statistics,
        ema={name: value + 1 for name, value in network.items()},
        optimizer={"exp_avg.0": torch.ones(2)},
        best={name: value + 2 for name, value in network.items()},
        best_step=3,
        history=[{"step": 3, "loss": 0.5}, {"step": 5, "loss": 0.25}],
        embedding_statistics=embedding_statistics,
        cloud=measure_cloud(torch.randn(20, 1, 4)),
        settings=settings,
        **identities,
    )
    return replace(checkpoint, network=network)


def test_round_trip_and_overwrite(tmp_path, checkpoint):
    path = tmp_path / "new" / "prior.safetensors"
    dataset = CheckpointDataset(filepath=str(path))
    assert str(dataset._describe()["filepath"]) == str(path)
    dataset.save(checkpoint)
    dataset.save(checkpoint)
    loaded = dataset.load()
    assert (loaded.step, loaded.settings) == (5, checkpoint.settings)
    assert (loaded.best_step, loaded.history) == (3, checkpoint.history)
    for group in ("network", "ema", "optimizer", "best"):
        torch.testing.assert_close(getattr(loaded, group), getattr(checkpoint, group))


def test_only_a_finished_run_exists(tmp_path, checkpoint):
    dataset = CheckpointDataset(filepath=str(tmp_path / "prior.safetensors"))
    assert not dataset.exists()
    dataset.save(checkpoint)
    assert not dataset.exists()
    checkpoint.settings["train"]["max_it"] = 5
    dataset.save(checkpoint)
    assert dataset.exists()


def test_missing(tmp_path):
    path = str(tmp_path / "prior.safetensors")
    with pytest.raises(DatasetError) as caught:
        CheckpointDataset(filepath=path).load()
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize(("which", "added"), [("ema", 1), ("best", 2)])
def test_prior_is_an_averaged_network_and_versioned(tmp_path, checkpoint, which, added):
    path = str(tmp_path / "prior.safetensors")
    version = Version(None, "2025-01-01T00.00.00.000Z")
    PriorDataset(filepath=path, which=which, version=version).save(checkpoint)
    dataset = PriorDataset(filepath=path, version=Version(None, None))
    assert str(dataset._describe()["filepath"]) == path
    assert dataset.exists()
    prior = dataset.load()
    expected = {name: value + added for name, value in checkpoint.network.items()}
    torch.testing.assert_close(dict(prior.network.state_dict()), expected)
    torch.testing.assert_close(prior.statistics.std, torch.full((1, 4), 2.0))


def test_prior_file_holds_one_set_of_weights(tmp_path, checkpoint):
    path = tmp_path / "prior.safetensors"
    PriorDataset(filepath=str(path), which="best").save(checkpoint)
    stored = read_checkpoint(path)
    assert (stored.step, stored.network, stored.optimizer, stored.best) == (
        3,
        {},
        {},
        {},
    )


def test_prior_missing(tmp_path):
    path = str(tmp_path / "prior.safetensors")
    dataset = PriorDataset(filepath=path, made_by="distillation")
    assert not dataset.exists()
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, MissingError)
    message = f"There is no prior at {path}. Run the pipeline distillation first."
    assert str(caught.value.__cause__) == message
