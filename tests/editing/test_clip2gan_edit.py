"""CLIP2GAN's edits by a network that is trained a little, in the world of colours."""

import pytest
import torch
from methods.clip2gan_world import configure, make_pairs, statistics_of, train
from safetensors.torch import save_file
from world import (
    IMAGE_MEAN,
    TEXT_MEAN,
    ColourEncoder,
    ColourGenerator,
    TurnedEncoder,
    make_models,
)

from clip2latent_kedro.editing import EDIT_METHODS, EditTarget, Source
from clip2latent_kedro.editing.clip2gan_edit import Clip2GanEditSettings
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.clip2gan import (
    export_clip2gan,
    load_clip2gan,
    map_to_w,
)
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics

TARGET = EditTarget("2 0 0", "0 -2 0")
TEXTS = torch.tensor([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
W = torch.tensor([[0.3, -0.2, 0.5], [-0.4, 0.1, 0.1], [0.2, 0.6, -0.3]])
SOURCE = Source(Latents(W[:, None].repeat(1, 2, 1)))


@pytest.fixture(scope="module")
def state():
    return train(max_it=20, save_it=20)[-1]


def load(path, state, text_mean):
    tensors, strings = export_clip2gan(
        state,
        ColourGenerator(),
        ColourEncoder(),
        statistics_of(make_pairs()),
        EmbeddingStatistics(IMAGE_MEAN, 2.0, text_mean),
        [2],
        configure(max_it=20),
    )
    save_file(tensors, path, strings)
    return load_clip2gan(path, {})


@pytest.fixture
def model(state, tmp_path):
    return load(tmp_path / "clip2gan.safetensors", state, TEXT_MEAN)


def prepare(model, encoder=None, **settings):
    changes = {} if encoder is None else {"embedder": encoder}
    models = EditingModels(models=make_models(clip2gan=model, **changes))
    settings = Clip2GanEditSettings(**settings)
    return EDIT_METHODS["clip2gan"].prepare(settings, models, TARGET)


@pytest.mark.parametrize("bridge", ["none", "mean_shift"])
def test_the_difference_of_the_mapped_texts_is_added(model, bridge):
    to, away = map_to_w(model, TEXTS, bridge=bridge)
    edited = prepare(model, bridge=bridge).apply(SOURCE, 0.7)
    torch.testing.assert_close(edited.w, SOURCE.latents.w + 0.7 * (to - away))


def test_the_mapped_text_is_added_to_the_mapped_image(model):
    """The colour of a picture is its w here, and its embedding too."""
    to = map_to_w(model, TEXTS[:1])
    mean = model.statistics.mean[0]
    edited = prepare(model, form="reconstruct", bridge="none").apply(SOURCE, 0.7)
    torch.testing.assert_close(edited.w, map_to_w(model, W) + 0.7 * (to - mean))


@pytest.mark.parametrize("form", ["residual", "reconstruct"])
def test_strength_0_changes_no_bit_and_a_batch_equals_singles(model, form):
    edit = prepare(model, form=form)
    zero, one = edit.apply_all(SOURCE, [0.0, 1.0])
    assert zero is SOURCE.latents
    alone = [edit.apply(Source(Latents(w[None])), 1.0).w for w in SOURCE.latents.w]
    torch.testing.assert_close(one.w, torch.cat(alone))


def test_texts_stand_in_their_templates(model):
    edit = prepare(model, templates=["-{}"], bridge="none")  # -2 0 0, and -0 -2 0
    to, away = map_to_w(model, TEXTS * torch.tensor([[-1.0], [1.0]]))
    torch.testing.assert_close(edit.offset[0], to - away)


def test_what_is_lacking_is_told(state, model, tmp_path):
    with pytest.raises(UnavailableError, match="which the pipeline baselines makes"):
        prepare(None)
    with pytest.raises(UnavailableError, match="trained for the encoder colour-clip@1"):
        prepare(model, TurnedEncoder())
    without_mean = load(tmp_path / "no_mean.safetensors", state, None)
    with pytest.raises(UnavailableError, match="bridge must be none for a clip2gan th"):
        prepare(without_mean, bridge="mean_shift")
    with pytest.raises(InputError, match="templates must be imagenet or a list"):
        prepare(model, templates=["a photo"])


def test_the_file_is_what_the_edit_is_made_with(model):
    assert prepare(model).made_with == {"clip2gan": model.identity.digest}
