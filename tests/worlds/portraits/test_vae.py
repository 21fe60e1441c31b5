import pytest
import torch
from safetensors.torch import save_file

from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.worlds.portraits.attributes import sample_z
from clip2latent_kedro.worlds.portraits.generator import face_weight, image_loss
from clip2latent_kedro.worlds.portraits.renderer import render
from clip2latent_kedro.worlds.portraits.vae import (
    FlowTrainingConfig,
    Vae,
    VaeTrainingConfig,
    averaged_vae,
    encode_renders,
    export_vae,
    flow_task,
    vae_task,
)
from clip2latent_kedro.worlds.training import train_model

TINY = VaeTrainingConfig(
    latent_dim=6,
    channels=[16, 8],
    beta=1e-3,
    steps=4,
    batch_size=8,
    lr=2e-3,
    save_every=2,
)
FLOW = FlowTrainingConfig(
    width=16, depth=1, num_codes=300, steps=4, batch_size=32, lr=2e-3, save_every=2
)


@pytest.fixture(scope="module")
def trained():
    *_, state = train_model("vae", vae_task, TINY, seed=0, device="cpu")
    return state


def fit_flow(trained, config=FLOW):
    given = trained, TINY
    *_, flow = train_model("vae_flow", flow_task, config, *given, seed=0, device="cpu")
    return flow


def test_codes_start_as_the_principal_axes_of_weighted_thumbnails(trained):
    model = averaged_vae(trained, TINY)
    image = render(sample_z(4096, make_generator(1)), resolution=16)
    local = torch.nn.functional.avg_pool2d(image, 4)
    pixels = (local * face_weight(local)).flatten(1)
    codes = model.encoder.thumbnail(pixels)
    # Uncorrelated, of unit size, and the largest of all directions first.
    torch.testing.assert_close(codes.T.cov(), torch.eye(6), atol=0.15, rtol=0)
    variances = torch.linalg.eigvalsh(pixels.T.cov()).flip(0)[:6]
    along = pixels @ torch.nn.functional.normalize(model.encoder.thumbnail.weight).T
    torch.testing.assert_close(along.var(dim=0), variances, rtol=0.1, atol=0)


def test_the_loss_is_that_of_the_picture_and_the_divergence():
    torch.manual_seed(0)
    model = Vae(TINY)
    image = render(sample_z(5, make_generator(2)), resolution=16)
    noise = torch.randn(5, 6)
    mean, log_variance = model.encoder(image)
    code = torch.distributions.Normal(mean, (log_variance / 2).exp())
    normal = torch.distributions.Normal(0.0, 1.0)
    divergence = torch.distributions.kl_divergence(code, normal).sum(1).mean()
    picture = image_loss(model.decoder(mean + noise * code.scale), image)
    torch.testing.assert_close(model(image, noise, 0.3), picture + 0.3 * divergence)


def test_it_learns_to_draw_a_render_again():
    changes = {"steps": 60, "batch_size": 16, "save_every": 5}
    config = VaeTrainingConfig(**{**vars(TINY), **changes})
    *_, last = train_model("vae", vae_task, config, seed=0, device="cpu")
    losses = [row["loss"] for row in last.history]
    assert sum(losses[-2:]) / 2 < 0.75 * losses[0]


def test_a_flow_carries_the_normal_to_the_codes(trained, tmp_path):
    """Mean and covariance of transported z are those of codes with their noise."""
    config = FlowTrainingConfig(
        width=32,
        depth=1,
        num_codes=2000,
        steps=300,
        batch_size=256,
        lr=1e-2,
        save_every=300,
    )
    flow = fit_flow(trained, config)
    mean, log_variance = encode_renders(trained, TINY, 2000, 0, "cpu")
    weights, metadata = export_vae(trained, flow, TINY, config)
    assert all(value.dtype == torch.float16 for value in weights.values())
    expected = mean.T.cov() + torch.diag(log_variance.exp().mean(dim=0))
    z = torch.randn(4000, 6, generator=make_generator(3))
    save_file(weights, tmp_path / "vae.safetensors", metadata)
    w = load_generator("vae", tmp_path / "vae.safetensors").mapping(z)[:, 0]
    size = expected.diag().sqrt()
    torch.testing.assert_close(w.mean(0) / size, mean.mean(0) / size, atol=0.2, rtol=0)
    ratio = w.T.cov() / size / size[:, None]
    torch.testing.assert_close(ratio, expected / size / size[:, None], atol=0.3, rtol=0)


def test_what_is_exported_draws_what_was_trained(trained, tmp_path):
    flow = fit_flow(trained)
    weights, metadata = export_vae(trained, flow, TINY, FLOW)
    save_file(weights, tmp_path / "vae.safetensors", metadata)
    generator = load_generator("vae", tmp_path / "vae.safetensors")
    assert generator.resolution == 16
    model = averaged_vae(trained, TINY)
    w = torch.randn(4, 1, 6)
    torch.testing.assert_close(
        generator.synthesis(w), model.decoder(w[:, 0]), atol=5e-3, rtol=5e-3
    )
