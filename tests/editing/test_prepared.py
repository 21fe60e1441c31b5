import json

import pytest
import torch
from editing.edits import StyledColours, StyleShift, TextShift, make_editing_models
from torch.nn import functional
from world import ColourEncoder

from clip2latent_kedro.editing import EditTarget
from clip2latent_kedro.editing.given_vector import GivenVector
from clip2latent_kedro.editing.prepared import EditStep, PreparedEdit
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Latents, Source, synthesise_latents

W = torch.arange(12.0).view(2, 2, 3)
VECTOR = GivenVector(torch.tensor([[[1.0, 0, -1]]]))


def prepare(method=TextShift, target="0 3 4", neutral="2 0 0"):
    asked = EditTarget(target, neutral, name="green")
    return method.prepare(method.Settings(), make_editing_models(), asked)


def test_edits_follow_each_other_and_what_they_add_to_styles_adds_up():
    steps = [
        EditStep(prepare(StyleShift), 2.0),
        EditStep(VECTOR, 0.5),
        EditStep(prepare(StyleShift), -0.5),
    ]
    found = PreparedEdit(steps)(Source(Latents(W, torch.ones(2, 3))))
    torch.testing.assert_close(found.w, W + torch.tensor([0.5, 0, -0.5]))
    torch.testing.assert_close(found.style_offset, torch.full((2, 3), 2.5))
    image = synthesise_latents(StyledColours(), found)
    torch.testing.assert_close(image[:, :, 0, 0], found.w.mean(dim=1) + 2.5)


def test_no_strength_is_no_change_at_all():
    steps = [EditStep(prepare(), 0.0), EditStep(VECTOR, 0.0)]
    found = PreparedEdit(steps)(Source(Latents(W)))
    assert found.w is W
    assert found.style_offset is None


def test_texts_move_what_images_are_scored_by():
    """unit(target) - unit(neutral) of each text, and of a negative strength back."""
    unit = torch.tensor([-1, 0.6, 0.8])
    steps = [EditStep(prepare(), 3.0, is_text=True), EditStep(VECTOR, 1.0)]
    toward = PreparedEdit(steps).toward(ColourEncoder())
    torch.testing.assert_close(toward, unit)
    back = EditStep(prepare(target="0 0 1", neutral="1 0 0"), -1.0, is_text=True)
    toward = PreparedEdit([*steps, back]).toward(ColourEncoder())
    torch.testing.assert_close(toward, unit - torch.tensor([-1.0, 0, 1]))
    assert PreparedEdit(steps[1:]).toward(ColourEncoder()) is None
    unasked = EditStep(prepare(), 3.0)
    assert PreparedEdit([unasked]).toward(ColourEncoder()) is None


class PicturesAlone(ColourEncoder):
    def encode_text(self, texts):
        raise InputError("There is no text here.")


def test_texts_of_a_name_do_not_count_where_the_encoder_has_none():
    named = EditStep(prepare(), 3.0, is_text=True)
    assert PreparedEdit([named]).toward(PicturesAlone()) is None


def test_edits_say_all_that_they_depend_on():
    edit = PreparedEdit([EditStep(prepare(), 3.0), EditStep(VECTOR, -1.0)])
    assert edit.words == "green 3, vector -1"
    first, second = json.loads(json.dumps(edit.describe()))
    assert first["settings"] == {"gain": 1.0}
    assert first["target"]["target"] == "0 3 4"
    assert first["made_with"] == {"encoder": ColourEncoder.identity.digest}
    assert first["strength"] == 3.0
    other = PreparedEdit([EditStep(GivenVector(-VECTOR.vector), -1.0)])
    assert other.describe()[0].keys() == second.keys()
    assert other.describe()[0] != second


@pytest.mark.parametrize("num_images", [1, 2])
def test_a_vector_may_have_a_row_for_each_image(num_images):
    vector = torch.randn(num_images, 2, 3)
    found = GivenVector(vector).apply(Source(Latents(W)), 2.0).w
    torch.testing.assert_close(found, W + 2 * functional.pad(vector, (0, 0)))
