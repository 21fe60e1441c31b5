"""StyleCLIP's latent mapper: networks, losses, training and the edit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from editing.mapper_world import (
    TARGETS,
    TEACHERS,
    TallGenerator,
    configure,
    make_mapper,
    random_w,
    train,
)
from torch.nn import functional as F
from training.test_fit import assert_same
from world import ColourEncoder, ColourGenerator, TurnedEncoder, make_models

from clip2latent_kedro.editing import EDIT_METHODS, Source
from clip2latent_kedro.editing.mapper import MapperTeachers
from clip2latent_kedro.editing.mapper.losses import MapperLosses
from clip2latent_kedro.editing.mapper.network import (
    LevelsMapper,
    MapperShape,
    shape_of,
)
from clip2latent_kedro.editing.mapper.teachers import draw_latents
from clip2latent_kedro.editing.mapper.training import train_mappers
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.training.state import pack_state, stored_state

LEVELS = {"coarse": slice(0, 4), "middle": slice(4, 8), "fine": slice(8, 10)}
NORM_AXES = {"channels": 2, "rows": 1}


def make_network(norm_axis="channels", moved=("coarse", "middle", "fine")):
    torch.manual_seed(0)
    network = LevelsMapper(MapperShape(3, [4, 8, 10], list(moved), norm_axis))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.normal_(std=30)  # none has its neutral value
    return network


def reference_level(w, network, axis):
    """Return a level's network of w, [n, rows, 3], written from the paper's code."""
    x = w / np.sqrt(np.mean(w**2, axis=axis, keepdims=True) + 1e-8)
    for layer in network.layers:
        weight = layer.weight.detach().double().numpy() * 0.01 / np.sqrt(3)
        x = x @ weight.T + layer.bias.detach().double().numpy() * 0.01
        x = np.where(x > 0, x, 0.2 * x) * np.sqrt(2)
    return x


def test_levels_are_those_of_style_mixing():
    assert shape_of(TallGenerator(), ["coarse", "middle", "fine"]).ends == [4, 8, 10]
    whole = shape_of(ColourGenerator(), ["coarse", "fine"])  # of two rows
    assert (whole.ends, whole.moved) == ([2, 2, 2], ["coarse"])


@pytest.mark.parametrize("norm_axis", ["channels", "rows"])
def test_each_level_is_its_own_network(norm_axis):
    network, w = make_network(norm_axis), random_w()
    found = network(w).detach().double().numpy()
    for name, rows in LEVELS.items():
        of_level = w[:, rows].double().numpy()
        expected = reference_level(
            of_level, network.networks[name], NORM_AXES[norm_axis]
        )
        np.testing.assert_allclose(found[:, rows], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("still", ["coarse", "middle", "fine"])
def test_a_level_that_is_switched_off_is_not_touched(still, tmp_path):
    mapper = make_mapper(tmp_path, **{f"no_{still}": True})
    offset = mapper.offset(random_w())
    for name, rows in LEVELS.items():
        assert bool((offset[:, rows] == 0).all()) == (name == still)


def test_something_must_move():
    with pytest.raises(InputError, match="no_fine must be false where no other level"):
        configure(no_coarse=True, no_middle=True, no_fine=True)
    with pytest.raises(InputError, match=r"w has 2 rows\. Set no_coarse: false"):
        train(
            teachers=MapperTeachers(ColourGenerator(), ColourEncoder()), no_coarse=True
        )


def test_losses_are_those_of_the_paper():
    w, w_hat = random_w(seed=1), random_w(seed=2)
    text = torch.tensor([1.0, 2.0, -1.0])
    terms = MapperLosses(
        TallGenerator(), ColourEncoder(), TurnedEncoder(), text
    ).measure(w, w_hat)

    before, after = w.mean(dim=1), w_hat.mean(dim=1)  # pictures and embeddings
    cosine = (after @ text) / (after.norm(dim=1) * text.norm())
    kept = (after * before).sum(dim=1) / (after.norm(dim=1) * before.norm(dim=1))
    expected = {
        "clip": 1 - cosine,
        "latent": ((w_hat - w) ** 2).sum(dim=(1, 2)) / 30,
        "identity": 1 - kept,
    }
    torch.testing.assert_close(dict(terms), expected)


def test_without_identity_features_the_term_is_left_out():
    teachers = MapperTeachers(TallGenerator(), ColourEncoder())
    (*_, state) = train(teachers=teachers)
    assert "identity" not in state.history[-1]
    assert state.settings["models"]["identity_encoder"] is None


def test_the_history_is_of_other_latents_and_weighed():
    *_, state = train(lr=1e-12, max_it=2)
    network = LevelsMapper(TEACHERS.mapper_shape(configure()))
    network.load_state_dict(state.ema)
    w = draw_latents(TEACHERS, 5, 0.7, 0, "measured")
    with torch.no_grad():
        w_hat = w + 0.1 * network(w)
    before, after = w.mean(dim=1), w_hat.mean(dim=1)
    clip = float((1 - F.normalize(after, dim=1)[:, 0]).mean())
    latent = float((w_hat - w).square().mean())
    identity = float((1 - F.cosine_similarity(before, after)).mean())
    expected = {
        "clip": clip,
        "latent": latent,
        "identity": identity,
        "total": clip + 0.1 * identity + 0.8 * latent,
    }
    row = state.history[-1]
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_training_brings_pictures_towards_the_text():
    sizes = {"bs": 16, "num_measured": 32, "l2_weight": 0.0, "id_weight": 0.0}
    (state,) = train(max_it=60, save_it=60, lr=5.0, **sizes)
    (before,) = train(max_it=1, save_it=1, lr=1e-12, **sizes)
    assert state.history[-1]["clip"] < 0.2 * before.history[0]["clip"]


def test_the_optimum_has_a_closed_form():
    """With the distance alone, nothing should move."""
    *_, state = train(
        max_it=200, bs=16, save_it=200, clip_weight=1e-9, id_weight=0.0, lr=5.0
    )
    assert state.history[-1]["latent"] < 1e-3


def test_resumed_equals_uninterrupted_bit_for_bit():
    whole = train()
    assert [state.step for state in whole] == [2, 4, 6]
    resumed = train(start=stored_state(pack_state(whole[0])))
    assert [state.step for state in resumed] == [4, 6]
    assert_same(resumed[-1], whole[-1])


def run(targets=TARGETS, stored=(), **changes):
    """Return the states of a training of all targets, in the order they came."""
    return list(
        train_mappers(
            TEACHERS, targets, configure(**changes), seed=0, stored=dict(stored)
        )
    )


def test_targets_take_turns_and_learn_what_each_learns_alone():
    states = run()
    assert [(name, state.step) for name, state in states] == [
        (name, step) for step in (2, 4, 6) for name in ("red", "green")
    ]
    for name, state in states[-2:]:
        assert_same(state, train(name)[-1])


def test_a_killed_run_goes_on_from_what_is_stored():
    whole = run()
    left = dict(whole[:3])  # red has made 4 steps, green 2
    rest = run(stored=left)
    assert [(n, s.step) for n, s in rest] == [("red", 6), ("green", 4), ("green", 6)]
    for name, state in rest:
        if state.step == 6:
            assert_same(state, dict(whole)[name])


def test_processes_side_by_side_learn_the_same():
    alone, beside = dict(run(max_it=2)), dict(run(max_it=2, num_processes=2))
    for name in TARGETS:
        assert_same(beside[name], alone[name])


def test_a_trained_mapper_is_kept_and_one_of_other_settings_replaced(caplog):
    stored = dict(run())
    caplog.set_level("INFO")
    assert run(stored=stored) == []
    assert "The mapper of red is trained already." in caplog.text
    changed = run(stored=stored, only=["green"], l2_weight=0.5)
    assert [name for name, _ in changed] == ["green"] * 3
    assert "mapper.l2_weight (stored 0.8, asked 0.5)" in caplog.text


def test_an_unfinished_mapper_of_other_settings_is_not_replaced():
    with pytest.raises(InputError, match="mapper of red of step 2 was trained under"):
        run(stored=dict(run()[:1]), l2_weight=0.5)


def test_unknown_targets_are_refused():
    with pytest.raises(InputError, match=r"got 'blue'\. There are red, green"):
        run(only=["blue"])


# The edit.


def prepare(mapper, name="red", generator=None, target=None, **settings):
    models = make_models(generator=generator or TallGenerator(), latent_repeats=[10])
    method = EDIT_METHODS["mapper"]
    return method.prepare(
        method.Settings(**settings),
        EditingModels(models=models, mappers={"red": mapper}),
        target or TARGETS[name],
    )


@pytest.fixture(scope="module")
def mapper(tmp_path_factory):
    return make_mapper(tmp_path_factory.mktemp("mappers"))


def test_strength_scales_the_step_and_0_is_no_change(mapper):
    method, w = prepare(mapper), random_w()
    source = Source(Latents(w, style_offset=torch.ones(5, 2)))
    none, half, whole = method.apply_all(source, [0, 0.5, 1])
    assert none is source.latents
    step = 0.1 * mapper.network(w).detach()
    torch.testing.assert_close(whole.w, w + step)
    torch.testing.assert_close(half.w, w + step / 2)
    assert torch.equal(method.apply(source, 1).w, whole.w)
    assert method.apply(source, 0) is source.latents
    assert whole.style_offset is source.latents.style_offset


def test_a_pictures_edit_does_not_depend_on_the_others(mapper):
    method, w = prepare(mapper), random_w()
    together = method.apply(Source(Latents(w)), 1).w
    alone = [method.apply(Source(Latents(row[None])), 1).w for row in w]
    torch.testing.assert_close(torch.cat(alone), together)


def test_it_may_move_some_rows_alone(mapper):
    w = random_w()
    source = Source(Latents(w))
    whole = prepare(mapper).apply(source, 1).w
    middle = prepare(mapper, layers="middle").apply(source, 1).w
    assert torch.equal(middle[:, LEVELS["middle"]], whole[:, LEVELS["middle"]])
    assert torch.equal(middle[:, LEVELS["coarse"]], w[:, LEVELS["coarse"]])
    assert torch.equal(middle[:, LEVELS["fine"]], w[:, LEVELS["fine"]])


def test_what_was_done_before_is_told(mapper):
    method = prepare(mapper)
    assert method.preparation == {"target": mapper.training_seconds}
    assert method.made_with == {"mapper": mapper.identity.digest}


def test_a_target_without_a_mapper_is_told(mapper):
    with pytest.raises(UnavailableError, match="of the target 'green', got red"):
        prepare(mapper, "green")
    other = replace(TARGETS["red"], target="0 0 1")
    with pytest.raises(UnavailableError, match="text '0 0 1', got one for '1 0 0'"):
        prepare(mapper, target=other)


def test_the_mapper_of_another_generator_is_refused(mapper):
    generator = TallGenerator()
    generator.identity = Identity("others", "77")
    with pytest.raises(InputError, match="for the generator colours@00, got others@77"):
        prepare(mapper, generator=generator)
