"""The models of the project itself, found through Kedro and without it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.latents import fit_gaussian, measure_statistics
from clip2latent_kedro.prior.checkpoint import (
    Checkpoint,
    build_prior,
    write_checkpoint,
)
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics

WEIGHTS = Path(__file__).parents[2] / "src/clip2latent_kedro/worlds/portraits/weights"
PROMPTS = ["a photograph of an old man with a grey beard", "a young woman"]
NETWORK = {
    "kind": "mlp",
    "dim": 8,
    "num_timesteps": 20,
    "depth": 1,
    "dim_head": 4,
    "heads": 2,
}
DIFFUSION = {
    "cond_drop_prob": 0.2,
    "image_embed_scale": 1.0,
    "text_embed_scale": 1.0,
    "beta_schedule": "cosine",
    "predict_x_start": True,
}
SETTINGS = {
    "generator": {
        "kind": "stylegan2",
        "filepath": str(WEIGHTS / "generator.safetensors"),
    },
    "encoder": {"kind": "compact_clip", "filepath": str(WEIGHTS / "clip.safetensors")},
    "sampling": {"sampler": "ddim", "num_steps": 2, "guidance_scale": 2.0},
}


def make_checkpoint(is_distilled=False):
    """An untrained prior of the portraits."""
    generator = load_generator("stylegan2", WEIGHTS / "generator.safetensors")
    encoder = load_encoder("compact_clip", WEIGHTS / "clip.safetensors", {})
    w = generator.mapping(torch.randn(300, generator.z_dim))[:, :1]
    mean = torch.zeros(encoder.embed_dim)
    embedding = EmbeddingStatistics(mean, 1.0, mean.clone())
    settings = {
        "data": {"latent_repeats": [generator.num_ws], "embed_noise_scale": 0.5},
        "model": {"network": NETWORK, "diffusion": DIFFUSION},
        "train": {"znorm_latent": True},
        **({"distillation": {}} if is_distilled else {}),
    }
    untrained = Checkpoint(
        step=0,
        statistics=measure_statistics(w),
        embedding_statistics=embedding,
        gaussian=fit_gaussian(w),
        generator_identity=generator.identity,
        encoder_identity=encoder.identity,
        settings=settings,
    )
    prior = build_prior(untrained)
    for weight in prior.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return replace(untrained, ema=prior.network.state_dict())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("prior") / "mine.safetensors"
    write_checkpoint(path, make_checkpoint())
    return path


def test_without_kedro_a_mapping_or_a_yaml_file_says_what_to_load(checkpoint, tmp_path):
    model = Clip2StyleGAN(SETTINGS, "cpu", checkpoint)
    images, scores, w = model(PROMPTS, 2, return_w=True)
    assert images.shape == (4, 3, 64, 64)
    assert torch.isfinite(scores).all()
    assert model.text_to_image.prior.embed_noise_scale == 0.5

    for role in ("generator", "encoder"):  # relative to the file, wherever we are
        link = tmp_path / Path(SETTINGS[role]["filepath"]).name
        link.symlink_to(SETTINGS[role]["filepath"])
    relative = {
        role: {**SETTINGS[role], "filepath": Path(SETTINGS[role]["filepath"]).name}
        for role in ("generator", "encoder")
    }
    (tmp_path / "models.yml").write_text(yaml.safe_dump({**SETTINGS, **relative}))
    other = Clip2StyleGAN(tmp_path / "models.yml", "cpu", checkpoint.as_uri())
    assert torch.equal(other(PROMPTS, 2, return_w=True)[2], w)


def test_a_student_takes_a_single_step(tmp_path):
    write_checkpoint(tmp_path / "student", make_checkpoint(is_distilled=True))
    model = Clip2StyleGAN(SETTINGS, "cpu", tmp_path / "student")
    assert (model.sampling.sampler, model.sampling.num_steps) == ("ddim", 1)
    assert model.sampling.guidance_scale == 2.0
    model(PROMPTS)
    with pytest.raises(InputError, match="one step alone, from pure noise, got sampli"):
        model(PROMPTS, skips=5)


def test_a_project_gives_models_sampling_and_bank(project_path, checkpoint):
    named = Clip2StyleGAN(project_path, "cpu", checkpoint, env="test")
    assert named.sampling.num_steps == 4  # of conf/test
    _, _, w = named(PROMPTS, return_w=True)
    share = {"retrieval_share": 1.0, "retrieval_spread": 1, "retrieval_neighbours": 1}
    with pytest.raises(InputError, match="catalog entry training_pairs cannot be load"):
        named(PROMPTS, sampling=share)

    name = "prior.safetensors"
    stored = project_path / "data/test" / name / "2020-01-01T00.00.00.000Z" / name
    stored.parent.mkdir(parents=True)
    stored.write_bytes(checkpoint.read_bytes())
    bank = np.random.default_rng(0).standard_normal((5, 128), np.float32)
    by_default = Clip2StyleGAN(device="cpu", env="test", retrieval_bank=bank)
    assert torch.equal(by_default(PROMPTS, return_w=True)[2], w)
    retrieved = by_default(PROMPTS, sampling=share, return_w=True)[2]
    assert not torch.isclose(retrieved, w).all()

    with pytest.raises(InputError, match=r"prior_best cannot be loaded: .* Run"):
        Clip2StyleGAN(env="test", checkpoint="prior_best")


@pytest.mark.parametrize(
    ("cfg", "place", "message"),
    [
        ({**SETTINGS, "judge": {}}, "x", r"cfg\.judge is not a parameter\."),
        ({"generator": SETTINGS["generator"]}, "x", "cfg.encoder is missing"),
        ({**SETTINGS, "encoder": "clip"}, "x", "cfg.encoder must .* got .clip."),
        (SETTINGS, None, "checkpoint must be a path or an address .* got None"),
        (SETTINGS, "no/such", "a file or an address, got 'no/such', which is none"),
        ("no/such/folder", None, "cfg must be the folder of a Kedro project"),
    ],
)
def test_what_cannot_be_used_is_named(cfg, place, message):
    with pytest.raises(InputError, match=message):
        Clip2StyleGAN(cfg, "cpu", place)


def test_wrong_settings_of_sampling_are_named(checkpoint):
    few = {**SETTINGS, "sampling": {"sampler": "ddim"}}
    with pytest.raises(InputError, match=r"sampling\.num_steps is missing"):
        Clip2StyleGAN(few, "cpu", checkpoint)


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "models.yml").write_text("a: [")
    with pytest.raises(InputError, match=r"models.yml must be a YAML file"):
        Clip2StyleGAN(tmp_path / "models.yml")
    (tmp_path / "models.yml").write_text("just text")
    with pytest.raises(InputError, match="must hold generator, encoder, sampling"):
        Clip2StyleGAN(tmp_path / "models.yml")
