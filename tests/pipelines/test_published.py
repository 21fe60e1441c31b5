"""A published checkpoint in a project: adopted, drawn from, exported again."""

import json
import logging

import pytest
import torch
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError
from prior.published_toys import EMA, average_buffers
from shipped import load_portraits, make_portraits_checkpoint

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.datasets import PriorDataset, PublishedDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.published.nodes import export_published
from clip2latent_kedro.prior.adoption import adopt_prior
from clip2latent_kedro.prior.published import read_published, write_published

PROMPT = "a photograph of an old man with a grey beard"


def run(project_path, pipeline, **parameters):
    bootstrap_project(project_path)
    with KedroSession.create(
        project_path, env="test", runtime_params=parameters
    ) as session:
        session.run(pipeline_names=[pipeline])


def name_checkpoint(project_path, place):
    path = project_path / "conf/test/globals.yml"
    settings = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**settings, "published_checkpoint": str(place)}))


def make_data(**changes):
    settings = {
        "bs": 1,
        "embed_noise_scale": 1.0,
        "clip_variant": "portraits",
        "n_latents": 1,
        "latent_dim": 128,
        "latent_repeats": [10],
    }
    return DataConfig(**{**settings, **changes})


def test_it_becomes_the_prior_and_goes_out_again(project_path, tmp_path):
    published = tmp_path / "elsewhere" / "paper.ckpt"
    write_published(make_portraits_checkpoint(), published)
    averaged = average_buffers(published, num_updates=200)
    name_checkpoint(project_path, published)
    run(project_path, "published")
    (folder,) = (project_path / "data/test/prior.safetensors").iterdir()
    prior = PriorDataset(filepath=str(folder / "prior.safetensors")).load()
    generator, encoder = load_portraits()
    assert prior.generator_identity == generator.identity
    assert prior.encoder_identity == encoder.identity
    assert prior.gaussian.mean.shape == (1, 128)
    assert prior.embedding_statistics is None

    run(project_path, "inference", inference={"prompts": PROMPT, "num_samples": 2})
    assert len(list((project_path / "data/test/inference/pictures").iterdir())) == 2

    run(project_path, "export")
    export = project_path / "data/test/export"
    exported, original = (
        read_published(path) for path in (export / "prior.ckpt", published)
    )
    assert exported.ema.keys() == original.ema.keys()
    for name, weight in original.ema.items():
        assert torch.equal(exported.ema[name], weight), name
    assert exported.settings == original.settings
    again = torch.load(export / "prior.ckpt", weights_only=True)["state_dict"]
    for key in (k for k in averaged if k.startswith(EMA)):
        assert torch.equal(again[key], averaged[key]), key
    config = json.loads((export / "pretrained/config.json").read_text())
    assert config["generator"]["identity"]["digest"] == generator.identity.digest
    images = Clip2StyleGAN.from_pretrained(export / "pretrained", "cpu")([PROMPT])[0]
    expected = Clip2StyleGAN(device="cpu", env="test")([PROMPT])[0]
    assert torch.equal(images, expected)


def test_a_prior_without_a_place_in_the_format_is_left_out(tmp_path, caplog):
    checkpoint = make_portraits_checkpoint()
    assert export_published(checkpoint) is checkpoint
    checkpoint.settings["distillation"] = {"lr": 0.1}
    with caplog.at_level(logging.INFO):
        absent = export_published(checkpoint)
    assert "There will be no published_export. The published format" in caplog.text
    PublishedDataset(filepath=str(tmp_path / "export" / "prior.ckpt")).save(absent)
    assert list(tmp_path.iterdir()) == []


def test_without_a_checkpoint_the_environment_is_to_name_one():
    with pytest.raises(DatasetError, match=r"Set published_checkpoint in its globals"):
        PublishedDataset(filepath=None).load()


def test_the_gaussian_is_that_of_the_generators_w(caplog):
    checkpoint = make_portraits_checkpoint()
    models = load_portraits()
    with caplog.at_level(logging.WARNING):
        adopted = adopt_prior(checkpoint, *models, make_data(), seed=0, device="cpu")
        assert not caplog.records
        other = make_portraits_checkpoint(w_offset=1.0)
        adopt_prior(other, *models, make_data(), seed=0, device="cpu")
    assert "it is likely another generator" in caplog.text
    w = models[0].mapping(torch.randn(4000, models[0].z_dim))[:, :1]
    inside = adopted.gaussian.distance(w) <= adopted.gaussian.radius(0.9)
    assert inside.float().mean().item() == pytest.approx(0.9, abs=0.03)
    assert adopted.statistics is checkpoint.statistics


def test_without_normalisation_the_mean_is_measured():
    checkpoint = make_portraits_checkpoint(w_offset=9.0)
    checkpoint.settings["train"]["znorm_latent"] = False
    adopted = adopt_prior(
        checkpoint, *load_portraits(), make_data(), seed=0, device="cpu"
    )
    offset = checkpoint.statistics.mean - adopted.statistics.mean
    torch.testing.assert_close(offset, torch.full_like(offset, 9.0), rtol=0, atol=0.2)


@pytest.mark.parametrize(
    ("of_file", "of_data", "message"),
    [
        ({"latent_repeats": [18]}, {}, r"data.latent_repeats to be \[18\], got \[10\]"),
        ({}, {"latent_repeats": [9]}, "must add up to the 10 layers of stylegan2"),
        ({}, {"latent_dim": 64}, "latent_dim must be the width of w of stylegan2"),
    ],
)
def test_sizes_must_agree(of_file, of_data, message):
    checkpoint = make_portraits_checkpoint()
    checkpoint.settings["data"] |= of_file
    with pytest.raises(InputError, match=message):
        adopt_prior(
            checkpoint, *load_portraits(), make_data(**of_data), seed=0, device="cpu"
        )


def test_the_embedding_must_be_as_wide():
    checkpoint = make_portraits_checkpoint()
    checkpoint.settings["model"]["clip_dim"] = 512
    with pytest.raises(InputError, match=r"width of compact_clip/clip to be 512, got"):
        adopt_prior(checkpoint, *load_portraits(), make_data(), seed=0, device="cpu")


def test_the_entry_takes_addresses_and_finds_the_yaml_there(tmp_path):
    path = tmp_path / "there" / "paper.ckpt"
    write_published(make_portraits_checkpoint(), path)
    dataset = PublishedDataset(
        filepath=path.as_uri(), download={"cache_folder": str(tmp_path / "cache")}
    )
    assert dataset.exists()
    assert dataset.load().settings == read_published(path).settings
    assert set(dataset.fetch_files()) == {"checkpoint"}
    with pytest.raises(DatasetError, match="written to a path or an object"):
        PublishedDataset(filepath="https://x.org/a.ckpt").save(dataset.load())
    assert not PublishedDataset(filepath=None).exists()
    assert PublishedDataset(filepath=None).fetch_files() == {}
    assert dataset._describe() == {
        "filepath": path.as_uri(),
        "config": None,
        "buffers": "as_stored",
    }


def test_the_entry_takes_the_average_of_constants_or_the_constants(tmp_path):
    path = tmp_path / "paper.ckpt"
    write_published(make_portraits_checkpoint(), path)
    average_buffers(path, num_updates=200)
    for buffers in ("as_stored", "exact"):
        read = PublishedDataset(filepath=str(path), buffers=buffers).load()
        assert bool(read.buffers) == (buffers == "as_stored")
    with pytest.raises(DatasetError, match="must be as_stored or exact, got 'none'"):
        PublishedDataset(filepath=str(path), buffers="none").load()
