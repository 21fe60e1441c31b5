import pytest
import torch

from clip2latent_kedro.latents import (
    LatentCloud,
    group_starts,
    measure_cloud,
    measure_statistics,
    repeat_latents,
    truncate,
)


@pytest.fixture
def w():
    generator = torch.Generator().manual_seed(0)
    return 3 + 2 * torch.randn(500, 2, 5, generator=generator)


def test_statistics_by_hand():
    w = torch.tensor([[[1.0, 10.0]], [[3.0, 10.0]], [[5.0, 16.0]]])

    found = measure_statistics(w)

    torch.testing.assert_close(found.mean, torch.tensor([[3.0, 12.0]]))
    torch.testing.assert_close(found.std, torch.tensor([[2.0, 12.0**0.5]]))


def test_normalising_makes_latents_standard_and_is_undone(w):
    statistics = measure_statistics(w)

    x0 = statistics.normalise(w)

    torch.testing.assert_close(x0.mean(0), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(x0.std(0), torch.ones(2, 5))
    torch.testing.assert_close(statistics.denormalise(x0), w)
    assert statistics.mean.dtype == torch.float32
    assert statistics.normalise(w.double()).dtype == torch.float64


def test_a_constant_channel_survives():
    statistics = measure_statistics(torch.full((4, 1, 3), 7.0))

    x0 = statistics.normalise(torch.full((2, 1, 3), 7.0))

    assert torch.equal(x0, torch.zeros(2, 1, 3))
    assert torch.equal(statistics.denormalise(x0), torch.full((2, 1, 3), 7.0))


@pytest.mark.parametrize("psi", [0.0, 0.5, 0.7, 1.3])
def test_truncation_scales_the_distance_to_the_centre(w, psi):
    centre = torch.linspace(-1, 1, 5)

    found = truncate(w, centre, psi)

    torch.testing.assert_close(found - centre, psi * (w - centre))


def test_w3_groups_start_at_0_4_8():
    """The original read rows 4, 4 and 10, and so [middle, middle, fine]."""
    assert group_starts((4, 4, 10)) == [0, 4, 8]


def test_repeats_fill_the_layers_of_each_group():
    w = torch.tensor([[[1.0], [2.0], [3.0]]])

    found = repeat_latents(w, (4, 4, 10))

    assert found.flatten().tolist() == 4 * [1.0] + 4 * [2.0] + 10 * [3.0]


@pytest.mark.parametrize("latent_repeats", [(18,), (4, 4, 10), (1,) * 18])
def test_grouping_undoes_repeating(latent_repeats):
    w = torch.arange(2.0 * len(latent_repeats) * 3).reshape(2, -1, 3)

    layers = repeat_latents(w, latent_repeats)

    assert torch.equal(layers[:, group_starts(latent_repeats)], w)


@pytest.mark.parametrize("shape", [(4, 512), (4, 2, 512)])
def test_a_row_for_each_group_is_needed(shape):
    with pytest.raises(ValueError, match=r"shape \[n, 3, w_dim\], got \[4, "):
        repeat_latents(torch.zeros(shape), (4, 4, 10))


@pytest.fixture
def skewed():
    """Latents of correlated channels, [2000, 2, 4], in float64."""
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(2000, 2, 4, generator=generator, dtype=torch.float64)
    return 5 + w @ (torch.eye(4) + 0.5 * torch.ones(4, 4).tril(-1)).double()


def test_distance_is_mahalanobis_and_1_for_a_gaussian(skewed):
    cloud = measure_cloud(skewed)
    expected = torch.zeros(len(skewed), dtype=torch.float64)
    for latent in range(2):
        centred = skewed[:, latent] - skewed[:, latent].mean(dim=0)
        precision = torch.linalg.inv(torch.cov(skewed[:, latent].T))
        expected += torch.einsum("nd,de,ne->n", centred, precision, centred)
    found = cloud.distance(skewed)
    torch.testing.assert_close(found, (expected / 8).sqrt(), rtol=1e-5, atol=0)
    assert found.square().mean().item() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("quantile", [0.0, 0.137, 0.5, 0.95, 1.0])
def test_a_radius_holds_its_share_of_the_data(skewed, quantile):
    cloud = measure_cloud(skewed)
    inside = cloud.distance(skewed) <= cloud.radius(quantile) * (1 + 1e-6)
    assert inside.double().mean().item() == pytest.approx(quantile, abs=0.002)


def test_between_stored_quantiles_the_radius_is_straight():
    cloud = LatentCloud(*[torch.ones(1, 1)] * 3, radii=torch.linspace(1, 3, 101) ** 2)
    assert cloud.radius(0.955) == pytest.approx((2.90**2 + 2.92**2) / 2)


def test_a_direction_that_hardly_moves_does_not_count_as_far():
    w = torch.zeros(100, 1, 3)
    w[:, 0, 0] = torch.linspace(-1, 1, 100)
    cloud = measure_cloud(w)
    step = torch.tensor([[[0.0, 0.01, 0.0]]])
    spread = w[:, 0, 0].std()
    expected = 0.01 / (0.1 * spread) / 3**0.5
    torch.testing.assert_close(cloud.distance(cloud.mean + step)[0], expected)


def test_each_latent_can_have_its_own_psi(w):
    centre, psi = torch.zeros(5), torch.linspace(0, 1, len(w))

    found = truncate(w, centre, psi, cutoff=1)

    torch.testing.assert_close(found[:, 0], psi[:, None] * w[:, 0])
    assert torch.equal(found[:, 1], w[:, 1])
