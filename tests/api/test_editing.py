"""Edits and style mixing by the API, on linear models, where every answer is known."""

import numpy as np
import pytest
import torch
from editing.edits import METHODS, REDDER, StyledColours
from PIL import Image
from torch.nn import functional
from world import ColourEncoder, make_prior, make_sampling

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.api.parts import EditingParts
from clip2latent_kedro.api.sources import LoadedModels
from clip2latent_kedro.editing import EDIT_METHODS, EditTarget
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import Checkpoint

PROMPTS = ["1 0 0", "0 -3 4"]
TARGETS = {"green": EditTarget("0 1 0", "0 0 1", name="green")}
GREEN, RED = torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 0, 0])


@pytest.fixture(autouse=True)
def methods(monkeypatch):
    for name, method in METHODS.items():
        monkeypatch.setitem(EDIT_METHODS, name, method)


def find_parts():
    return EditingParts(directions={"redder": REDDER})


def make_api(spread=0.5, **changes):
    prior = make_prior(spread, generator_identity=StyledColours.identity)
    models = LoadedModels(
        StyledColours(),
        ColourEncoder(),
        prior,
        sampling=make_sampling(),
        preprocess={},
        references=(None, None),
        checkpoint=Checkpoint(
            step=0, settings={"data": {"latent_repeats": [2]}}, statistics=None
        ),
        **{"find_editing": find_parts, "targets": TARGETS, **changes},
    )
    return Clip2StyleGAN(models, "cpu")


def draw(*arguments, **options):
    return make_api()(*arguments, return_w=True, **options)


@pytest.mark.parametrize(
    ("edit", "options", "expected"),
    [
        ("redder", {}, 2 * RED),
        ("redder", {"edit_strength": -1}, -RED),
        ("green", {"edit_strength": 0.5}, torch.tensor([0, 0.5, -0.5])),
        (("1 0 0", "0 1 0"), {}, GREEN - RED),
        (["redder", GREEN], {"edit_strength": [1, 2]}, RED + 2 * GREEN),
    ],
)
def test_edits_move_the_w_that_was_drawn(edit, options, expected):
    plain = draw(PROMPTS, 2)[2]
    images, _, w = draw(PROMPTS, 2, edit=edit, **options)
    torch.testing.assert_close(w, plain + expected)
    torch.testing.assert_close(images[:, :, 0, 0], w[:, 0].clamp(-1, 1))


def test_no_strength_is_the_same_bits():
    plain = draw(PROMPTS, 3)
    for edited in (
        draw(PROMPTS, 3, edit=RED, edit_strength=0),
        draw(PROMPTS, 3, edit="redder", edit_strength=0),
    ):
        assert all(map(torch.equal, plain, edited))


def test_an_edit_of_styles_is_in_the_images_alone():
    plain = draw(PROMPTS, 1)
    images, _, w = draw(PROMPTS, edit="green", edit_method="styles", edit_strength=0.25)
    assert torch.equal(w, plain[2])
    expected = (w[:, 0] + 0.25).clamp(-1, 1)
    torch.testing.assert_close(images[:, :, 0, 0], expected)


def test_texts_of_an_edit_are_what_images_are_scored_by_too():
    """unit(prompt) + unit(target) - unit(neutral); of vectors and names the prompt."""
    unit = functional.normalize(torch.tensor([[1.0, 0, 0], [0, -3, 4]]), dim=1)
    for edit, moved in ((("1 0 0", "0 2 0"), GREEN - RED), ("redder", 0 * RED)):
        _, scores, w = draw(PROMPTS, edit=edit)
        cosine = functional.cosine_similarity(w[:, 0], unit + moved)
        torch.testing.assert_close(scores, cosine, rtol=1e-4, atol=1e-5)


def test_rows_are_mixed_in_from_a_prompt_a_seed_or_w():
    plain, prompt = draw(PROMPTS, 2)[2], draw(["0 1 0"] * 2, 2)[2]
    other_seed = draw(PROMPTS, 2, seed=5)[2]
    given = torch.randn(4, 2, 3)
    for mix, other in (
        ("0 1 0", prompt),
        (5, other_seed),
        (given, given),
        (given[0], given[:1]),
        (given[0].numpy(), given[:1]),
    ):
        w = draw(PROMPTS, 2, mix=mix, mix_layers=[1])[2]
        assert torch.equal(w[:, 0], plain[:, 0])
        torch.testing.assert_close(w[:, 1], other[:, 1].expand(4, 3))


