"""The projector, in a world whose every answer is known."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from world import (
    ColourEncoder,
    ColourGenerator,
    make_models,
    make_prior,
    make_sampling,
    seeded,
)

from clip2latent_kedro.editing.inversion.config import ADA_PROJECTOR, InversionConfig
from clip2latent_kedro.editing.inversion.distance import (
    PictureDistance,
    fit_pictures,
    make_distance,
)
from clip2latent_kedro.editing.inversion.invert import invert_pictures
from clip2latent_kedro.editing.inversion.noise_maps import (
    draw_noise_maps,
    find_noise_layers,
    noise_penalty,
    normalise_noise_maps,
    using_noise_maps,
)
from clip2latent_kedro.editing.inversion.projector import (
    LatentSpread,
    latent_noise,
    measure_spread,
    project,
)
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.encoders.pixels import PixelLoss
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity, StyleLayer
from clip2latent_kedro.methods.method import UnavailableError

CONFIG = InversionConfig(start="mean", num_steps=150, perceptual_weight=0.0)
SPREAD = LatentSpread(torch.tensor([0.1, 0.2, 0.3]).expand(2, 3), 0.5)


class StyledColours(ColourGenerator):
    """Its styles are w layer by layer; the picture is the mean of the two colours."""

    style_layers = (StyleLayer("a", 3, 0), StyleLayer("b", 3, 1, "colours"))

    def styles(self, w):
        return w.flatten(1)

    def synthesis_from_styles(self, styles, *, noise_mode="const"):
        return super().synthesis(styles.view(-1, 2, 3))


class NoisyLayer(nn.Module):
    def __init__(self, strength):
        super().__init__()
        self.noise_strength = nn.Parameter(torch.tensor(strength))
        self.register_buffer("noise_const", torch.ones(16, 16))


class NoisyColours(ColourGenerator):
    """Adds noise maps to its colours, of layers `a` and `b`; that of b does nothing."""

    resolution = 16

    def __init__(self, strength=0.1):
        self.network = nn.Module()
        self.network.synthesis = nn.ModuleDict(
            {"a": NoisyLayer(strength), "b": NoisyLayer(0.0)}
        )
        self.network.requires_grad_(False)

    def synthesis(self, w, *, noise_mode="const"):
        image = w.mean(dim=1)[:, :, None, None].expand(-1, -1, 16, 16)
        for layer in self.network.synthesis.values():
            image = image + layer.noise_const * layer.noise_strength
        return image


def colours(*rows, side=4):
    return torch.tensor(rows)[:, :, None, None].expand(-1, 3, side, side)


def make_editing(generator=None, **changes):
    models = make_models(
        **{"generator": generator or ColourGenerator(), **changes.pop("models", {})}
    )
    return EditingModels(models=models, **changes)


def make_sampled(spread):
    priors = {"prior": make_prior(spread)}
    return make_editing(models={"sampling": make_sampling(), "priors": priors})


def project_all(generator, target, config, start=None, spread=SPREAD, seed=0):
    distance = make_distance(None, config)
    if start is None:
        start = spread.mean.expand(len(target), -1, -1)
    return list(
        project(generator, distance, target, start, config, spread=spread, seed=seed)
    )


@pytest.mark.parametrize("space", ["w", "w+", "s"])
def test_a_picture_of_the_generator_is_found(space):
    target = colours([0.5, -0.5, 0.25], [0.0, 0.9, -0.9])
    config = InversionConfig(**{**vars(CONFIG), "space": space})
    steps = project_all(StyledColours(), target, config)
    assert len(steps) == config.num_steps + 1
    found = steps[-1]
    total = found.w if space != "s" else found.w + found.style_offset.view(-1, 2, 3)
    torch.testing.assert_close(total.mean(dim=1), target[:, :, 0, 0], atol=2e-3, rtol=0)
    assert torch.equal(steps[0].w, SPREAD.mean.expand(2, -1, -1))
    if space == "w":
        assert torch.equal(found.w[:, 0], found.w[:, 1])
    if space == "s":
        assert torch.equal(found.w, steps[0].w)
        assert not found.style_offset.requires_grad


def test_the_first_steps_are_those_of_adam():
    """By hand in float64: the gradient of the mean square, moments, the ramp."""
    config = InversionConfig(
        start="mean", num_steps=20, lr=0.05, warmup=0.2, rampdown=0.5,
        perceptual_weight=0.0, pixel_weight=2.0,
    )  # fmt: skip
    target = colours([0.5, -0.5, 0.25])
    steps = project_all(ColourGenerator(), target, config)
    w, wanted = SPREAD.mean[0].double(), target[0, :, 0, 0].double()
    first = second = torch.zeros(3, dtype=torch.float64)
    for step in range(1, 21):
        t = (step - 1) / 20
        rate = 0.05 * min(1, t / 0.2)
        rate *= 0.5 - 0.5 * math.cos(math.pi * min(1, (1 - t) / 0.5))
        gradient = 2.0 * 2 * (w - wanted) / 3
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        mean, square = first / (1 - 0.9**step), second / (1 - 0.999**step)
        w = w - rate * mean / (square.sqrt() + 1e-8)
        torch.testing.assert_close(steps[step].w[0, 0].double(), w, atol=1e-5, rtol=0)


def test_a_picture_is_inverted_whoever_is_beside_it():
    target = colours([0.5, -0.5, 0.25], [0.0, 0.9, -0.9], [0.3, 0.3, 0.3])
    config = InversionConfig(
        **{**vars(ADA_PROJECTOR), "num_steps": 30, "perceptual_weight": 0.0,
           "pixel_weight": 1.0}
    )  # fmt: skip
    together = project_all(ColourGenerator(), target, config)[-1].w
    alone = [project_all(ColourGenerator(), x[None], config)[-1].w for x in target]
    torch.testing.assert_close(together, torch.cat(alone))
    again = project_all(ColourGenerator(), target, config)[-1].w
    assert torch.equal(together, again)
    other = project_all(ColourGenerator(), target, config, seed=1)[-1].w
    assert not torch.equal(together, other)


def test_the_noise_on_w_falls_as_a_square():
    """Karras et al. 2020, appendix D: 0.05 sigma max(0, 1 - t / 0.75)^2."""
    config = InversionConfig(**{**vars(ADA_PROJECTOR), "num_steps": 100})
    stds = [latent_noise(config, 4.0, step) for step in range(1, 101)]
    assert stds[0] == pytest.approx(0.2)
    assert stds[30] == pytest.approx(0.2 * (1 - 0.3 / 0.75) ** 2)
    assert stds[74] > 0 == stds[75] == stds[99]


def test_spread_is_the_distance_of_w_from_its_mean():
    """w = z / 4 with z of three unit normals: the mean square is 3 / 16."""
    found = measure_spread(ColourGenerator(), device="cpu")
    assert found.sigma == pytest.approx((3 / 16) ** 0.5, rel=0.02)
    assert found.mean.shape == (2, 3)
    assert found.mean.abs().max() < 0.02


def test_noise_penalty_is_the_sum_over_the_pyramid():
    random = seeded()
    maps = {
        "a": torch.randn(2, 1, 32, 32, generator=random, dtype=torch.float64),
        "b": torch.randn(2, 1, 8, 8, generator=random, dtype=torch.float64),
    }
    expected = torch.zeros(2, dtype=torch.float64)
    for picture in range(2):
        for noise in (maps["a"][picture, 0], maps["b"][picture, 0]):
            while True:
                side = len(noise)
                for axis in (0, 1):
                    order = [(i - 1) % side for i in range(side)]
                    shifted = noise.index_select(axis, torch.tensor(order))
                    expected[picture] += ((noise * shifted).sum() / side**2) ** 2
                if side <= 8:
                    break
                noise = noise.view(side // 2, 2, side // 2, 2).sum(dim=(1, 3)) / 4
    torch.testing.assert_close(noise_penalty(maps), expected)


def test_noise_maps_are_normalised_one_by_one():
    maps = {"a": 3 + 2 * torch.randn(2, 1, 16, 16, generator=seeded())}
    normalise_noise_maps(maps)
    torch.testing.assert_close(maps["a"].mean(dim=(1, 2, 3)), torch.zeros(2))
    torch.testing.assert_close(maps["a"].square().mean(dim=(1, 2, 3)), torch.ones(2))


def test_only_maps_with_a_strength_are_moved_and_come_back():
    generator = NoisyColours()
    layers = find_noise_layers(generator)
    assert list(layers) == ["a"]
    maps = draw_noise_maps(layers, 2, seeded())
    assert torch.equal(maps["a"][0], maps["a"][1])
    own = layers["a"].noise_const
    with using_noise_maps(layers, maps):
        assert layers["a"].noise_const is maps["a"]
    assert layers["a"].noise_const is own
    assert find_noise_layers(NoisyColours(0.0)) == {}
    assert find_noise_layers(ColourGenerator()) == {}


def test_moved_noise_maps_fit_what_w_cannot():
    """The picture is a colour and a pattern: the fit with maps is the better one."""
    generator = NoisyColours(strength=0.5)
    pattern = torch.randn(16, 16, generator=seeded())
    target = colours([0.4, -0.2, 0.1], side=16) + 0.5 * pattern
    config = InversionConfig(**{**vars(CONFIG), "noise_weight": 1e-3, "num_steps": 100})
    (*_, found) = project_all(generator, target, config)
    mean = target.mean(dim=(2, 3))
    torch.testing.assert_close(found.w[:, 0], mean, atol=0.02, rtol=0)
    own = generator.network.synthesis["a"].noise_const
    assert torch.equal(own, torch.ones(16, 16))


def test_distance_weighs_features_and_pixels():
    one, other = torch.rand(2, 2, 3, 8, 8, generator=seeded())
    distance = PictureDistance(PixelLoss(), 2.0, 3.0, max_side=4)
    small = [
        torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).mean(0)
        for x in (one, other)
    ]
    mean_square = (small[0] - small[1]).square().mean(dim=(1, 2, 3))
    found = distance.between(one, distance.features(other))
    torch.testing.assert_close(found, 5 * mean_square)


def test_pictures_of_another_size_are_fitted():
    picture = colours([0.5, -0.5, 0.25], side=9)
    torch.testing.assert_close(
        fit_pictures(picture, 4), colours([0.5, -0.5, 0.25]), atol=1e-6, rtol=0
    )
    assert fit_pictures(picture, 9) is picture
    found = invert_pictures(
        [picture[0], colours([0.1, 0.1, 0.1], side=2)[0]],
        make_editing(),
        CONFIG,
        seed=0,
    )
    expected = torch.tensor([[0.5, -0.5, 0.25], [0.1, 0.1, 0.1]])
    torch.testing.assert_close(found.w[:, 0], expected, atol=2e-3, rtol=0)


def test_batches_do_not_matter():
    target = colours(*torch.rand(5, 3, generator=seeded()).tolist())
    models = make_editing()
    found = [
        invert_pictures(
            target,
            models,
            InversionConfig(**{**vars(CONFIG), "num_steps": 20, "batch_size": size}),
            seed=0,
        ).w
        for size in (2, 5)
    ]
    torch.testing.assert_close(*found)


def test_the_prior_starts_at_the_nearest_of_its_samples():
    """Its samples have mean 0.1, -0.2, 0.3 plus half the condition, and a spread."""
    target = colours([0.5, -0.5, 0.25])
    models = make_sampled(0.8)
    starts = []
    for number in (1, 8, 64):
        config = InversionConfig(
            num_steps=0, num_candidates=number, perceptual_weight=0.0
        )
        starts.append(invert_pictures(target, models, config, seed=3).w)
    far = [float((w.mean(1) - target[:, :, 0, 0]).square().sum()) for w in starts]
    assert far[2] < far[0]
    assert far[2] <= far[1] <= far[0]
    again = InversionConfig(num_steps=0, num_candidates=8, perceptual_weight=0.0)
    beside = torch.cat([colours([0.9, 0.9, 0.9]), target])
    found = invert_pictures(beside, models, again, seed=3).w[1:]
    torch.testing.assert_close(found, starts[1])


def test_what_is_lacking_is_named():
    target = colours([0.5, -0.5, 0.25])
    ready = make_editing(models={"sampling": make_sampling()})

    def ask(models, **settings):
        config = InversionConfig(**{"perceptual_weight": 0.0, **settings})
        invert_pictures(target, models, config, seed=0)

    with pytest.raises(UnavailableError, match=r"no perceptual loss 'judge'. Put its"):
        ask(ready, perceptual_weight=1.0)
    with pytest.raises(UnavailableError, match=r"no image_inverter. Run the pipeline"):
        ask(ready, start="encoder")
    with pytest.raises(UnavailableError, match="'student' has not been made yet"):
        ask(ready, prior="student")
    with pytest.raises(UnavailableError, match="no parameters sampling"):
        ask(make_editing())
    with pytest.raises(InputError, match="space s needs a StyleGAN2 or StyleGAN3"):
        ask(ready, space="s", start="mean")
    with pytest.raises(InputError, match="pixel_weight must be above 0 where"):
        ask(ready, pixel_weight=0.0)


def test_what_is_no_picture_is_refused():
    with pytest.raises(InputError, match=r"\[3, side, side\], got \[3, 4, 5\]"):
        invert_pictures([torch.zeros(3, 4, 5)], make_editing(), CONFIG, seed=0)
    with pytest.raises(InputError, match="There must be a picture to invert"):
        invert_pictures([], make_editing(), CONFIG, seed=0)


def test_a_generator_without_gradients_is_refused():
    class Deaf(ColourGenerator):
        identity = Identity("deaf", "44")

        @torch.no_grad()
        def synthesis(self, w, *, noise_mode="const"):
            return super().synthesis(w)

    with pytest.raises(InputError, match=r"needs gradients of generator\.synthesis"):
        invert_pictures(
            colours([0.5, -0.5, 0.25]), make_editing(Deaf()), CONFIG, seed=0
        )


def test_colour_encoder_is_what_the_prior_is_given():
    """The condition is the embedding of the fitted picture, whatever its size."""
    models = make_sampled(0.0)
    config = InversionConfig(num_steps=0, perceptual_weight=0.0)
    small, large = (colours([0.5, -0.5, 0.25], side=side) for side in (4, 12))
    one, other = (invert_pictures(x, models, config, seed=0).w for x in (small, large))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    assert isinstance(models.models.encoder, ColourEncoder)


def test_steps_that_diverge_are_told():
    class Overflowing(ColourGenerator):
        def synthesis(self, w, *, noise_mode="const"):
            return super().synthesis(w * w, noise_mode=noise_mode)

    models = replace(make_editing().models, generator=Overflowing())
    editing = replace(make_editing(), models=models)
    config = replace(CONFIG, num_steps=8, lr=1e30)
    with pytest.raises(InputError, match=r"finite images, got others.*inversion\.lr"):
        invert_pictures([torch.zeros(3, 4, 4)], editing, config, seed=0)
