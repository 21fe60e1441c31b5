"""Directions of w: how they add up, where they are cut off, and as ways of editing."""

import logging

import pytest
import torch
from editing.linear_world import BIG, W_DIM, make_editing_models, make_w
from world import seeded

from clip2latent_kedro.editing import EDIT_METHODS, Source
from clip2latent_kedro.editing.directions.direction import (
    Destination,
    Direction,
    apply_directions,
    digest_direction,
    stay_within,
    sweep_direction,
)
from clip2latent_kedro.editing.directions.method import find_cloud
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Latents, fit_gaussian
from clip2latent_kedro.methods.method import UnavailableError

W = make_w(6)
AGE = Direction("age", torch.randn(1, W_DIM, generator=seeded(1)))
ROWS = Direction("rows", torch.randn(10, W_DIM, generator=seeded(2)))
FINE = Direction("fine", AGE.offset, layers=[8, 9])


def make_transport(goal=(2.0, -1.0)):
    """Onto two coordinates of w, read along axes that are no orthogonal projection."""
    basis = torch.linalg.qr(torch.randn(W_DIM, 2, generator=seeded(3)))[0].T
    beside = torch.randn(2, W_DIM, generator=seeded(4))
    beside = beside - beside @ basis.T @ basis
    return Destination(basis, basis + beside, torch.tensor(goal))


def test_several_directions_add_up_in_any_order():
    moves = [(AGE, 2.0), (ROWS, -0.5), (FINE, 1.0)]
    found = apply_directions(W, moves)
    expected = W + 2 * AGE.offset - 0.5 * ROWS.offset
    expected[:, 8:] += AGE.offset
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(apply_directions(W, moves[::-1]), expected)


def test_no_strength_is_the_same_w():
    assert apply_directions(W, [(AGE, 0), (ROWS, 0.0)]) is W


def test_each_picture_may_have_a_strength():
    strength = torch.arange(6.0)
    found = apply_directions(W, [(AGE, strength)])
    torch.testing.assert_close(found, W + strength[:, None, None] * AGE.offset)


def test_rows_that_may_not_move_stay():
    found = apply_directions(W, [(AGE, 1.0), (FINE, 1.0)], layers=[0, 9])
    assert torch.equal(found[:, 1:9], W[:, 1:9])
    torch.testing.assert_close(found[:, 0], W[:, 0] + AGE.offset)
    torch.testing.assert_close(found[:, 9], W[:, 9] + 2 * AGE.offset)
    with pytest.raises(InputError, match="layers must be of 0 to 9, got"):
        apply_directions(W, [(AGE, 1.0)], layers=[10])


def test_a_sweep_is_each_strength_alone():
    strengths = [-1.0, 0.0, 2.5]
    swept = sweep_direction(W, AGE, strengths, layers=[3])
    assert torch.equal(swept[1], W)
    for found, strength in zip(swept, strengths, strict=True):
        alone = apply_directions(W, [(AGE, strength)], layers=[3])
        assert torch.equal(found, alone)


def test_a_transport_arrives_and_touches_nothing_else():
    destination = make_transport()
    direction = Direction("there", torch.zeros(1, W_DIM), destination=destination)
    found = apply_directions(W, [(direction, 1.0)])
    goal = destination.goal.expand(6, 10, 2)
    torch.testing.assert_close(found @ destination.reader.T, goal)
    moved = found - W  # within what the basis spans
    torch.testing.assert_close(
        moved @ destination.basis.T @ destination.basis, moved, atol=1e-5, rtol=1e-5
    )
    again = apply_directions(found, [(direction, 1.0)])
    torch.testing.assert_close(again, found, atol=1e-5, rtol=1e-5)
    half = apply_directions(W, [(direction, 0.5)])
    torch.testing.assert_close(half, (W + found) / 2)


CLOUD = fit_gaussian(torch.randn(4000, 10, W_DIM, generator=seeded(6)))


@pytest.mark.parametrize("quantile", [0.2, 0.9, 1.0])
@pytest.mark.parametrize("strength", [0.1, 1.0, 5.0, 300.0])
def test_an_edit_is_cut_off_at_the_edge_of_the_cloud(quantile, strength):
    w = torch.randn(50, 10, W_DIM, generator=seeded(7))
    w = CLOUD.mean + 0.5 * (w - CLOUD.mean)  # most are inside
    limits = {"cloud": CLOUD, "quantile": quantile}
    free = apply_directions(w, [(AGE, strength)])
    found = apply_directions(w, [(AGE, strength)], **limits)
    radius = CLOUD.radius(quantile)
    edge = CLOUD.distance(w).clamp_min(radius)
    assert (CLOUD.distance(found) <= edge * (1 + 1e-4)).all()
    is_inside = CLOUD.distance(free) <= radius
    torch.testing.assert_close(found[is_inside], free[is_inside])
    # what is cut off goes as far as it may, on the straight line
    cut = ~is_inside & (CLOUD.distance(w) < radius)
    reached = CLOUD.distance(found[cut])
    torch.testing.assert_close(
        reached, torch.full_like(reached, radius), rtol=1e-3, atol=0
    )
    share = ((found - w) / (free - w))[cut]
    torch.testing.assert_close(
        share, share[:, :1, :1].expand_as(share), rtol=1e-2, atol=1e-4
    )
    if strength == 300.0:
        assert cut.any()


