"""The prior's edit in the world of three colours, where it is known in closed form.

The prior's x0 is the condition and a share of the noise: samples from the same noise
differ as their conditions do, times what the steps make of it.
"""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional
from world import (
    IMAGE_MEAN,
    NUM_TIMESTEPS,
    STATISTICS,
    TEXT_MEAN,
    make_models,
    make_prior,
    make_sampling,
)

from clip2latent_kedro.editing import EDIT_METHODS, EditTarget, Source
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.editing.prior_edit import PriorEditSettings
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import LatentGaussian, Latents
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics
from clip2latent_kedro.prior.sampling import draw_noise, sample_from_noise
from clip2latent_kedro.samplers.ddim import ddim_weights
from clip2latent_kedro.schedules import (
    cosine_alpha_bar,
    respaced_timesteps,
    visited_levels,
)

TARGET = EditTarget("1 0 0", "0 -2 0")
DIFFERENCE = torch.tensor([1.0, 1.0, 0.0])  # of the unit texts
W = torch.tensor([[0.3, -0.2, 0.5], [-0.4, 0.1, 0.1], [0.2, 0.6, -0.3]])


def make_edit(of=None, target=TARGET, **settings):
    priors = {settings.get("prior", "prior"): of or make_prior(0.5)}
    models = EditingModels(models=make_models(priors=priors))
    return EDIT_METHODS["prior"].prepare(PriorEditSettings(**settings), models, target)


def make_source(w=W, **known):
    return Source(Latents(w[:, None].repeat(1, 2, 1)), **known)


def turn(embedding, strength, difference=DIFFERENCE):
    """The moved condition, in float64."""
    norm = embedding.double().norm(dim=1, keepdim=True)
    moved = embedding.double() / norm + strength * difference.double()
    return norm * functional.normalize(moved, dim=1)


def gain_of_steps(timesteps, spread, guidance_scale=1.0):
    """What a unit of the condition adds to a sample, by the steps' own recursion."""
    alpha_bar = cosine_alpha_bar(NUM_TIMESTEPS)
    levels, x = visited_levels(alpha_bar, timesteps), 0.0
    for step, t in enumerate(timesteps):
        keep, gain = ddim_weights(levels[step], levels[step + 1])
        x0 = guidance_scale + spread * alpha_bar[t].sqrt() * x
        x = keep * x + gain * x0
    return x


@pytest.mark.parametrize("guidance_scale", [1.0, 2.5])
@pytest.mark.parametrize(("num_steps", "start"), [(1, 0.7), (4, 0.8), (20, 1.0)])
def test_the_edit_is_the_move_of_the_condition_times_what_the_steps_make_of_it(
    num_steps, start, guidance_scale
):
    edit = make_edit(num_steps=num_steps, start=start, guidance_scale=guidance_scale)
    edited = edit.apply(make_source(), 0.7)
    timesteps = respaced_timesteps(
        round(start * NUM_TIMESTEPS), num_steps, spacing="trailing"
    )
    gain = gain_of_steps(timesteps, 0.5, guidance_scale)
    offset = STATISTICS.std * gain * (turn(W, 0.7) - W)
    expected = (W + offset.float())[:, None].repeat(1, 2, 1)
    torch.testing.assert_close(edited.w, expected)
    assert edited.style_offset is None


@pytest.mark.parametrize("form", ["residual", "direct"])
@pytest.mark.parametrize("around", ["picture", "sample"])
def test_strength_0_changes_no_bit(form, around):
    source = make_source(condition=W, x_T=torch.ones(3, 1, 3))
    edit = make_edit(form=form, around=around)
    zero, one = edit.apply_all(source, [0.0, 1.0])
    assert zero is source.latents
    assert not torch.allclose(one.w, zero.w)
    assert edit.apply(source, 0.0) is source.latents


