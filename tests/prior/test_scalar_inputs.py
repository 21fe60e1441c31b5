import pytest
import torch
from torch import nn

from clip2latent_kedro.prior.network import build_network
from clip2latent_kedro.prior.scalar_inputs import ScalarInputs, scalar_features

from .kinds import KINDS
from .toy import make_network_config

CLIP_DIM = 5


class Recorder(nn.Module):
    """Keeps the condition that it is given."""

    def forward(self, x_t, t, condition, keep, told):
        self.condition, self.keep, self.told = condition, keep, told
        return x_t


def build(kind, *, num_scalars=2, is_random=True):
    torch.manual_seed(0)
    config = make_network_config(kind=kind)
    network = build_network(config, 2, 3, CLIP_DIM, num_scalars)
    for name, parameter in network.named_parameters():
        if is_random or not name.startswith("project."):
            nn.init.normal_(parameter, std=0.3)
    return network.double().requires_grad_(False)


def network_dim(kind):
    return make_network_config(kind=kind).dim


def embedding_weight(network):
    """Return the layer that reads the embedding."""
    names = ("embed_condition", "project_condition")
    return next(getattr(network, name) for name in names if hasattr(network, name))


def random_tensor(*shape):
    return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_new_inputs_change_nothing(kind):
    """So a network can take over the weights of one without them."""
    network = build(kind, is_random=False)
    x_t, t, embedding = (
        random_tensor(4, 2, 3),
        torch.arange(4),
        random_tensor(4, CLIP_DIM),
    )
    condition = torch.cat([embedding, 10 * random_tensor(4, 2)], dim=1)
    for keep in (None, torch.tensor([True, False, True, False])):
        bare = network.network(x_t, t, embedding, keep)
        assert torch.equal(network(x_t, t, condition, keep), bare)


@pytest.mark.parametrize("kind", KINDS)
def test_every_column_reaches_every_latent(kind):
    network = build(kind)
    condition = random_tensor(1, CLIP_DIM + 2).requires_grad_()
    out = network(random_tensor(1, 2, 3), torch.tensor([7]), condition, None)
    for latent in range(2):
        (gradient,) = torch.autograd.grad(
            out[0, latent].sum(), condition, retain_graph=True
        )
        assert gradient.abs().min() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_reaches_the_new_weights_from_the_start(kind):
    network = build(kind, is_random=False).requires_grad_(True)
    inputs = random_tensor(4, 2, 3), torch.arange(4), random_tensor(4, CLIP_DIM + 2)
    network(*inputs, None).square().sum().backward()
    assert network.project.weight.grad.abs().max() > 0
    nn.init.normal_(network.project.weight)  # as if after one step
    network(*inputs, None).square().sum().backward()
    assert network.embed.weight.grad.abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_are_embedding_and_scalars_alike(kind):
    network = build(kind)
    x_t, t, condition = (
        random_tensor(4, 2, 3),
        torch.arange(4),
        random_tensor(4, CLIP_DIM + 2),
    )
    hide = torch.zeros(4, dtype=torch.bool)
    hidden = network(x_t, t, condition, hide)
    assert torch.equal(network(x_t, t, random_tensor(4, CLIP_DIM + 2), hide), hidden)
    other = torch.cat([condition[:, :CLIP_DIM], random_tensor(4, 2)], dim=1)
    shown = network(x_t, t, condition, None)
    assert (network(x_t, t, other, None) - shown).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_condition_may_hold_for_several_latents_in_a_row(kind):
    network = build(kind)
    x_t, t, condition = (
        random_tensor(6, 2, 3),
        torch.tensor([3, 8]),
        random_tensor(2, CLIP_DIM + 2),
    )
    keep = torch.tensor([True, False])
    own = [rows.repeat_interleave(3, dim=0) for rows in (t, condition, keep)]
    torch.testing.assert_close(network(x_t, t, condition, keep), network(x_t, *own))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1e-3, 1e3])
def test_told_vectors_of_any_length_leave_the_embedding_where_it_is(kind, length):
    """An MLP normalises its embedding: what is told may not come before that."""
    network = build(kind).network
    x_t, t = random_tensor(2, 2, 3), torch.tensor([3, 8])
    told = length * random_tensor(2, network_dim(kind))
    embedding, weight = random_tensor(2, CLIP_DIM), embedding_weight(network)
    seen = []
    hook = weight.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    network(x_t, t, embedding, None, told)
    network(x_t, t, embedding, None)
    hook.remove()
    assert torch.equal(*seen)


def test_scalars_reach_the_network_beside_the_embedding():
    """told = W silu(V features + b) + c, and the embedding as it is."""
    recorder = Recorder()
    network = ScalarInputs(recorder, clip_dim=3, dim=4, num_scalars=1)
    nn.init.normal_(network.project.weight)
    embedding, scalar = torch.tensor([[3.0, 0.0, 4.0]]), torch.tensor([[0.7]])
    keep = torch.tensor([True])
    condition = torch.cat([embedding, scalar], dim=1)
    network(torch.zeros(1, 1, 3), torch.zeros(1), condition, keep)
    hidden = network.embed(scalar_features(scalar))
    torch.testing.assert_close(
        recorder.told, network.project(hidden * hidden.sigmoid())
    )
    assert torch.equal(recorder.condition, embedding)
    assert recorder.keep is keep


def test_features_are_the_scalar_and_its_angles():
    """Each scalar s: s, cos(f s), sin(f s) for f from 0.5 to 16, evenly in log f."""
    scalars = torch.tensor([[0.0, 2.0], [1.5, -1.0]], dtype=torch.float64)
    features = scalar_features(scalars).view(2, 2, 33)
    f = 0.5 * 32 ** (torch.arange(16, dtype=torch.float64) / 15)
    assert float(f[-1]) == pytest.approx(16)
    torch.testing.assert_close(features[..., 0], scalars)
    torch.testing.assert_close(features[..., 1:17], (f * scalars[..., None]).cos())
    torch.testing.assert_close(features[..., 17:], (f * scalars[..., None]).sin())