def test_a_w_outside_goes_no_farther_out():
    w = CLOUD.mean + 10 * torch.ones(1, 10, W_DIM)
    away = stay_within(w, 2 * w, CLOUD, 0.9)
    torch.testing.assert_close(away, w)
    back = stay_within(w, CLOUD.mean[None], CLOUD, 0.9)
    torch.testing.assert_close(back, CLOUD.mean[None])


def prepare(key, directions, **settings):
    method = EDIT_METHODS[key]
    models = make_editing_models(directions=directions)
    return method.prepare(method.Settings(**settings), models, BIG)


def test_the_edit_finds_its_direction():
    directions = {"big": AGE, "big_boundary": ROWS, "other": FINE}
    for settings, expected in [
        ({}, AGE),
        ({"kind": "boundary"}, ROWS),
        ({"source": "other"}, FINE),
        ({"source": "big", "kind": "boundary"}, ROWS),
    ]:
        edit = prepare("direction", directions, **settings)
        found = edit.apply(Source(Latents(W, torch.ones(6, 2))), 1.5)
        assert torch.equal(found.w, apply_directions(W, [(expected, 1.5)]))
        assert torch.equal(found.style_offset, torch.ones(6, 2))
        assert edit.made_with == {"direction": digest_direction(expected)}
        assert edit.apply(Source(Latents(W)), 0).w is W


def test_the_edit_moves_some_rows_within_the_cloud():
    edit = prepare("direction", {"big": AGE}, layers="middle", quantile=0.9)
    found = edit.apply(Source(Latents(W)), 50.0).w
    kept = [0, 1, 2, 3, 8, 9]
    assert torch.equal(found[:, kept], W[:, kept])
    cloud = find_cloud(make_editing_models())
    edge = cloud.distance(W).clamp_min(cloud.radius(0.9))
    assert (cloud.distance(found) <= edge * (1 + 1e-4)).all()
    assert set(edit.made_with) == {"direction", "cloud"}
    strong = prepare("direction", {"big": AGE}).apply(Source(Latents(W)), 50.0).w
    assert (cloud.distance(strong) > edge).all()


def test_a_transport_is_a_way_of_its_own():
    there = Direction("x", AGE.offset, destination=make_transport())
    edit = prepare("transport", {"big_transport": there})
    expected = apply_directions(W, [(there, 1.0)])
    assert torch.equal(edit.apply(Source(Latents(W)), 1.0).w, expected)
    together = edit.apply(Source(Latents(W)), 0.4).w
    alone = [edit.apply(Source(Latents(one[None])), 0.4).w for one in W]
    torch.testing.assert_close(together, torch.cat(alone))


def test_what_is_missing_is_named():
    message = "no direction 'big_transport', there are: age, big. Run the pipeline"
    with pytest.raises(UnavailableError, match=message):
        prepare("transport", {"big": AGE, "age": AGE})
    with pytest.raises(UnavailableError, match="there are: none"):
        prepare("direction", {})


@pytest.mark.parametrize("shape", [(1, W_DIM + 1), (9, W_DIM), (11, W_DIM)])
def test_a_direction_of_another_w_is_refused(shape):
    message = rf"\[1 or 10, 12\], got \[{shape[0]}, {shape[1]}\]"
    with pytest.raises(InputError, match=message):
        prepare("direction", {"big": Direction("big", torch.zeros(shape))})


def test_a_layer_that_is_not_there_is_refused():
    direction = Direction("big", AGE.offset, layers=[10])
    with pytest.raises(InputError, match="The layers of big must be of 0 to 9"):
        prepare("direction", {"big": direction})


def test_one_of_another_generator_is_told(caplog):
    direction = Direction("big", AGE.offset, {"generator": "zz"})
    with caplog.at_level(logging.WARNING):
        prepare("direction", {"big": direction})
    assert "big was learned on another generator than linear@aa" in caplog.text


def test_digests_tell_directions_apart():
    there = Direction("x", AGE.offset, destination=make_transport())
    elsewhere = Direction("x", AGE.offset, destination=make_transport((0.0, 0.0)))
    renamed = Direction("y", AGE.offset, {"a": 1})
    digests = {digest_direction(one) for one in (AGE, ROWS, FINE, there, elsewhere)}
    assert len(digests) == 5
    assert digest_direction(renamed) == digest_direction(AGE)
