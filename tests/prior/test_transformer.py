import pytest
import torch

from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.transformer import TransformerNetwork, distance_bucket
from clip2latent_kedro.schedules import cosine_alpha_bar

TOLERANCE = {"rtol": 0, "atol": 1e-5}


def make_network(**changes):
    settings = {
        "dim": 64,
        "depth": 2,
        "dim_head": 32,
        "heads": 4,
        "num_timesteps": 1000,
        "num_latents": 1,
        "latent_dim": 64,
        "clip_dim": 64,
    }
    torch.manual_seed(0)
    return TransformerNetwork(**{**settings, **changes}).requires_grad_(False)


def load_published(state_dict, copy):
    prefix = f"ema_diffusion_prior.{copy}.net."
    weights = {
        key.removeprefix(prefix): tensor
        for key, tensor in state_dict.items()
        if key.startswith(prefix)
    }
    network = make_network()
    network.load_state_dict(weights, strict=True)
    statistics = LatentStatistics(torch.zeros(1, 64), torch.ones(1, 64))
    return DiffusionPrior(network, cosine_alpha_bar(1000), statistics)


@pytest.mark.parametrize(
    ("copy", "name"), [("ema_model", "net_cond"), ("online_model", "net_cond_online")]
)
def test_published_weights_give_the_original_outputs(published, golden, copy, name):
    prior = load_published(published, copy)
    x_t = golden["x_t"][:, None]
    x0 = prior.predict_x0(x_t, golden["t"], golden["embed"])
    torch.testing.assert_close(x0[:, 0], golden[name], **TOLERANCE)


def test_hidden_condition_gives_the_original_outputs(published, golden):
    prior = load_published(published, "ema_model")
    x_t, keep = golden["x_t"][:, None], torch.zeros(4, dtype=torch.bool)
    for embedding in (golden["embed"], torch.randn(4, 64)):
        x0 = prior.predict_x0(x_t, golden["t"], embedding, keep)
        torch.testing.assert_close(x0[:, 0], golden["net_uncond"], **TOLERANCE)


@pytest.mark.parametrize("scale", [1.0, 2.0, 3.5])
def test_guidance_gives_the_original_outputs(published, golden, scale):
    prior = load_published(published, "ema_model")
    for row, t in enumerate(golden["t"].tolist()):
        rows = slice(row, row + 1)
        denoise = prior.denoiser(golden["embed"][rows], scale)
        x0 = denoise(golden["x_t"][rows, None], t)
        expected = golden[f"net_scale_{scale}"][rows]
        torch.testing.assert_close(x0[:, 0], expected, **TOLERANCE)


def test_loss_and_forward_process_are_the_original_ones(published, golden):
    prior = load_published(published, "ema_model")
    x0, noise, t = golden["x0"][:, None], golden["noise"][:, None], golden["t"]
    x_t = prior.q_sample(x0, t, noise)
    torch.testing.assert_close(x_t[:, 0], golden["q_sample"], **TOLERANCE)
    loss = prior.loss(x0, golden["embed"], t=t, noise=noise, keep=None)
    torch.testing.assert_close(loss.double(), golden["p_losses_nodrop"], **TOLERANCE)


def test_every_latent_depends_on_every_input():
    network = make_network(num_latents=3, latent_dim=5, clip_dim=7)
    x_t = torch.randn(1, 3, 5, requires_grad=True)
    clip_embedding = torch.randn(1, 7, requires_grad=True)
    out = network(x_t, torch.tensor([10]), clip_embedding, None)
    assert out.shape == (1, 3, 5)
    for latent in range(3):
        gradients = torch.autograd.grad(
            out[0, latent].sum(), [x_t, clip_embedding], retain_graph=True
        )
        assert all(gradient.abs().min() > 0 for gradient in gradients)


def test_earlier_tokens_do_not_see_later_ones():
    network = make_network()
    tokens = torch.randn(1, 4, 64)
    changed = tokens.clone()
    changed[:, 2:] += torch.randn(2, 64)
    before = network.causal_transformer(tokens, None, 4)
    after = network.causal_transformer(changed, None, 4)
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert (before[:, 2:] - after[:, 2:]).abs().mean() > 0.1


def test_computing_the_last_tokens_only_changes_nothing():
    network = make_network()
    tokens, keep = torch.randn(3, 6, 64), torch.tensor([True, False, True])
    every = network.causal_transformer(tokens, keep, 6)
    last = network.causal_transformer(tokens, keep, 2)
    torch.testing.assert_close(last, every[:, -2:])


def test_distance_buckets():
    """Exact to 15, then 16 log steps to 128 (Raffel et al. 2020, section 2.1)."""
    distances = torch.tensor([-3, 0, 1, 15, 16, 17, 127, 128, 1000])
    expected = [0, 0, 1, 15, 16, 16, 31, 31, 31]
    assert distance_bucket(distances).tolist() == expected