def test_rows_are_mixed_before_an_edit():
    plain = draw(PROMPTS, 2, mix=5, mix_layers="0,1")[2]
    w = draw(PROMPTS, 2, mix=5, mix_layers="0, 1", edit="redder")[2]
    torch.testing.assert_close(w, plain + 2 * RED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mix": ["1 0 0", "0 1 0"]}, "mix must be one prompt, one seed or w, got 2"),
        ({"mix": torch.zeros(3, 2, 3)}, "mix must be one w or 2 of them, got 3"),
        ({"mix": 1, "mix_layers": "coarsest"}, "must name coarse, .*got 'coarsest'"),
        ({"mix": 1, "mix_layers": 2}, r"mix_layers must be of 0 to 1, got \[2\]"),
        ({"mix": 1, "mix_layers": []}, r"must name some rows of w, got \[\]"),
        ({"mix": 1, "mix_layers": 1.0}, r"must name coarse, .*got '1\.0'"),
        ({"mix": 1, "mix_layers": None}, "must name coarse, .*got 'None'"),
        ({"mix": 1.5}, r"mix must be a prompt, a whole number or w, got 1\.5"),
        ({"edit": "redde"}, r"got 'redde'\. Did you mean redder"),
        ({"edit": "0 1 0"}, "must say what it starts from"),
        ({"edit": RED, "edit_method": "prio"}, r"edit_method must .* mean prior\?"),
    ],
)
def test_what_cannot_be_edited_so_is_told(options, message):
    with pytest.raises(InputError, match=message):
        draw(PROMPTS, **{"mix_layers": [1], **options})


def test_earlier_results_and_stored_w_are_edited(tmp_path):
    images, _, w = draw(PROMPTS, 2)
    np.savez(tmp_path / "faces.npz", w=w.numpy())
    model = make_api()
    for given in (w, w.numpy(), tmp_path / "faces.npz", str(tmp_path / "faces.npz")):
        same, scores, found = model.edit(given, return_w=True)
        assert torch.equal(found, w)
        torch.testing.assert_close(same, images)
        cosine = functional.cosine_similarity(w[:, 0], images[:, :, 0, 0])
        torch.testing.assert_close(scores, cosine)
        edited = model.edit(given, "redder", edit_strength=0.5, return_w=True)[2]
        torch.testing.assert_close(edited, w + RED / 2)
    assert model.edit(w[0])[0].shape == (1, 3, 4, 4)


def test_edited_pictures_are_scored_by_themselves_and_the_texts():
    w = torch.tensor([0.5, -0.2, 0.1]).expand(1, 2, 3)
    images, scores = make_api().edit(w, ("0 0 1", "0 1 0"))
    asked = functional.normalize(w[0, :1], dim=1) + torch.tensor([0, 1.0, -1])
    cosine = functional.cosine_similarity(images[:, :, 0, 0], asked)
    torch.testing.assert_close(scores, cosine)


def test_rows_are_mixed_into_what_is_there():
    w = torch.randn(3, 2, 3) / 4
    model = make_api(0.0)
    found = model.edit(w, mix="0 1 0", mix_layers=1, return_w=True)[2]
    asked = model("0 1 0", return_w=True)[2]
    torch.testing.assert_close(found[:, 1], asked[:, 1].expand(3, 3))
    assert torch.equal(found[:, 0], w[:, 0])


def test_pictures_are_inverted_and_edited(tmp_path):
    """By descent on pixels; the generator draws any colour, and so finds it."""
    colours = [(200, 100, 50), (30, 60, 220)]
    pictures = [Image.new("RGB", (9, 7), colour) for colour in colours]
    pictures[1].convert("RGBA").save(tmp_path / "blue.png")
    given = [pictures[0], str(tmp_path / "blue.png")]
    settings = {"num_steps": 200, "start": "mean", "noise_weight": 0.0}
    model = make_api()
    images, _, w = model.edit(given, inversion=settings, return_w=True)
    expected = torch.tensor(colours) / 127.5 - 1
    torch.testing.assert_close(images[:, :, 0, 0], expected, atol=0.02, rtol=0)
    edited = model.edit(given, REDDER, 0.25, inversion=settings, return_w=True)[2]
    torch.testing.assert_close(edited, w + RED / 4)


def test_what_is_neither_picture_nor_w_is_told(tmp_path):
    with pytest.raises(InputError, match=r"none\.png must be a picture"):
        make_api().edit(tmp_path / "none.png")
    with pytest.raises(InputError, match="a picture or a w to edit, got none"):
        make_api().edit([])
    with pytest.raises(InputError, match=r"inversion must set .*got 'steps'"):
        make_api().edit(torch.zeros(2, 3), inversion={"steps": 3})
    with pytest.raises(InputError, match=r"inversion must be a mapping .*got 5"):
        make_api().edit(torch.zeros(2, 3), inversion=5)
    with pytest.raises(InputError, match="a picture or a w to edit, got none"):
        make_api().edit(torch.zeros(0, 2, 3))


def test_where_there_is_no_project_pairs_and_vectors_are_left():
    """As in a folder that `from_pretrained` has loaded."""
    model = make_api(find_editing=EditingParts, targets={})
    plain = model(PROMPTS, return_w=True)[2]
    for edit, expected in ((("1 0 0", "0 1 0"), GREEN - RED), (RED, RED)):
        w = model(PROMPTS, edit=edit, return_w=True)[2]
        torch.testing.assert_close(w, plain + expected)
    with pytest.raises(InputError, match=r"a name \(there are none here\), the path"):
        model(PROMPTS, edit="redder")
