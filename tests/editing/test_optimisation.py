"""StyleCLIP's latent optimisation, where its losses are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from generators.networks import make_stylegan2
from methods.test_optimisation import adam, gradient_of_cosine
from torch import Tensor
from world import ColourEncoder, ColourGenerator, TurnedEncoder, make_models

from clip2latent_kedro.editing import EDIT_METHODS, Source
from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.editing.optimisation import LatentOptimisationSettings
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.generators.adapters import StyleGANGenerator
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.method import UnavailableError

TEXT = "-1 0.5 0.3"
TARGET = EditTarget(TEXT, "0 0 0", name="text")
CONSTANT = {"warmup": 0.0, "rampdown": 0.0}


def prepare(generator=None, identity_encoder=None, **settings):
    models = make_models(generator=generator or ColourGenerator())
    method = EDIT_METHODS["latent_optimisation"].prepare(
        LatentOptimisationSettings(**{"num_steps": 20, "lr": 0.05, **settings}),
        EditingModels(models=models, identity_encoder=identity_encoder),
        TARGET,
    )
    return replace(method, has_bar=False)


def random_w(num=4, seed=2):
    """Return w whose two rows differ, [num, 2, 3]."""
    return torch.randn(num, 2, 3, generator=torch.Generator().manual_seed(seed))


def edit(method, w, strength=1.0):
    return method.apply(Source(Latents(w)), strength).w


@pytest.mark.parametrize("space", ["w", "w+"])
def test_the_path_is_that_of_adam_on_the_loss(space):
    """1 - cos of the mean of two rows, and the summed squared offset."""
    l2, text = 0.1, np.array([-1, 0.5, 0.3])
    w = torch.tensor([[[0.3, -0.8, 0.5], [0.1, 0.4, 0.9]]])
    mean = w[0].double().numpy().mean(axis=0)

    def gradient_of(offset):  # of one row, or of both, which are alike
        both = 1 if space == "w" else 0.5
        return -both * gradient_of_cosine(mean + offset, text) + 2 * l2 * offset

    settings = {"lr": 0.03, "betas": (0.9, 0.999), "weight_decay": 0.0}
    points = adam(gradient_of, np.zeros(3), steps=6, **settings)
    method = prepare(space=space, num_steps=6, lr=0.03, l2_lambda=l2, **CONSTANT)
    expected = w + torch.tensor(points[-1], dtype=torch.float32)
    torch.testing.assert_close(edit(method, w), expected)


def test_the_picture_comes_towards_the_text():
    w = random_w()
    found = edit(prepare(num_steps=100, lr=0.1, l2_lambda=1e-6), w).mean(dim=1)
    (text,) = ColourEncoder().encode_text([TEXT])
    cosine = torch.nn.functional.cosine_similarity(found, text[None])
    torch.testing.assert_close(cosine, torch.ones(4), atol=0.01, rtol=0)


def test_a_large_latent_distance_keeps_w():
    w = random_w()
    near = (edit(prepare(l2_lambda=1e6, num_steps=200), w) - w).abs()
    assert near.max() < 0.01
    assert (edit(prepare(), w) - w).abs().mean() > 0.1


def test_the_identity_loss_keeps_what_tells_who_it_is():
    """Here features are the picture's colour, up to its length."""
    w = random_w()

    def change(**settings):
        edited = edit(prepare(num_steps=100, **settings), w).mean(dim=1)
        before = w.mean(dim=1)
        return 1 - torch.nn.functional.cosine_similarity(edited, before)

    kept = change(identity_encoder=TurnedEncoder(), id_lambda=100.0)
    assert (kept < 1e-3).all()
    assert change().mean() > 0.1


def test_strength_is_the_part_of_the_way_and_0_is_no_change():
    method, w = prepare(), random_w()
    source = Source(Latents(w))
    none, half, whole, more = method.apply_all(source, [0, 0.5, 1, 1.5])
    assert none is source.latents
    assert method.apply(source, 0) is source.latents
    torch.testing.assert_close(half.w, w + (whole.w - w) / 2)
    torch.testing.assert_close(more.w, w + 1.5 * (whole.w - w))
    assert torch.equal(method.apply(source, 0.5).w, half.w)


@pytest.mark.parametrize("space", ["w", "w+"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_pictures_edit_does_not_depend_on_the_others(space, batch_size):
    w = random_w()
    w[0, 1] = w[0, 0]  # one whose rows are alike, beside others whose are not
    together = edit(prepare(space=space), w)
    in_batches = edit(prepare(space=space, batch_size=batch_size), w)
    torch.testing.assert_close(in_batches, together)
    alone = torch.cat([edit(prepare(space=space), row[None]) for row in w])
    torch.testing.assert_close(alone, together)


def test_in_w_all_rows_move_alike():
    w = random_w()
    offset = edit(prepare(space="w"), w) - w
    torch.testing.assert_close(offset[:, 0], offset[:, 1])
    assert (offset != 0).all()


# S, of a small StyleGAN2.


class ColourMeans(ColourEncoder):
    """Three numbers of a picture that has structure."""

    def encode_image(self, image: Tensor) -> Tensor:
        return image.mean(dim=(2, 3)) + image[:, :, ::2, ::3].mean(dim=(2, 3))


@pytest.fixture(scope="module")
def stylegan():
    network = make_stylegan2().eval().requires_grad_(False)
    return StyleGANGenerator(network, Identity("stylegan2", "5a"))


def channels_of(generator, kind):
    layers = generator.style_layers
    kinds = [layer.kind for layer in layers for _ in range(layer.num_channels)]
    return torch.tensor([each == kind for each in kinds])


@pytest.mark.parametrize("torgb", [False, True])
def test_in_s_the_styles_of_colours_move_only_if_asked(stylegan, torgb):
    w = stylegan.mapping(torch.randn(3, 6, generator=torch.Generator().manual_seed(0)))
    given = torch.randn(3, len(channels_of(stylegan, "colours")))
    latents = Latents(w, style_offset=given)
    method = prepare(stylegan, space="S", torgb=torgb, l2_lambda=0.0)
    method = replace(method, encoder=ColourMeans())
    edited = method.apply(Source(latents), 1)

    assert torch.equal(edited.w, w)
    moved = (edited.style_offset != given).any(dim=0)
    assert bool(moved[channels_of(stylegan, "features")].any())
    assert bool(moved[channels_of(stylegan, "colours")].any()) == torgb

    def loss(latents):
        embedding = ColourMeans().encode_image(synthesise_latents(stylegan, latents))
        (text,) = ColourEncoder().encode_text([TEXT])
        return 1 - torch.nn.functional.cosine_similarity(embedding, text[None])

    assert (loss(edited) < loss(latents)).all()


def test_what_is_lacking_is_told():
    with pytest.raises(UnavailableError, match="space must be w or w\\+ for colours"):
        prepare(space="S")
    with pytest.raises(UnavailableError, match="id_lambda must be 0 where there is no"):
        prepare(id_lambda=0.1)
    with pytest.raises(InputError, match="num_steps must be a whole number, 1 or more"):
        LatentOptimisationSettings(num_steps=0)


def test_what_decides_it_is_told():
    assert prepare().made_with == {}
    who = TurnedEncoder()
    kept = prepare(identity_encoder=who, id_lambda=0.1)
    assert kept.made_with == {"identity_encoder": who.identity.digest}
