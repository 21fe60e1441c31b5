"""Checkpoints of the original project through `Clip2StyleGAN`."""

import json
from dataclasses import replace

import open_clip
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from prior.published_toys import average_buffers
from shipped import PORTRAITS, WEIGHTS, make_portraits_checkpoint

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.published import published_config, write_published
from clip2latent_kedro.sharing import read_folder, write_folder

PROMPTS = ["a photograph of an old man with a grey beard", "a young woman"]
SETTINGS = {
    **PORTRAITS,
    "sampling": {"sampler": "ddpm", "num_steps": 4, "guidance_scale": 2.0},
}
UPSTREAM = {**SETTINGS, "sampling": {**SETTINGS["sampling"], "variance": "upstream"}}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "paper.ckpt"
    write_published(make_portraits_checkpoint(), path)
    return path


@pytest.fixture(scope="module")
def expected(published):
    """w of the same model with settings of our own."""
    return Clip2StyleGAN(SETTINGS, "cpu", published)(PROMPTS, 2, return_w=True)[2]


def test_a_checkpoint_by_path_or_address_with_its_yaml_beside_it(published, expected):
    model = Clip2StyleGAN(SETTINGS, "cpu", published.as_uri())
    assert torch.equal(model(PROMPTS, 2, return_w=True)[2], expected)
    prior = model.text_to_image.prior
    assert prior.generator_identity == model.text_to_image.generator.identity
    automatic = {"truncation": "auto", "truncation_quantile": 0.5}
    w = model(PROMPTS, 2, sampling=automatic, return_w=True)[2]
    assert prior.gaussian.distance(w[:, :1]).max() <= prior.gaussian.radius(0.5) * 1.001


def test_the_yaml_may_be_somewhere_else(published, expected, tmp_path):
    alone = tmp_path / "alone.ckpt"
    content = torch.load(published, weights_only=True)
    torch.save({"state_dict": content["state_dict"]}, alone)
    with pytest.raises(InputError, match=r"alone\.ckpt does not say"):
        Clip2StyleGAN(SETTINGS, "cpu", alone)
    cfg = {**SETTINGS, "config": str(published.with_suffix(".yaml"))}
    (tmp_path / "models.yml").write_text(yaml.safe_dump(cfg))
    model = Clip2StyleGAN(tmp_path / "models.yml", "cpu", alone)
    assert torch.equal(model(PROMPTS, 2, return_w=True)[2], expected)


def test_the_original_call_with_the_original_yaml(published, expected, tmp_path):
    """Every timestep without guidance, unless the call says otherwise."""
    original = published_config(make_portraits_checkpoint())
    original["data"] |= {
        "sg_pkl": "models/generator.safetensors",
        "clip_variant": str(WEIGHTS / "clip.safetensors"),
    }
    original |= {"device": "cuda:0", "wandb_project": "clip2latent", "resume": None}
    original["model"]["diffusion"]["timesteps"] = "${model.network.num_timesteps}"
    original["unused"] = "${oc.env:NO_SUCH_VARIABLE}"
    (tmp_path / "models").symlink_to(WEIGHTS)
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump(original))
    model = Clip2StyleGAN(str(tmp_path / "paper.yaml"), "cpu", published)
    assert (model.sampling.num_steps, model.sampling.guidance_scale) == (20, 1.0)
    w = model(PROMPTS, 2, 2.0, 1.0, 5, return_w=True)[2]
    reference = Clip2StyleGAN(UPSTREAM, "cpu", published)(PROMPTS, 2, return_w=True)
    assert torch.equal(w, reference[2])
    del original["data"]["sg_pkl"]
    with pytest.raises(InputError, match=r"must name the generator as data.sg_pkl, go"):
        Clip2StyleGAN(original, "cpu", published)


def test_buffers_that_an_average_has_rounded(published, expected, tmp_path):
    path = tmp_path / "paper.ckpt"
    write_published(make_portraits_checkpoint(), path)
    average_buffers(path)
    exact = Clip2StyleGAN(SETTINGS, "cpu", path, published_buffers="exact")
    assert torch.equal(exact(PROMPTS, 2, return_w=True)[2], expected)
    as_stored = Clip2StyleGAN(SETTINGS, "cpu", path)(PROMPTS, 2, return_w=True)[2]
    assert 0 < (as_stored - expected).abs().max() < 0.1
    with pytest.raises(InputError, match="must be as_stored or exact, got 'stored'"):
        Clip2StyleGAN(SETTINGS, "cpu", path, published_buffers="stored")


def test_a_configuration_may_be_an_object_of_omegaconf(published, expected):
    own = OmegaConf.create(SETTINGS)
    overrides = OmegaConf.create({"guidance_interval": [0.0, 1.0]})
    model = Clip2StyleGAN(own, "cpu", published)
    w = model(PROMPTS, 2, sampling=overrides, return_w=True)[2]
    assert torch.equal(w, expected)


@pytest.mark.parametrize(
    ("variant", "model"),
    [
        ("ViT-B/32", "ViT-B-32"),
        ("ViT-B/16", "ViT-B-16"),
        ("ViT-L/14", "ViT-L-14"),
        ("ViT-L/14@336px", "ViT-L-14-336"),
        ("RN50x64", "RN50x64"),
    ],
)
def test_a_clip_variant_is_openais_name(variant, model):
    from clip2latent_kedro.api.original import read_original

    cfg = {"data": {"sg_pkl": "https://x.org/g.pkl", "clip_variant": variant}}
    settings = read_original({**cfg, "model": {}}, WEIGHTS)
    options = {"model": f"{model}-quickgelu", "pretrained": "openai"}
    assert (options["model"], "openai") in open_clip.list_pretrained()
    assert settings["encoder"] == {"kind": "open_clip", "options": options}
    assert settings["generator"]["filepath"] == "https://x.org/g.pkl"
    assert settings["sampling"]["num_steps"] == 1000


