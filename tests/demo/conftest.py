"""The page of the shipped portraits, open for as long as the tests take."""

import pytest
import torch
from shipped import DIFFUSION, MLP, WEIGHTS, load_portraits, make_checkpoint

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.api.parts import EditingParts
from clip2latent_kedro.api.sources import LoadedModels
from clip2latent_kedro.editing import EditTarget
from clip2latent_kedro.editing.directions.files import load_directions
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.latents import measure_statistics
from clip2latent_kedro.prior.checkpoint import build_prior
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.sharing import read_reference

TARGETS = {
    "smile": EditTarget("a smiling person", "a person", name="smile"),
    "age": EditTarget("an old person", "a young person", name="age"),
}


@pytest.fixture(scope="session")
def portraits():
    """The portraits by an untrained prior, with the directions that are shipped."""
    generator, encoder = load_portraits()
    torch.manual_seed(0)
    w = generator.mapping(torch.randn(500, generator.z_dim))[:, :1]
    settings = {
        "data": {"latent_repeats": [generator.num_ws], "embed_noise_scale": 0.5},
        "model": {"network": MLP, "diffusion": DIFFUSION, "clip_dim": 128},
        "train": {"znorm_latent": True},
    }
    checkpoint = make_checkpoint(
        torch.nn.Identity(),
        measure_statistics(w),
        settings=settings,
        generator_identity=generator.identity,
        encoder_identity=encoder.identity,
    )
    directions = load_directions(WEIGHTS / "directions.safetensors", {})
    references = [
        read_reference({"kind": kind, "filepath": str(WEIGHTS / name)}, WEIGHTS)
        for kind, name in (
            ("stylegan2", "generator.safetensors"),
            ("compact_clip", "clip.safetensors"),
        )
    ]
    models = LoadedModels(
        generator,
        encoder,
        build_prior(checkpoint),
        checkpoint,
        SamplingConfig(sampler="ddim", num_steps=2, guidance_scale=1.0),
        {},
        references,
        find_editing=lambda: EditingParts(directions=directions),
        targets=TARGETS,
        neutral="a person",
        inversion=InversionConfig(
            start="mean", num_steps=20, pixel_weight=1.0, perceptual_weight=0.0
        ),
    )
    return Clip2StyleGAN(models, "cpu")


@pytest.fixture(scope="session")
def opened(portraits, tmp_path_factory):
    """The page and its address."""
    pytest.importorskip("gradio", reason="needs Gradio: uv sync --extra demo")
    from clip2latent_kedro.demo.command import keep_to_ourselves

    keep_to_ourselves(tmp_path_factory.mktemp("brought"))
    from clip2latent_kedro.demo.launching import launch_page
    from clip2latent_kedro.demo.opening import build_page

    page = build_page(portraits)
    address = launch_page(page, host="127.0.0.1", port=None, share=False)
    yield page, address
    page.blocks.close(verbose=False)
