import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import fit_gaussian
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.methods.optimisation.coordinates import (
    limit_distance,
    make_coordinates,
    repeat_gaussian,
    shared_layers,
)
from clip2latent_kedro.methods.optimisation.objective import (
    cut_out,
    input_size,
    random_windows,
    resize_image,
    text_loss,
)


def random_tensor(*shape, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=random, dtype=torch.float64)


def make_skew_gaussian(num_latents=1):
    """2000 w of 4 channels that move together."""
    mixing = random_tensor(4, 4, seed=5)
    w = random_tensor(2000, num_latents, 4, seed=6) @ mixing + 3
    return fit_gaussian(w), w


# --- losses ---------------------------------------------------------------------------


def vectors_at(cosine):
    """Return an image and a text embedding of other lengths at an angle."""
    sine = math.sqrt(1 - cosine**2)
    image = torch.tensor([[[3 * cosine, 3 * sine]]], dtype=torch.float64)
    return image, torch.tensor([[0.5, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize("cosine", [-0.9, -0.1, 0.0, 0.3, 0.99])
def test_spherical_loss_is_half_the_squared_angle(cosine):
    loss = text_loss("spherical", *vectors_at(cosine))

    torch.testing.assert_close(loss.item(), math.acos(cosine) ** 2 / 2)


def test_spherical_loss_has_a_gradient_everywhere():
    text = torch.tensor([[1.0, 0.0]])
    for image in ([[[1.0, 0.0]]], [[[-1.0, 0.0]]]):
        image = torch.tensor(image, requires_grad=True)
        text_loss("spherical", image, text).sum().backward()
        assert torch.isfinite(image.grad).all()


@pytest.mark.parametrize("cosine", [0.21, 0.5, 1.0])
def test_inverse_loss_is_a_hundredth_of_clips_logit_turned_over(cosine):
    loss = text_loss("inverse_cosine", *vectors_at(cosine))

    torch.testing.assert_close(loss.item(), 100 / (100 * cosine))


@pytest.mark.parametrize(
    ("cosine", "slope"), [(0.5, -4.0), (0.1, -25.0), (-0.5, -25.0)]
)
def test_inverse_loss_always_falls_as_the_cosine_grows(cosine, slope):
    """d(1/c)/dc = -1 / c^2, and that of c = 0.2 below."""
    below, above = (
        text_loss("inverse_cosine", *vectors_at(cosine + step)).item()
        for step in (-1e-6, 1e-6)
    )

    assert (above - below) / 2e-6 == pytest.approx(slope, rel=1e-4)


def test_a_loss_is_the_mean_over_views():
    views, text = random_tensor(5, 3, 8), random_tensor(3, 8, seed=1)

    loss = text_loss("one_minus_cosine", views, text)

    cosine = functional.cosine_similarity(views, text[None], dim=-1)
    torch.testing.assert_close(loss, 1 - cosine.mean(dim=0))


# --- views ----------------------------------------------------------------------------


def make_config(**changes):
    return OptimisationConfig(start="mean", num_steps=1, lr=0.1, **changes)


def test_windows_lie_in_the_picture_and_are_as_large_as_wanted():
    config = make_config(num_cutouts=4000, cutout_least=0.25, cutout_power=0.5)

    windows = np.array(random_windows(config, 64, torch.Generator().manual_seed(0)))

    top, left, side = windows.T
    assert 16 <= side.min() <= 18
    assert side.max() == 64
    for corner in (top, left):
        assert corner.min() == 0
        assert ((corner + side) <= 64).all()
        assert (corner + side).max() == 64
    # u^(1/2) has mean 2/3
    assert side.mean() == pytest.approx(64 * (0.25 + 0.75 * 2 / 3), rel=0.01)


def test_cutouts_are_squares_of_the_picture():
    image = random_tensor(2, 3, 8, 8)

    whole, corner = cut_out(image, [(0, 0, 8), (4, 2, 4)], 4)

    torch.testing.assert_close(whole, functional.avg_pool2d(image, 2))
    assert torch.equal(corner, image[:, :, 4:8, 2:6])


@pytest.mark.parametrize("side", [32, 64])
def test_styleclips_resizing_is_the_mean_over_areas(side):
    image = random_tensor(1, 3, side, side)

    resized = resize_image(image, "styleclip", 28)

    edges = np.arange(29) * side / 28
    weights = np.clip(
        np.minimum(edges[1:, None], np.arange(1, side + 1))
        - np.maximum(edges[:-1, None], np.arange(side)),
        0,
        None,
    ) * (28 / side)  # share of each pixel in each square, [28, side]
    expected = torch.tensor(weights) @ image[0] @ torch.tensor(weights).T
    torch.testing.assert_close(resized[0], expected)


def test_resizing_that_does_not_come_out_even_is_refused():
    with pytest.raises(InputError, match="whose side divides 7 x 32 pixels, got 48"):
        resize_image(torch.zeros(1, 3, 32, 32), "styleclip", 48)


def test_bilinear_resizing_mixes_neighbours_and_the_encoder_gets_the_rest_as_it_is():
    image = random_tensor(1, 3, 4, 4)

    halved = resize_image(image, "bilinear", 2)

    torch.testing.assert_close(halved, functional.avg_pool2d(image, 2))
    assert resize_image(image, "encoder", 2) is image


def test_an_encoder_may_tell_its_size():
    class Sized:
        image_size = (24, 32)

    assert input_size(Sized(), 64) == 24
    assert input_size(object(), 64) == 64


# --- coordinates ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["raw", "standardised", "whitened"])
def test_coordinates_go_there_and_back(name):
    gaussian, w = make_skew_gaussian(num_latents=2)
    coordinates = make_coordinates(name, gaussian)

    w = w[:20].float()

    torch.testing.assert_close(
        coordinates.to_w(coordinates.from_w(w)), w, atol=1e-4, rtol=1e-4
    )


def test_coordinates_are_in_the_units_that_they_claim():
    gaussian, w = make_skew_gaussian()
    w = w.float()

    raw = make_coordinates("raw", gaussian).from_w(w)
    standardised = make_coordinates("standardised", gaussian).from_w(w)[:, 0]
    whitened = make_coordinates("whitened", gaussian).from_w(w)[:, 0]

    assert torch.equal(raw, w)
    torch.testing.assert_close(
        standardised.mean(dim=0), torch.zeros(4), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(
        standardised.std(dim=0), torch.ones(4), atol=0.02, rtol=0
    )
    covariance = torch.cov(whitened.T)
    off_diagonal = covariance - torch.diag(covariance.diag())
    torch.testing.assert_close(off_diagonal, torch.zeros(4, 4), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        whitened.square().mean(dim=1).sqrt(), gaussian.distance(w), atol=1e-4, rtol=1e-4
    )


def test_limiting_projects_onto_a_ball_of_the_gaussian():
    gaussian, w = make_skew_gaussian()
    w, limit = w.float(), torch.full((2000,), 0.8)

    limited = limit_distance(w, gaussian.mean, gaussian, limit)

    before = gaussian.distance(w)
    torch.testing.assert_close(
        gaussian.distance(limited), before.clamp_max(0.8), atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(limited[before < 0.79], w[before < 0.79])
    assert (before > 0.81).any()


def test_layers_are_grouped_by_what_they_share():
    w = torch.tensor([[[1.0], [1.0], [2.0], [3.0], [3.0]], [[5.0]] * 5])

    assert shared_layers(w) == [2, 1, 2]
    assert shared_layers(w[1:]) == [5]
    assert shared_layers(w[:, :1]) == [1]


def test_a_gaussian_is_spread_over_layers():
    gaussian, _ = make_skew_gaussian(num_latents=2)

    spread = repeat_gaussian(gaussian, [1, 3])

    assert torch.equal(spread.mean, gaussian.mean[[0, 1, 1, 1]])
    assert torch.equal(spread.axes, gaussian.axes[[0, 1, 1, 1]])
    assert torch.equal(spread.std, gaussian.std[[0, 1, 1, 1]])
    assert torch.equal(spread.radii, gaussian.radii)