def test_with_its_noise_found_exactly_the_sample_itself_is_the_residual_edit():
    settings = {"num_steps": 5, "num_refinements": 500, "start": 1.0}
    source = make_source()
    direct = make_edit(form="direct", **settings)
    torch.testing.assert_close(
        direct.apply(source, 0.6).w,
        make_edit(**settings).apply(source, 0.6).w,
        rtol=0,
        atol=1e-4,
    )
    unrefined = make_edit(form="direct", **{**settings, "num_refinements": 0})
    away = unrefined.apply(source, 1e-6).w - source.latents.w
    assert away.abs().max() > 1e-2
    back = direct.apply(source, 1e-6).w - source.latents.w
    assert back.abs().max() < 1e-4


def test_a_sample_keeps_its_noise_while_its_condition_moves():
    prior = make_prior(0.5)
    condition = prior.join_condition(torch.tensor([[1.0, 2.0, -1.0], [0.3, 0.0, 2.0]]))
    x_T = draw_noise(prior, 3, [(0, 0), (1, 0)])
    sampling = make_sampling(sampler="ddim", num_steps=4, guidance_scale=2.0)
    w = sample_from_noise(prior, x_T, condition, sampling)[:, 0]
    source = make_source(w, condition=condition, x_T=x_T)
    settings = {"num_steps": 4, "guidance_scale": 2.0, "around": "sample"}

    expected = sample_from_noise(prior, x_T, turn(condition, 0.5).float(), sampling)
    for form in ("residual", "direct"):
        edited = make_edit(prior, form=form, **settings).apply(source, 0.5)
        torch.testing.assert_close(edited.w[:, :1], expected)
        torch.testing.assert_close(edited.w[:, 1:], expected)
    # A w of which nothing is known is edited by its picture.
    unknown = make_edit(prior, **settings).apply(make_source(w), 0.5)
    by_picture = make_edit(prior, **{**settings, "around": "picture"})
    torch.testing.assert_close(unknown.w, by_picture.apply(source, 0.5).w)


def test_a_picture_is_edited_the_same_beside_others_and_at_other_strengths():
    edit, source = make_edit(), make_source()
    together = edit.apply_all(source, [0.5, 0.0, -1.0])
    for number, strength in enumerate([0.5, 0.0, -1.0]):
        alone = [edit.apply(make_source(row[None]), strength).w for row in W]
        torch.testing.assert_close(together[number].w, torch.cat(alone))


def test_what_layers_and_styles_have_of_their_own_stays():
    w = torch.stack([W + 0.2, W - 0.2], dim=1)  # of the same mean as W in both layers
    styles = torch.ones(3, 4)
    edit = make_edit()
    edited = edit.apply(Source(Latents(w)), 1.0)
    plain = edit.apply(make_source(), 1.0)
    torch.testing.assert_close(edited.w - w, plain.w - make_source().latents.w)
    known = replace(make_source(condition=W, x_T=torch.zeros(3, 1, 3)))
    known = replace(known, latents=replace(known.latents, style_offset=styles))
    kept = make_edit(around="sample").apply(known, 1.0)
    assert kept.style_offset is styles


def test_a_condition_that_is_replaced_ends_at_the_shifted_text():
    edit = make_edit(
        make_prior(0.0), move="replace", mean_shift=1.0, num_steps=1, start=1.0
    )
    edited = edit.apply(make_source(), 1.0)
    shifted = functional.normalize(
        torch.tensor([1.0, 0, 0]) + IMAGE_MEAN - TEXT_MEAN, dim=0
    )
    norm = W.norm(dim=1, keepdim=True)
    expected = W + STATISTICS.std * (norm * shifted - W)
    torch.testing.assert_close(edited.w[:, 0], expected)


def test_the_prior_is_told_how_uncertain_a_picture_is():
    """A level l multiplies the condition of this prior by 1 + l."""
    prior = make_prior(0.0, condition_inputs=("noise_level",), embed_noise_scale=1.0)
    settings = {"num_steps": 1, "start": 1.0}
    sure = make_edit(prior, **settings).apply(make_source(), 1.0)
    unsure = make_edit(prior, noise_level=0.5, **settings).apply(make_source(), 1.0)
    start = make_source().latents.w
    torch.testing.assert_close(unsure.w - start, 1.5 * (sure.w - start))


