import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.network import NETWORKS, build_network

from .toy import make_network_config


def build(kind, **changes):
    torch.manual_seed(0)
    config = make_network_config(kind=kind, **changes)
    network = build_network(config, num_latents=2, latent_dim=3, clip_dim=5)
    for parameter in network.parameters():  # also those that start at zero
        torch.nn.init.normal_(parameter, std=0.3)
    return network.requires_grad_(False)


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_batch_equals_single(kind):
    network = build(kind)
    x_t, t = torch.randn(6, 2, 3), torch.arange(6)
    condition = torch.randn(6, 5)
    keep = torch.tensor([True, False] * 3)
    batch = network(x_t, t, condition, keep)
    single = [
        network(x_t[[i]], t[[i]], condition[[i]], keep[[i]]) for i in range(len(x_t))
    ]
    torch.testing.assert_close(batch, torch.cat(single))


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_hidden_condition_is_not_seen(kind):
    network = build(kind)
    x_t, t, hide = torch.randn(4, 2, 3), torch.arange(4), torch.zeros(4).bool()
    one, other = torch.randn(2, 4, 5)
    assert torch.equal(network(x_t, t, one, hide), network(x_t, t, other, hide))
    shown = network(x_t, t, one, None)
    torch.testing.assert_close(shown, network(x_t, t, one, ~hide))
    assert (shown - network(x_t, t, one, hide)).abs().max() > 1e-3


def test_mlp_sees_only_the_direction_of_the_condition():
    network = build("mlp")
    x_t, t, condition = torch.randn(4, 2, 3), torch.arange(4), torch.randn(4, 5)
    scaled = network(x_t, t, 10 * condition, None)
    torch.testing.assert_close(scaled, network(x_t, t, condition, None))


def test_new_mlp_predicts_the_mean():
    network = build_network(make_network_config(), 2, 3, 5)
    out = network(torch.randn(4, 2, 3), torch.arange(4), torch.randn(4, 5), None)
    assert torch.equal(out, torch.zeros(4, 2, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "unet"}, "network.kind must be one of clip2latent, mlp, got 'unet'"),
        ({"depth": 0}, "network.depth must be 1 or more, got 0"),
        ({"dim_head": 7}, "network.dim_head must be even"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        make_network_config(**changes)
