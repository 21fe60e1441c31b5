"""Whole samples of the original implementation, given its weights and its noise."""

from pathlib import Path

import pytest
import torch

from clip2latent_kedro.latents import repeat_latents, truncate
from clip2latent_kedro.prior.checkpoint import prior_from_checkpoint
from clip2latent_kedro.prior.published import read_published
from clip2latent_kedro.samplers import SamplingConfig, choose_sampler

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance"


@pytest.fixture(scope="module")
def prior(golden):
    config = {
        "data": {"latent_repeats": [8]},
        "model": {
            "diffusion": {
                "cond_drop_prob": 0.2,
                "image_embed_scale": 1.0,
                "text_embed_scale": 1.0,
                "predict_x_start": True,
            }
        },
    }
    path = CONFORMANCE / "prior_small64.ckpt"
    return prior_from_checkpoint(read_published(path, config=config))


@pytest.mark.parametrize("psi", [1.0, 0.7])
@pytest.mark.parametrize("guidance_scale", [1.0, 2.0])
def test_four_steps_agree_with_the_original(golden, prior, guidance_scale, psi):
    config = SamplingConfig(
        sampler="ddpm",
        num_steps=4,
        guidance_scale=guidance_scale,
        psi=psi,
        variance="upstream",
    )
    start, *noise = golden["sampler_noise_seq"][:, :, None]

    x0 = choose_sampler(config, prior.alpha_bar)(
        prior.denoiser(golden["embed"], guidance_scale), start, generator=iter(noise)
    )
    w = truncate(prior.statistics.denormalise(x0), prior.w_mean, psi)

    truncated = "_trunc07" if psi < 1 else ""
    expected = golden[f"sample_skip250_scale{guidance_scale}{truncated}"]
    torch.testing.assert_close(
        repeat_latents(w, (expected.shape[1],)), expected, rtol=0, atol=1e-5
    )