@pytest.mark.parametrize("include", [(), ("generator", "encoder")])
def test_a_saved_model_gives_the_same_images_bit_for_bit(published, tmp_path, include):
    model = Clip2StyleGAN(SETTINGS, "cpu", published)
    model.save_pretrained(tmp_path / "saved", include=include, licence="mit")
    folder = (tmp_path / "saved").rename(tmp_path / "moved")
    again = Clip2StyleGAN.from_pretrained(folder, "cpu")
    assert again.sampling == model.sampling
    for one, other in zip(model(PROMPTS, 2), again(PROMPTS, 2), strict=True):
        assert torch.equal(one, other)

    again.save_pretrained(tmp_path / "twice", include=include)
    twice = Clip2StyleGAN.from_pretrained(tmp_path / "twice", "cpu")
    assert torch.equal(twice(PROMPTS)[0], model(PROMPTS)[0])
    inside = sorted(path.name for path in folder.iterdir())
    assert inside == sorted(["README.md", "config.json", "model.safetensors", *include])


def test_a_saved_model_edits_by_the_directions_that_it_had(published, tmp_path):
    model = Clip2StyleGAN(SETTINGS, "cpu", published)
    generator = model.text_to_image.generator
    offset = torch.randn(1, generator.w_dim, generator=torch.Generator().manual_seed(0))
    own = {"generator": generator.identity.digest}
    directions = {
        "smile": Direction("smile", offset, own, layers=(2, 3)),
        "given": Direction("given", -offset),
        "foreign": Direction("foreign", offset, {"generator": "of another"}),
    }
    shared = model._models.to_shared(model.sampling)
    write_folder(tmp_path, replace(shared, directions=directions))
    again = Clip2StyleGAN.from_pretrained(tmp_path, "cpu")
    found = read_folder(tmp_path).directions
    assert found.keys() == {"smile", "given"}
    assert torch.equal(found["smile"].offset, offset)
    assert [*found["smile"].layers] == [2, 3]
    assert "given, smile" in (tmp_path / "README.md").read_text()
    plain = again(PROMPTS, return_w=True)[2]
    w = again(PROMPTS, edit="smile", edit_strength=1.5, return_w=True)[2]
    expected = plain.clone()
    expected[:, 2:4] += 1.5 * offset
    torch.testing.assert_close(w, expected)

    again.save_pretrained(tmp_path / "twice")  # they are passed on
    assert read_folder(tmp_path / "twice").directions.keys() == {"smile", "given"}
    write_folder(tmp_path, shared)  # and those of an earlier model do not stay
    assert read_folder(tmp_path).directions == {}


def test_the_card_says_what_it_is(published, tmp_path):
    model = Clip2StyleGAN(SETTINGS, "cpu", published)
    model.save_pretrained(tmp_path, include=["encoder"], licence="mit")
    _, front, body = (tmp_path / "README.md").read_text().split("---\n", 2)
    header = yaml.safe_load(front)
    assert header["license"] == "mit"
    assert header["pipeline_tag"] == "text-to-image"
    assert {"clip2latent", "stylegan2"} <= set(header["tags"])
    generator = model.text_to_image.generator.identity
    assert (
        f"| generator | {generator} (`{WEIGHTS / 'generator.safetensors'}`) |" in body
    )
    assert "(`encoder/clip.safetensors`) |" in body
    assert "| latents | 1 of width 128, for [10] layers |" in body


def test_what_is_no_saved_model_is_named(published, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"lacks config\.json"):
        Clip2StyleGAN.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="owner/name, got 'nowhere', which is no fold"):
        Clip2StyleGAN.from_pretrained("nowhere")
    model = Clip2StyleGAN(SETTINGS, "cpu", published)
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    for spoilt, message in (
        ("{", "must be a JSON file"),
        ("[]", "must be of the format"),
        ('{"format": "x"}', "must be of the format clip2latent_kedro.model/1, got 'x'"),
        (json.dumps({"format": config["format"]}), "is not as this project writes it"),
    ):
        path.write_text(spoilt)
        with pytest.raises(InputError, match=message):
            Clip2StyleGAN.from_pretrained(tmp_path)
    config["generator"]["identity"]["digest"] = "0" * 64
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="saved with the generator stylegan2@0000"):
        Clip2StyleGAN.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="include must name generator or encoder, got"):
        model.save_pretrained(tmp_path, include=["prior"])


def test_nothing_is_fetched_or_sent_where_that_is_forbidden(published, monkeypatch):
    monkeypatch.setenv("CLIP2LATENT_OFFLINE", "1")
    with pytest.raises(InputError, match=r"owner/name is no folder here, .*OFFLINE=1"):
        Clip2StyleGAN.from_pretrained("owner/name")
    model = Clip2StyleGAN(SETTINGS, "cpu", published)
    with pytest.raises(InputError, match=r"cannot be uploaded where CLIP2LATENT_OFFL"):
        model.push_to_hub("owner/name")
