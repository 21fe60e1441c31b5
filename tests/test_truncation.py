import pytest
import torch
from world import STATISTICS, ColourGenerator, make_prior, make_sampling

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import LatentGaussian, fit_gaussian
from clip2latent_kedro.truncation import psi_within_gaussian, truncate_samples

GRID = torch.linspace(0, 1, 20001, dtype=torch.float64)


def make_gaussian(num_latents=2, w_dim=5):
    generator = torch.Generator().manual_seed(0)
    shape = (500, num_latents, w_dim)
    w = torch.randn(shape, generator=generator, dtype=torch.float64)
    mixing = torch.randn(w_dim, w_dim, generator=generator, dtype=torch.float64)
    return fit_gaussian(2 + w @ mixing)


def sample_w(num=60, spread=6.0, num_latents=2, w_dim=5):
    """Points from about the mean of the Gaussian to far outside."""
    generator = torch.Generator().manual_seed(1)
    shape = (num, num_latents, w_dim)
    reach = torch.linspace(0.001, spread, num)[:, None, None]
    return 2 + reach * torch.randn(shape, generator=generator, dtype=torch.float64)


def distances_on_the_way(w, centre, gaussian):
    """Distances, [len(GRID), n], at each psi of the grid."""
    path = centre + GRID[:, None, None, None] * (w - centre)
    return gaussian.distance(path.flatten(0, 1)).view(len(GRID), -1)


def test_about_the_mean_the_distance_is_cut_to_the_radius():
    gaussian, w = make_gaussian(), sample_w()
    psi = psi_within_gaussian(w, gaussian.mean, gaussian, 0.9)
    before = gaussian.distance(w)
    expected = (gaussian.radius(0.9) / before).clamp_max(1)
    torch.testing.assert_close(psi, expected.double())
    assert 5 < (psi < 1).sum() < len(psi)
    mean = gaussian.mean.double()
    after = gaussian.distance(mean + psi[:, None, None] * (w - mean))
    torch.testing.assert_close(after, before.clamp_max(gaussian.radius(0.9)))


@pytest.mark.parametrize("offset", [0.0, 0.4, 3.0, 30.0])
def test_about_any_centre_it_is_the_largest_psi_within_the_gaussian(offset):
    """Or, where no psi is within it, the one that comes closest."""
    gaussian, w = make_gaussian(), sample_w()
    centre = gaussian.mean.double() + offset * torch.linspace(-1, 1, 5).double()
    found = psi_within_gaussian(w, centre, gaussian, 0.8)

    distances = distances_on_the_way(w, centre, gaussian)
    within = distances <= gaussian.radius(0.8)
    largest = (GRID[:, None] * within).amax(dim=0)
    closest = GRID[distances.argmin(dim=0)]
    expected = torch.where(within.any(dim=0), largest, closest)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    if offset == 30:
        assert not within.any(dim=0).all()


def test_a_w_inside_or_at_the_centre_is_left_alone():
    gaussian = make_gaussian()
    inside = gaussian.mean[None].double() + 0.01 * sample_w(spread=0.1)
    psi = psi_within_gaussian(inside, gaussian.mean, gaussian, 1.0)
    assert torch.equal(psi, torch.ones_like(psi))
    assert (
        psi_within_gaussian(gaussian.mean[None], gaussian.mean, gaussian, 0.5).item()
        == 1
    )


def test_the_radius_runs_through_the_quantiles():
    gaussian = LatentGaussian(
        *[torch.ones(1, 1)] * 3, radii=torch.linspace(1, 3, 101) ** 2
    )
    assert [gaussian.radius(q) for q in (0.0, 0.5, 1.0)] == pytest.approx([1, 4, 9])
    assert gaussian.radius(0.955) == pytest.approx((2.90**2 + 2.92**2) / 2)


def colour_gaussian(radius):
    identity = torch.eye(3)[None]
    radii = torch.full((101,), radius)
    return LatentGaussian(STATISTICS.mean, identity, torch.ones(1, 3), radii)


def truncated(w, prior=None, latent_repeats=(2,), **sampling):
    prior = prior or make_prior(gaussian=colour_gaussian(0.5))
    settings = make_sampling(**sampling)
    w_avg = ColourGenerator.w_avg
    return truncate_samples(w, latent_repeats, settings, prior, w_avg)


def test_auto_pulls_back_what_lies_outside_and_ignores_psi():
    step = torch.tensor([1.0, 1, 1])  # whose distance is 1
    w = STATISTICS.mean + torch.stack([0.25 * step, 2 * step])[:, None]
    found = truncated(w, truncation="auto", psi=0.0)
    expected = STATISTICS.mean + torch.stack([0.25 * step, 0.5 * step])[:, None]
    torch.testing.assert_close(found, expected.expand(2, 2, 3))


def test_auto_about_w_avg_stays_on_the_line_to_it():
    w = torch.tensor([[[3.0, -1, 2]]])
    prior = make_prior(gaussian=colour_gaussian(0.7))
    found = truncated(w, prior, truncation="auto", truncation_centre="w_avg")[:, :1]
    assert prior.gaussian.distance(found).item() == pytest.approx(0.7, rel=1e-5)
    share = (found - ColourGenerator.w_avg) / (w - ColourGenerator.w_avg)
    torch.testing.assert_close(share, share[0, 0, 0].expand_as(share))


@pytest.mark.parametrize("truncation", ["fixed", "auto"])
def test_layers_after_the_cutoff_are_left_alone(truncation):
    w = torch.tensor([[[3.0, -1, 2], [5, 5, 5]]])
    gaussian = fit_gaussian(sample_w(num_latents=2, w_dim=3, spread=0.1))
    prior = make_prior(gaussian=gaussian, w_mean=torch.zeros(2, 3))
    settings = {"psi": 0.5, "truncation": truncation}
    whole, part = (
        truncated(w, prior, (2, 3), truncation_cutoff=cutoff, **settings)
        for cutoff in (None, 3)
    )
    assert torch.equal(part[:, :3], whole[:, :3])
    assert torch.equal(part[:, 3:], w[:, [1, 1]])
    assert not torch.isclose(whole[:, 3:], w[:, [1, 1]]).any()


def test_no_truncation_changes_no_bit():
    w = sample_w(num_latents=1, w_dim=3).float()
    assert torch.equal(truncated(w), w.expand(-1, 2, -1))


def test_auto_needs_the_gaussian():
    with pytest.raises(InputError, match="truncation must be fixed for a prior that"):
        truncated(torch.zeros(1, 1, 3), make_prior(), truncation="auto")
