"""Whole samples of the original implementation, given its weights and its noise."""

from pathlib import Path

import numpy as np
import pytest
import torch

from clip2latent_kedro.latents import LatentStatistics, repeat_latents, truncate
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.transformer import TransformerNetwork
from clip2latent_kedro.samplers import SamplingConfig, sample
from clip2latent_kedro.schedules import cosine_alpha_bar

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance"
EMA = "ema_diffusion_prior.ema_model."
NETWORK = EMA + "net."


@pytest.fixture(scope="module")
def golden():
    path = CONFORMANCE / "prior_small64.golden.npz"
    if not path.exists():
        pytest.skip("no conformance files")
    with np.load(path) as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.fixture(scope="module")
def prior(golden):
    path = CONFORMANCE / "prior_small64.ckpt"
    state = torch.load(path, weights_only=True)["state_dict"]
    network = TransformerNetwork(
        dim=64,
        depth=2,
        dim_head=32,
        heads=4,
        num_timesteps=1000,
        num_latents=1,
        latent_dim=64,
        clip_dim=64,
    )
    weights = {
        name.removeprefix(NETWORK): tensor
        for name, tensor in state.items()
        if name.startswith(NETWORK)
    }
    network.load_state_dict(weights, strict=True)
    statistics = LatentStatistics(
        mean=state[EMA + "latent_mean"][None], std=state[EMA + "latent_std"][None]
    )
    return DiffusionPrior(network, cosine_alpha_bar(1000), statistics)


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

    x0 = sample(
        prior.denoiser(golden["embed"], guidance_scale),
        start,
        prior.alpha_bar,
        config,
        iter(noise),
    )
    w = truncate(prior.statistics.denormalise(x0), prior.w_mean, psi)

    truncated = "_trunc07" if psi < 1 else ""
    expected = golden[f"sample_skip250_scale{guidance_scale}{truncated}"]
    torch.testing.assert_close(
        repeat_latents(w, (expected.shape[1],)), expected, rtol=0, atol=1e-5
    )
