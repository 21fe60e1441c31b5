"""Directions of S made of a pair of texts."""

import pytest
import torch
from editing.global_directions.world import ColourEncoder, StyledColours
from generators.networks import make_stylegan3
from world import ColourGenerator

from clip2latent_kedro.editing import EDIT_METHODS, EditTarget, Source
from clip2latent_kedro.editing.global_directions.method import (
    GlobalDirections,
    GlobalDirectionSettings,
    style_direction,
)
from clip2latent_kedro.editing.global_directions.relevance import ChannelRelevance
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.generators.adapters import StyleGANGenerator
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.methods.models import Models

RED = EditTarget(name="red", target="1 0 0", neutral="-1 0 0")
AXES = torch.eye(3)
STYLED = ChannelRelevance(
    mean=torch.zeros(5),
    std=torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0]),
    directions=torch.stack([*AXES, torch.zeros(3), -AXES[0]]),
    recipe={"generator": "styled-colours@22", "encoder": "colour-clip@11"},
    seconds=7.0,
)


def make_models(generator=None, relevance=STYLED):
    generator, encoder = generator or StyledColours(), ColourEncoder()
    models = Models(
        generator=generator,
        encoder=encoder,
        embedder=encoder,
        latent_repeats=[generator.num_ws],
        latent_batch_size=8,
        image_batch_size=8,
    )
    return EditingModels(models=models, channel_relevance=relevance)


def prepare(target=RED, models=None, **settings):
    chosen = GlobalDirectionSettings(**settings)
    return GlobalDirections.prepare(chosen, models or make_models(), target)


def make_source(num=3):
    w = torch.randn(num, 2, 3, generator=torch.Generator().manual_seed(1))
    return Source(Latents(w))


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("num_channels", [None, 1, 7])
def test_a_direction_follows_the_equation_of_styleclip(beta, num_channels):
    """Channel by channel in double precision, as the paper writes it."""
    random = torch.Generator().manual_seed(4)
    rows = torch.randn(20, 6, generator=random, dtype=torch.float64)
    rows = rows / rows.norm(dim=1, keepdim=True)
    std = torch.rand(20, generator=random, dtype=torch.float64)
    delta_t = rows.sum(0) / rows.sum(0).norm()
    relevance = ChannelRelevance(torch.zeros(20), std, rows)

    found = style_direction(relevance, delta_t, beta=beta, num_channels=num_channels)

    relevant = [float(row @ delta_t) for row in rows]
    order = sorted(range(20), key=lambda channel: -abs(relevant[channel]))
    largest = abs(relevant[order[0]])
    expected = [
        relevant[c] / largest * float(std[c])
        if abs(relevant[c]) >= beta and c in order[:num_channels]
        else 0.0
        for c in range(20)
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert int((found != 0).sum()) == sum(map(bool, expected))


def test_a_text_moves_the_channels_that_do_what_it_says():
    edit = prepare()
    torch.testing.assert_close(edit.offset, torch.tensor([1.0, 0, 0, 0, -1.0]))
    assert edit.preparation["generator"] == 7.0
    assert edit.made_with["channel_relevance"] == STYLED.recipe


def test_colours_can_be_left_out():
    offset = prepare(include_colours=False).offset
    torch.testing.assert_close(offset, torch.tensor([1.0, 0, 0, 0, 0]))


def test_the_most_relevant_channels_are_moved():
    target = EditTarget(target="2 1 0", neutral="-2 -1 0")
    offset = prepare(target, num_channels=2).offset
    torch.testing.assert_close(offset, torch.tensor([1.0, 0, 0, 0, -1.0]))


def test_the_strength_is_alpha():
    source, generator = make_source(), StyledColours()
    latents = prepare().apply(source, 3.0)
    assert latents.w is source.latents.w
    styles = generator.styles(latents.w) + torch.tensor([3.0, 0, 0, 0, -3.0])
    torch.testing.assert_close(
        synthesise_latents(generator, latents), generator.synthesis_from_styles(styles)
    )


def test_no_strength_is_no_change():
    source = make_source()
    assert prepare().apply(source, 0.0) is source.latents


def test_edits_add_up():
    source, edit = make_source(), prepare()
    twice = edit.apply(Source(edit.apply(source, 1.0)), 2.0)
    torch.testing.assert_close(twice.style_offset, edit.apply(source, 3.0).style_offset)


def test_a_beta_over_every_channel_says_the_largest_relevance():
    target = EditTarget(target="1 1 0", neutral="-1 -1 0")
    with pytest.raises(InputError, match=r"relevance of a channel .*0\.707, got 0\.8"):
        prepare(target, beta=0.8)


def test_a_generator_without_styles_is_refused():
    with pytest.raises(UnavailableError, match="need the space S"):
        prepare(models=make_models(ColourGenerator()))


def test_a_relevance_that_is_missing_is_named():
    with pytest.raises(UnavailableError, match="Run the pipeline relevance first"):
        prepare(models=make_models(relevance=None))


@pytest.mark.parametrize("role", ["generator", "encoder"])
def test_the_relevance_of_other_models_is_refused(role):
    recipe = {**STYLED.recipe, role: "another@99"}
    other = ChannelRelevance(STYLED.mean, STYLED.std, STYLED.directions, recipe=recipe)
    with pytest.raises(InputError, match=f"measured with the {role} .* got another@99"):
        prepare(models=make_models(relevance=other))


@pytest.mark.parametrize("templates", [[], ["a photo"], "imagenets"])
def test_unfit_templates_are_refused(templates):
    with pytest.raises(InputError, match="templates must be"):
        GlobalDirectionSettings(templates=templates)


def test_a_stylegan3_is_edited():
    generator = StyleGANGenerator(make_stylegan3(), Identity("stylegan3", "5"))
    num = sum(layer.num_channels for layer in generator.style_layers)
    rows = torch.zeros(num, 3)
    rows[0, 0] = 1.0  # the pose's first channel
    relevance = ChannelRelevance(torch.zeros(num), torch.ones(num), rows)
    edit = prepare(models=make_models(generator, relevance))
    w = torch.randn(2, generator.num_ws, generator.w_dim)
    styles = generator.styles(w)
    styles[:, 0] += 0.5
    torch.testing.assert_close(
        synthesise_latents(generator, edit.apply(Source(Latents(w)), 0.5)),
        generator.synthesis_from_styles(styles),
    )


def test_it_is_one_of_the_methods():
    assert EDIT_METHODS["global_directions"] is GlobalDirections
