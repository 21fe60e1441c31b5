import pytest
import torch

from clip2latent_kedro.prior.network import build_network

from .kinds import KINDS
from .toy import make_network_config


def build(kind, **changes):
    torch.manual_seed(0)
    config = make_network_config(kind=kind, **changes)
    network = build_network(config, num_latents=2, latent_dim=3, clip_dim=5)
    for parameter in network.parameters():  # also those that start at zero
        torch.nn.init.normal_(parameter, std=0.3)
    return network.double().requires_grad_(False)


def random_tensor(*shape):
    return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_equals_single(kind):
    network = build(kind)
    x_t, t, condition = random_tensor(6, 2, 3), torch.arange(6), random_tensor(6, 5)
    keep = torch.tensor([True, False] * 3)
    batch = network(x_t, t, condition, keep)
    single = [
        network(x_t[[i]], t[[i]], condition[[i]], keep[[i]]) for i in range(len(x_t))
    ]
    torch.testing.assert_close(batch, torch.cat(single))


@pytest.mark.parametrize("kind", KINDS)
def test_a_condition_may_hold_for_several_latents_in_a_row(kind):
    network = build(kind)
    x_t, t, condition = (
        random_tensor(6, 2, 3),
        torch.tensor([3, 8]),
        random_tensor(2, 5),
    )
    for keep in (None, torch.tensor([True, False])):
        own = [
            None if rows is None else rows.repeat_interleave(3, dim=0)
            for rows in (t, condition, keep)
        ]
        shared = network(x_t, t, condition, keep)
        torch.testing.assert_close(shared, network(x_t, *own))


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_condition_is_not_seen(kind):
    network = build(kind)
    x_t, t, hide = random_tensor(4, 2, 3), torch.arange(4), torch.zeros(4).bool()
    one, other = random_tensor(2, 4, 5)
    assert torch.equal(network(x_t, t, one, hide), network(x_t, t, other, hide))
    shown = network(x_t, t, one, None)
    torch.testing.assert_close(shown, network(x_t, t, one, ~hide))
    assert (shown - network(x_t, t, one, hide)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_every_latent_depends_on_every_input(kind):
    """Also where the condition is hidden: guidance must not lose the noised latent."""
    network = build(kind)
    x_t, t = random_tensor(1, 2, 3).requires_grad_(), torch.tensor([7])
    clip_embedding = random_tensor(1, 5).requires_grad_()
    hidden = network(x_t, t, clip_embedding, torch.tensor([False]))
    shown = network(x_t, t, clip_embedding, None)
    assert (network(x_t, t + 1, clip_embedding, None) != shown).all()
    for latent in range(2):
        (of_x_t,) = torch.autograd.grad(hidden[0, latent].sum(), x_t, retain_graph=True)
        assert of_x_t.abs().min() > 0
        gradients = torch.autograd.grad(
            shown[0, latent].sum(), [x_t, clip_embedding], retain_graph=True
        )
        assert all(gradient.abs().min() > 0 for gradient in gradients)


def test_mlp_sees_only_the_direction_of_the_condition():
    network = build("mlp")
    x_t, t, condition = random_tensor(4, 2, 3), torch.arange(4), random_tensor(4, 5)
    scaled = network(x_t, t, 10 * condition, None)
    torch.testing.assert_close(scaled, network(x_t, t, condition, None))


def test_new_mlp_predicts_the_mean():
    network = build_network(make_network_config(), 2, 3, 5)
    out = network(torch.randn(4, 2, 3), torch.arange(4), torch.randn(4, 5), None)
    assert torch.equal(out, torch.zeros(4, 2, 3))
