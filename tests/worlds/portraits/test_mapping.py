import torch

from clip2latent_kedro.generators.stylegan2 import MappingNetwork
from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTES,
    Z_DIM,
    sample_z,
    soft_attributes,
)
from clip2latent_kedro.worlds.portraits.mapping import (
    MIN_W_DIM,
    NUM_FEATURES,
    NUM_LAYERS,
    write_mapping,
)


def _mapping(w_dim: int = 64) -> MappingNetwork:
    config = StyleGAN2Config(
        Z_DIM,
        w_dim,
        16,
        64,
        16,
        mapping_layers=NUM_LAYERS,
        mapping_features=NUM_FEATURES,
        mapping_lr=1.0,
    )
    mapping = MappingNetwork(config)
    write_mapping(mapping, make_generator(0))
    return mapping.requires_grad_(False)


def _code(z: torch.Tensor) -> torch.Tensor:
    soft = soft_attributes(z)
    values = [weights - 1 / weights.shape[1] for weights in soft.weights.values()]
    return torch.cat([*values, 0.5 * soft.layout], dim=1)


def test_w_is_the_code_of_the_attributes_in_an_orthonormal_basis():
    """Distances in w are those of codes, wherever no attribute is on an edge."""
    z = sample_z(2048, make_generator(1))
    surest = torch.stack([w.amax(1) for w in soft_attributes(z).weights.values()], 1)
    z = z[surest.amin(1) > 0.999]
    assert len(z) > 1500
    w = _mapping()(z)[:, 0]
    codes = _code(z)
    gain = 2**0.5  # of the last leaky ReLU
    torch.testing.assert_close(
        torch.cdist(w[:256], w[256:512]),
        gain * torch.cdist(codes[:256], codes[256:512]),
        atol=0.02,
        rtol=0.01,
    )


def test_the_last_activation_is_never_in_its_negative_branch():
    assert _mapping()(sample_z(8192, make_generator(2))).min() > 0


def test_it_is_continuous_across_an_edge():
    mapping = _mapping()
    first, second = sample_z(2, make_generator(3))
    path = torch.lerp(first, second, torch.linspace(0, 1, 20_001)[:, None])
    w = mapping(path)[:, 0]
    assert (w[1:] - w[:-1]).norm(dim=1).max() < 0.1
    assert (w[-1] - w[0]).norm() > 1


def test_sizes_follow_the_attributes():
    num_values = sum(len(values) for values in ATTRIBUTES.values())
    assert num_values + 4 == MIN_W_DIM
