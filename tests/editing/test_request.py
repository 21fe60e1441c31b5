from dataclasses import replace

import numpy as np
import pytest
import torch
from editing.edits import METHODS, REDDER, StyleShift, TextShift, make_editing_models
from world import ColourGenerator, make_models

from clip2latent_kedro.editing import EDIT_METHODS, EditTarget
from clip2latent_kedro.editing.directions.direction import Destination, Direction
from clip2latent_kedro.editing.directions.method import DirectionEdit, TransportEdit
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.editing.request import EditReader
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Latents, Source

TARGETS = {"green": EditTarget("0 1 0", "0 0 0", name="green")}
W = torch.arange(12.0).view(2, 2, 3)
GREEN, RED = torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 0, 0])


@pytest.fixture(autouse=True)
def methods(monkeypatch):
    for name in list(EDIT_METHODS):
        monkeypatch.delitem(EDIT_METHODS, name)
    for name, method in METHODS.items():
        monkeypatch.setitem(EDIT_METHODS, name, method)


def make_reader(**changes):
    settings = {
        "generator": ColourGenerator(),
        "find_models": make_editing_models,
        "targets": TARGETS,
        "neutral": "0 0 0",
    }
    return EditReader(**{**settings, **changes})


def edit(asked, *, reader=None, **options):
    """Return what the edit adds to two w."""
    prepared = (reader or make_reader()).read(asked, num_images=2, **options)
    return prepared(Source(Latents(W))).w - W


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("redder", 2 * RED),  # the middle of its way's strengths
        ("green", GREEN),
        ("0 0 2", torch.tensor([0, 0, 2.0])),
        (("1 0 0", "0 1 0"), GREEN - RED),
        (["1 0 0", "0 1 0"], GREEN - RED),
        (EditTarget("0 1 0", "1 0 0"), GREEN - RED),
        (REDDER, 2 * RED),
        ({"target": "0 1 0", "neutral": "1 0 0"}, GREEN - RED),
        ({"target": "green", "strength": 4}, 4 * GREEN),
        ({"target": "0 0 2", "method": "prior"}, torch.tensor([0, 0, 2.0])),
        (torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 2, 3])),
        (np.array([1.0, 2, 3]), torch.tensor([1.0, 2, 3])),
        (("redder", 0.5), RED / 2),
        (("redder", np.float32(0.5)), RED / 2),
        (["redder", ("green", torch.tensor(3))], 2 * RED + 3 * GREEN),
        ({"target": "0 0 2", "name": "redder"}, torch.tensor([0, 0, 2.0])),
        ({"name": "redder"}, 2 * RED),
        (["redder", "green"], 2 * RED + GREEN),
        ([("redder", -1), "0 0 2", RED], torch.tensor([0, 0, 2.0])),
        ([("1 0 0", "0 1 0"), ("green", 3)], 4 * GREEN - RED),
    ],
)
def test_edits_are_asked_for_in_many_ways(asked, expected):
    torch.testing.assert_close(edit(asked), expected.expand(2, 2, 3))


def test_a_method_may_be_chosen_and_have_settings():
    prepared = make_reader().read("green", method="styles")
    assert isinstance(prepared.steps[0].edit, StyleShift)
    reader = make_reader(settings={"prior": TextShift.Settings(gain=3.0)})
    torch.testing.assert_close(edit("green", reader=reader), 3 * GREEN.expand(2, 2, 3))
    method = TextShift.prepare(
        TextShift.Settings(), make_editing_models(), EditTarget("0 1 0", "1 0 0")
    )
    torch.testing.assert_close(edit(method), (GREEN - RED).expand(2, 2, 3))


def test_strengths_are_one_or_one_for_each():
    asked = ["redder", "green"]
    expected = 3 * (RED + GREEN)
    torch.testing.assert_close(edit(asked, strength=3), expected.expand(2, 2, 3))
    found = edit(asked, strength=[1, -2])
    torch.testing.assert_close(found, (RED - 2 * GREEN).expand(2, 2, 3))
    for given in (np.array([1, -2]), torch.tensor([1.0, -2]), (1, np.int64(-2))):
        assert torch.equal(edit(asked, strength=given), found)
    wrong = [[1], [1, 2, 3], "strong", [1, "2"], float("nan"), True, 10**400, 1e39]
    for strength in wrong:
        with pytest.raises(InputError, match="one for each of the 2 edits, got"):
            edit(asked, strength=strength)