def test_an_edit_stops_where_the_training_data_end():
    gaussian = LatentGaussian(
        mean=W[:1],
        axes=torch.eye(3)[None],
        std=torch.full((1, 3), 0.5),
        radii=torch.linspace(0, 0.6, 101),
    )
    prior, source = make_prior(0.5, gaussian=gaussian), make_source(W[:1])
    free = make_edit(prior).apply(source, 4.0).w
    bound = make_edit(prior, truncation_quantile=0.5).apply(source, 4.0).w
    assert gaussian.distance(free[:, :1]) > 0.31
    torch.testing.assert_close(gaussian.distance(bound[:, :1]), torch.tensor([0.3]))
    start = source.latents.w
    along = functional.cosine_similarity((bound - start)[:, 0], (free - start)[:, 0])
    torch.testing.assert_close(along, torch.ones(1))


def test_templates_are_averaged():
    edit = make_edit(templates=["{} 0", "{} 2"], target=EditTarget("1 0", "0 1"))
    half = torch.tensor([1 + 0.2**0.5, 0.0, 0.8**0.5])
    expected = functional.normalize(half, dim=0)
    expected = expected - expected[[1, 0, 2]]
    torch.testing.assert_close(edit.toward, expected)


def test_a_student_edits_in_its_one_step():
    student = make_prior(0.0, condition_inputs=("guidance_scale",))
    one = {"prior": "student", "num_steps": 1, "start": 1.0}
    edited = make_edit(student, guidance_scale=2.0, **one).apply(make_source(), 0.7)
    expected = W + STATISTICS.std * 2 * (turn(W, 0.7).float() - W)
    torch.testing.assert_close(edited.w[:, 0], expected)
    with pytest.raises(InputError, match="start must be 1 for a distilled prior"):
        make_edit(student, **{**one, "start": 0.8})
    with pytest.raises(InputError, match="has learned one step alone"):
        make_edit(student, **{**one, "num_steps": 4})


def test_without_a_prior_the_pipeline_that_makes_it_is_named():
    models = EditingModels(models=make_models(priors={}))
    for name, pipeline in (("prior", "training"), ("student", "distillation")):
        with pytest.raises(UnavailableError, match=f"Run the pipeline {pipeline} fi"):
            EDIT_METHODS["prior"].prepare(PriorEditSettings(prior=name), models, TARGET)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"templates": ["a photo"]}, "templates must be imagenet or a list"),
        ({"templates": []}, "templates must be imagenet or a list"),
        ({"mean_shift": 1.0}, "mean_shift must be 0 where move is difference"),
        ({"start": 0.0}, "start must be a number, above 0 and at most 1, got 0.0"),
        ({"num_steps": 17, "start": 0.8}, "num_steps must be at most start x the 20"),
        ({"num_steps": 21, "start": 1.0}, "num_steps must be 1 to the 20 timesteps"),
        ({"noise_level": 0.5}, "noise_level must be 0 for a prior that does not take"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        make_edit(**settings)


def test_what_a_foreign_prior_does_not_know_is_told():
    prior = make_prior(embedding_statistics=None)
    with pytest.raises(UnavailableError, match="truncation_quantile must be null for"):
        make_edit(prior, truncation_quantile=0.9)
    with pytest.raises(UnavailableError, match="mean_shift must be 0 for a prior that"):
        make_edit(prior, move="replace", mean_shift=0.5)
    without_texts = make_prior(
        embedding_statistics=EmbeddingStatistics(IMAGE_MEAN, 2.0)
    )
    with pytest.raises(UnavailableError, match="mean_shift must be 0 for a prior that"):
        make_edit(without_texts, move="replace", mean_shift=0.5)


def test_made_with_tells_priors_apart():
    first, second = make_edit(make_prior(0.5)), make_edit(make_prior(0.6))
    assert first.made_with != second.made_with
    assert first.made_with == make_edit(make_prior(0.5)).made_with
    assert set(first.preparation) == {"generator", "target"}
