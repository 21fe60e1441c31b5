"""The whole search, in a world where every answer is known.

The embedding of a picture is its w, the mean of the layers. So the best w is any
multiple of the text's embedding.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor
from torch.nn import functional
from world import ColourEncoder, ColourGenerator

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.methods.optimisation.coordinates import fit_generator_gaussian
from clip2latent_kedro.methods.optimisation.loop import optimise_latents, ramp
from clip2latent_kedro.methods.optimisation.method import Direct

GENERATOR, ENCODER = ColourGenerator(), ColourEncoder()
TEXTS = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.5, 0.3], [0.2, 2.0, -1.0]])
CLOUD = fit_generator_gaussian(GENERATOR, num_latents=4000, seed=0)


def make_config(**changes):
    settings = {"start": "best_of", "num_steps": 5, "lr": 0.05}
    return OptimisationConfig(**{**settings, **changes})


def trace(
    config, *, texts=TEXTS, num_samples=2, seed=0, generator=GENERATOR, encoder=ENCODER
):
    """Return w, [n, num_samples, 2, 3], and the way, of a search from the text."""
    method = Direct(
        generator=generator,
        encoder=encoder,
        gaussian=CLOUD,
        settings=config,
        is_deterministic=config.start != "best_of",
        has_bar=False,
    )
    queries = Queries(["a text"] * len(texts), texts, np.empty((len(texts), 0), int))
    return method.sample_with_trajectory(queries, num_samples=num_samples, seed=seed)


def search(config, **changes):
    return trace(config, **changes)[0]


def refine(texts, w, config):
    """Return w of a search from given w, [n, 2, 3], and the way."""
    return optimise_latents(
        GENERATOR, ENCODER, texts, w, config, gaussian=CLOUD, seed=0
    )


def cosines(w, texts=TEXTS):
    """Return the score of w, [n, num_samples, 2, 3], as it must be."""
    return functional.cosine_similarity(w.mean(dim=2), texts[:, None], dim=-1)


def adam(gradient_of, start, *, steps, lr, betas, weight_decay):
    """Return all points of AdamW, written from Loshchilov and Hutter, Algorithm 2."""
    point, points = np.asarray(start, dtype=np.float64), []
    m = v = np.zeros_like(point)
    for t in range(1, steps + 1):
        gradient = gradient_of(point)
        m = betas[0] * m + (1 - betas[0]) * gradient
        v = betas[1] * v + (1 - betas[1]) * gradient**2
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        step = m_hat / (np.sqrt(v_hat) + 1e-8)
        point = point - lr * (step + weight_decay * point)
        points.append(point)
    return points


def gradient_of_cosine(w, text):
    """Return d cos(w, text) / dw by hand."""
    length = np.linalg.norm(w)
    unit = text / np.linalg.norm(text)
    return unit / length - (w @ unit) * w / length**3


@pytest.mark.parametrize("loss", ["one_minus_cosine", "inverse_cosine", "spherical"])
@pytest.mark.parametrize("coordinates", ["raw", "standardised", "whitened"])
@pytest.mark.parametrize("space", ["w", "w+"])
def test_every_search_finds_the_text(loss, coordinates, space):
    # A short memory, because 1 / cosine is steep at first and almost flat at last.
    config = make_config(
        loss=loss,
        coordinates=coordinates,
        space=space,
        num_steps=100,
        lr=0.1,
        betas=[0.9, 0.9],
        rampdown=0.7,
    )

    found = search(config)

    assert found.shape == (3, 2, 2, 3)
    torch.testing.assert_close(cosines(found), torch.ones(3, 2), atol=0.01, rtol=0)


def test_the_path_is_that_of_adamw_on_the_loss():
    """1 - cos of the mean of two layers of raw w, from a given w."""
    start = np.array([0.3, -0.8, 0.5])
    text = TEXTS[1].double().numpy()
    settings = {"lr": 0.03, "betas": [0.5, 0.9], "weight_decay": 0.1}
    config = make_config(num_steps=6, record_steps=[0, 1, 6], **settings)
    w = torch.tensor(start, dtype=torch.float32).expand(1, 2, 3)

    found, trajectory = refine(TEXTS[1:2], w, config)
    expected = adam(lambda p: -gradient_of_cosine(p, text), start, steps=6, **settings)

    path = torch.tensor(np.stack([start, expected[0], expected[5]])).float()
    torch.testing.assert_close(trajectory.samples[:, 0, 0], path)
    torch.testing.assert_close(found[0, 1], path[-1])


class ShiftedGenerator(ColourGenerator):
    """One whose w = 0 is a colour, as that of a network is some picture."""

    COLOUR = torch.tensor([0.6, 0.2, -0.4])

    def synthesis(self, w, *, noise_mode="const"):
        return super().synthesis(w + self.COLOUR)


def test_the_articles_search_is_that_of_its_code():
    """vipermu/StyleCLIP, clip_generate.py: zeros, Adam at 0.01, 100 / logit, no end."""
    conf = Path(__file__).parents[2] / "conf/base/parameters_baselines.yml"
    shipped = yaml.safe_load(conf.read_text())["baselines"]["optimisation"]["article"]
    config = OptimisationConfig(**{**shipped, "num_steps": 30, "record_steps": [30]})
    text = torch.tensor([0.9, 0.8, 0.1])

    latents = torch.nn.Parameter(torch.zeros(1, 3))
    optimizer = torch.optim.Adam([latents], lr=1e-2, betas=(0.9, 0.999))
    for _ in range(30):
        image = ShiftedGenerator().synthesis(latents.repeat(1, 2, 1).view(1, 2, 3))
        image = functional.interpolate(image, size=(4, 4), mode="bilinear")
        embedding = ENCODER.encode_image(image)
        logit = 100 * functional.cosine_similarity(embedding, text[None])
        optimizer.zero_grad()
        (1 / logit * 100).sum().backward()
        optimizer.step()

    found = search(
        config, texts=text[None], num_samples=1, generator=ShiftedGenerator()
    )
    torch.testing.assert_close(found[0, 0, 0], latents.data[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[0, 0, 0], found[0, 0, 1])


def test_records_that_are_not_reached_are_left_out():
    _, trajectory = trace(make_config(num_steps=3, record_steps=[0, 2, 10]))

    assert trajectory.steps == [0, 2]
    assert trajectory.samples.shape == (2, 3, 2, 2, 3)


def test_the_average_lags_as_it_should():
    plain = make_config(num_steps=3, record_steps=[0, 1, 2, 3])

    path = trace(plain)[1].samples
    averaged = trace(replace(plain, ema_decay=0.9))[1].samples

    expected = path[0]
    for step in (1, 2, 3):
        expected = 0.9 * expected + 0.1 * path[step]
        torch.testing.assert_close(averaged[step], expected)


def test_the_pull_to_the_start_balances_the_loss():
    """Where 2 lambda (w - start) is the gradient of the cosine, nothing moves on."""
    config = make_config(num_steps=300, lr=0.02, rampdown=1.0, l2_lambda=2.0)
    start = torch.tensor([[[0.3, -0.8, 0.5]] * 2])

    found, _ = refine(TEXTS[:1], start, config)

    w = found[0, 0].double().numpy()
    pull = 2 * config.l2_lambda * (w - start[0, 0].double().numpy())
    gradient = gradient_of_cosine(w, TEXTS[0].double().numpy())
    np.testing.assert_allclose(pull, gradient, atol=1e-3)
    assert np.linalg.norm(pull) > 0.1


def test_cutouts_of_a_plain_picture_change_nothing():
    plain, cut = make_config(num_steps=20), make_config(num_steps=20, num_cutouts=3)

    torch.testing.assert_close(search(cut), search(plain), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"num_cutouts": 2}, {"space": "w+"}])
def test_a_sample_does_not_depend_on_what_is_beside_it(changes):
    config = make_config(num_candidates=4, record_steps=[5], **changes)

    together, trajectory = trace(config, num_samples=3)
    one_by_one, own_way = trace(replace(config, batch_size=1), num_samples=3)
    fewer = search(config, texts=TEXTS[:2], num_samples=2)

    torch.testing.assert_close(one_by_one, together)
    torch.testing.assert_close(own_way.samples, trajectory.samples)
    torch.testing.assert_close(fewer, together[:2, :2])
    assert not torch.allclose(search(config, seed=1), search(config))


def test_the_best_candidate_is_the_start():
    many = make_config(num_steps=0, num_candidates=16, candidate_psi=0.5)
    one = replace(many, num_candidates=1)

    best, first = cosines(search(many)), cosines(search(one))

    assert (best >= first).all()
    assert best.mean() > first.mean() + 0.3


def test_truncation_of_candidates_halves_them():
    config = make_config(num_steps=0)

    torch.testing.assert_close(
        search(replace(config, candidate_psi=0.5)), search(config) / 2
    )


@pytest.mark.parametrize("start", ["zero", "mean"])
def test_samples_of_a_fixed_start_are_equal(start):
    config = make_config(start=start, num_steps=2, record_steps=[0, 2])

    found, trajectory = trace(config, num_samples=3)

    expected = CLOUD.mean if start == "mean" else torch.zeros(2, 3)
    torch.testing.assert_close(trajectory.samples[0], expected.expand(3, 3, 2, 3))
    assert torch.equal(trajectory.samples[1], found)
    assert (found == found[:, :1]).all()
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("coordinates", ["raw", "standardised", "whitened"])
def test_no_steps_return_the_samples_exactly(coordinates):
    config = make_config(start="samples", num_steps=0, coordinates=coordinates)
    w = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))

    assert torch.equal(refine(TEXTS, w, config)[0], w)


def test_layers_that_share_a_latent_go_on_sharing_it():
    w = torch.tensor([[[0.1, 0.2, 0.3]] * 2]).expand(3, 2, 3)
    apart = w + torch.tensor([[0.0], [0.1]])
    config = make_config(start="samples")

    first, second = refine(TEXTS, w, config)[0].unbind(dim=1)
    assert torch.equal(first, second)
    first, second = refine(TEXTS, apart, config)[0].unbind(dim=1)
    assert not torch.allclose(first, second)


def test_refinement_stays_in_the_cloud_and_near_its_start():
    config = make_config(
        start="samples", num_steps=60, lr=0.3, coordinates="whitened",
        cloud_quantile=0.9, trust_radius=0.8, record_steps=[1, 20, 60],
    )  # fmt: skip
    inside = GENERATOR.mapping(torch.randn(3, 3)) * 0.3
    start = torch.cat([inside, inside * 20])  # the last three far outside
    texts = TEXTS.repeat(2, 1)

    _, trajectory = refine(texts, start, config)

    radius = CLOUD.radius(0.9)
    for w in trajectory.samples:
        moved = CLOUD.whiten(w - start).square().mean(dim=(1, 2)).sqrt()
        assert (moved <= 0.8 + 1e-4).all()
        limit = CLOUD.distance(start).clamp_min(radius)
        assert (CLOUD.distance(w) <= limit + 1e-3).all()
    free, _ = refine(
        texts, start, replace(config, cloud_quantile=None, trust_radius=None)
    )
    assert CLOUD.distance(free[:3]).max() > radius  # the bounds were met


def test_saving_memory_changes_nothing():
    config = make_config()

    saved = search(replace(config, checkpoint_synthesis=True))

    torch.testing.assert_close(saved, search(config))


def test_a_start_may_have_one_row_for_all_layers():
    start = torch.tensor([[[0.1, 0.2, 0.3]]] * 3)

    whole, _ = refine(TEXTS, start.expand(-1, 2, -1), make_config())
    torch.testing.assert_close(refine(TEXTS, start, make_config())[0], whole)


def test_it_works_where_gradients_are_off():
    with torch.no_grad():
        without = search(make_config())

    torch.testing.assert_close(without, search(make_config()))


def test_the_learning_rate_rises_and_falls_as_published():
    """StyleGAN's projector with 5 % and 25 %, from its paper's appendix, by hand."""
    config = make_config(num_steps=100, warmup=0.05, rampdown=0.25)

    factors = [ramp(config, step) for step in range(1, 101)]

    np.testing.assert_allclose(factors[:6], [0, 0.2, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(factors[5:76], 1)
    half = 0.5 - 0.5 * np.cos(np.pi * 0.4)  # 10 of the last 25 left
    np.testing.assert_allclose(
        [factors[90], factors[99]], [half, 0.5 - 0.5 * np.cos(np.pi / 25)]
    )


class BlindEncoder(ColourEncoder):
    @torch.no_grad()
    def encode_image(self, image: Tensor) -> Tensor:
        return super().encode_image(image)


def test_models_without_gradients_are_told():
    with pytest.raises(InputError, match="needs gradients of generator"):
        search(make_config(), encoder=BlindEncoder())


def test_a_search_from_samples_needs_them():
    with pytest.raises(
        InputError, match="start must be zero, mean or best_of where no"
    ):
        search(make_config(start="samples"))


def test_the_gaussian_of_a_generator_is_that_of_its_latents():
    """w = z / 4 on both layers."""
    assert isinstance(CLOUD, LatentGaussian)
    torch.testing.assert_close(CLOUD.mean, torch.zeros(2, 3), atol=0.02, rtol=0)
    torch.testing.assert_close(CLOUD.std, torch.full((2, 3), 0.25), atol=0.02, rtol=0)
    assert torch.equal(CLOUD.axes[0], CLOUD.axes[1])