def test_files_are_vectors(tmp_path):
    np.save(tmp_path / "blue.npy", np.array([0, 0, 1.0]))
    torch.save(torch.tensor([[0, 0, 1.0]]), tmp_path / "blue.pt")
    for asked in (tmp_path / "blue.npy", str(tmp_path / "blue.pt")):
        found = edit(asked, strength=2)
        torch.testing.assert_close(found, torch.tensor([0, 0, 2.0]).expand(2, 2, 3))
    with pytest.raises(InputError, match=r"red\.npy could not be read"):
        edit(str(tmp_path / "red.npy"))


def test_a_vector_asks_for_no_models():
    def fail():
        raise AssertionError

    found = edit(RED, reader=make_reader(find_models=fail))
    assert torch.equal(found, RED.expand(2, 2, 3))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("reder", r"a name \(directions redder; targets green\).* got 'reder'\. Did "),
        ("gren", r"Did you mean green\?"),
        ("zzz", r"a text of more than one word, got 'zzz'\.$"),
        (7, "must be a name, a text or two, a vector.* got int"),
        ([], "one edit or several, got an empty list"),
        ([["redder", "green", "redder"]], "of a list must be a single one"),
        ({"targte": "green"}, r"got 'targte'\. Did you mean target\?"),
        ({"target": "green", "method": "priro"}, r"one of .*'priro'\. Did you mean p"),
        ({"target": 3}, "target must be a name or a text, got 3"),
        ({"neutral": "0 1 0"}, r"target must be a name or a text, got None"),
        ({"target": "green", "method": ["prior"]}, r"one of .*, got \['prior'\]"),
    ],
)
def test_what_is_not_known_is_named_with_what_is(asked, message):
    with pytest.raises(InputError, match=message):
        edit(asked)


def test_an_unknown_method_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"edit_method must .*\. Did you mean styles"):
        edit("green", method="style")
    for method in (5, ["prior"]):
        with pytest.raises(InputError, match="edit_method must be one of"):
            edit("green", method=method)


def test_a_text_has_no_direction_or_mapper_of_its_own(monkeypatch):
    monkeypatch.setitem(EDIT_METHODS, "direction", DirectionEdit)
    with pytest.raises(InputError, match="one that takes texts, got direction for '0"):
        edit("0 1 0", method="direction")
    pair = {"target": "0 1 0", "neutral": "1 0 0", "name": "redder"}
    assert torch.equal(edit(pair, method="direction", strength=1), RED.expand(2, 2, 3))


def test_a_long_text_is_no_path():
    """Of a name this long a file system says neither yes nor no."""
    asked = "0 1 0" + " 0." * 100
    with pytest.raises(InputError, match="must say what it starts from"):
        edit(asked, reader=make_reader(neutral=None))


def test_one_text_takes_a_neutral_one():
    with pytest.raises(InputError, match="must say what it starts from, got '0 1 0'"):
        edit("0 1 0", reader=make_reader(neutral=None))


def test_where_nothing_has_a_name_texts_and_vectors_are_left():
    models = EditingModels(models=make_models())
    reader = make_reader(targets={}, find_models=lambda: models)
    with pytest.raises(InputError, match=r"a name \(there are none here\), the path"):
        edit("green", reader=reader)


def test_a_direction_has_no_texts_for_another_way():
    with pytest.raises(InputError, match="must be direction for 'redder', which has"):
        edit("redder", method="prior")


def test_a_name_is_of_the_way_that_its_direction_takes(monkeypatch):
    """A destination is gone to, not moved along."""
    monkeypatch.setitem(EDIT_METHODS, "direction", DirectionEdit)
    monkeypatch.setitem(EDIT_METHODS, "transport", TransportEdit)
    basis = torch.eye(3)[:1]
    there = Destination(basis, basis, torch.tensor([5.0]))
    moves = {
        "redder": REDDER,
        "redder_transport": Direction("t", RED[None], destination=there),
    }
    models = replace(make_editing_models(), directions=moves)
    reader = make_reader(find_models=lambda: models)
    for asked, method in (("redder_transport", None), ("redder", "transport")):
        prepared = reader.read(asked, strength=1, method=method)
        (step,) = prepared.steps
        assert type(step.edit) is TransportEdit
        found = prepared(Source(Latents(W))).w
        torch.testing.assert_close(found[..., 0], torch.full((2, 2), 5.0))
        assert torch.equal(found[..., 1:], W[..., 1:])
    found = reader.read("redder", strength=1.5)(Source(Latents(W))).w
    torch.testing.assert_close(found, W + 1.5 * RED)
