import importlib.util
import sys

import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.prior import dalle2
from clip2latent_kedro.prior.checkpoint import (
    prior_from_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from clip2latent_kedro.prior.dalle2 import Dalle2Network
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.schedules import cosine_alpha_bar

from .kinds import needs_dalle2
from .toy import make_network_config, train

DIM = 16


def make_network(**changes):
    settings = {
        "dim": DIM,
        "depth": 2,
        "dim_head": 8,
        "heads": 2,
        "num_timesteps": 20,
        "num_latents": 1,
        "latent_dim": DIM,
        "clip_dim": DIM,
    }
    torch.manual_seed(0)
    return Dalle2Network(**{**settings, **changes}).double().requires_grad_(False)


def random_tensor(*shape):
    return torch.randn(shape, dtype=torch.float64)


@needs_dalle2
def test_only_the_four_tokens_of_the_method():
    network, shapes = make_network(), []
    network.network.causal_transformer.register_forward_hook(
        lambda module, inputs, output: shapes.append(inputs[0].shape)
    )
    network(random_tensor(3, 1, DIM), torch.arange(3), random_tensor(3, DIM), None)
    assert shapes == [(3, 4, DIM)]


@needs_dalle2
def test_agrees_with_the_package_where_no_width_differs():
    network, package = make_network(), make_network().network
    x_t, t, embedding = random_tensor(4, 1, DIM), torch.arange(4), random_tensor(4, DIM)
    shown = package(x_t[:, 0], t, text_embed=embedding)
    hidden = package(x_t[:, 0], t, text_embed=embedding, text_cond_drop_prob=1.0)
    keep = torch.tensor([True, False, False, True])
    torch.testing.assert_close(network(x_t, t, embedding, None)[:, 0], shown)
    mixed = torch.where(keep[:, None], shown, hidden)
    torch.testing.assert_close(network(x_t, t, embedding, keep)[:, 0], mixed)


@needs_dalle2
def test_guidance_hides_the_condition_alone():
    """The package's own guidance forgets the noised latent too; ours must not."""
    network, t = make_network(), 7
    statistics = LatentStatistics(torch.zeros(1, DIM), torch.ones(1, DIM))
    prior = DiffusionPrior(network, cosine_alpha_bar(20), statistics)
    x_t, embedding, steps = (
        random_tensor(4, 1, DIM),
        random_tensor(4, DIM),
        torch.full((4,), t),
    )
    guided = prior.denoiser(embedding, 3.0)(x_t, t)[:, 0]

    inputs = (x_t[:, 0], steps)
    c = network.network(*inputs, text_embed=embedding)
    u = network.network(*inputs, text_embed=embedding, text_cond_drop_prob=1.0)
    torch.testing.assert_close(guided, u + 3 * (c - u))
    theirs = network.network.forward_with_cond_scale(
        *inputs, text_embed=embedding, cond_scale=3.0
    )
    assert (guided - theirs).abs().mean() > 0.01


@needs_dalle2
def test_nothing_is_drawn_from_the_global_generator():
    network, keep = make_network(), torch.tensor([True, False])
    before = torch.get_rng_state()
    inputs = torch.zeros(2, 1, DIM).double(), torch.arange(2), torch.ones(2, DIM)
    network(*inputs[:2], inputs[2].double(), keep)
    assert torch.equal(torch.get_rng_state(), before)


@needs_dalle2
def test_every_trainable_weight_is_trained():
    network = make_network(latent_dim=3, num_latents=2, clip_dim=5, dim=8)
    for name, parameter in network.named_parameters():
        frozen = name.endswith(("null_image_embed", "rotary_emb.freqs"))
        parameter.requires_grad_(not frozen)
    keep = torch.tensor([True, False])
    network(
        random_tensor(2, 2, 3), torch.arange(2), random_tensor(2, 5), keep
    ).square().sum().backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and parameter.numel():
            assert parameter.grad.abs().max() > 0, name


@needs_dalle2
def test_is_trained_stored_and_continued(tmp_path):
    config = make_network_config(kind="dalle2", noise_level_input=True)
    first, *_, last = train(network=config)
    torch.manual_seed(1)  # no global state may matter
    *_, again = train(network=config)
    *_, resumed = train(network=config, start=first)
    for other in (again, resumed):
        for part in ("network", "ema", "optimizer"):
            one, two = getattr(last, part), getattr(other, part)
            assert one.keys() == two.keys()
            assert all(torch.equal(one[key], two[key]) for key in one), part
    start = {key: tensor for key, tensor in first.network.items() if tensor.numel()}
    still = [key for key in start if torch.equal(start[key], last.network[key])]
    assert all(key.endswith(("null_image_embed", "freqs")) for key in still), still

    path = tmp_path / "prior.safetensors"
    write_checkpoint(path, last)
    one, other = map(prior_from_checkpoint, (last, read_checkpoint(path)))
    condition = one.join_condition(torch.randn(4, 4), noise_level=0.5)
    x_t, t = torch.randn(8, 2, 3), torch.arange(4)
    drawn = one.predict_x0(x_t, t, condition)
    assert torch.equal(drawn, other.predict_x0(x_t, t, condition))
    assert drawn.isfinite().all()


def test_package_is_imported_by_the_first_such_network_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "dalle2_pytorch", None)  # as if not installed
    spec = importlib.util.spec_from_file_location("fresh", dalle2.__file__)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    with pytest.raises(
        InputError,
        match=r"kind: dalle2 needs the package dalle2-pytorch 1.x.*use kind: clip2",
    ):
        make_network()
