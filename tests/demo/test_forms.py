import pytest

from clip2latent_kedro.demo.forms import DRAW_FIELDS, read_draw, read_edit, settings_of
from clip2latent_kedro.demo.request import DrawRequest, EditRequest
from clip2latent_kedro.errors import InputError

REQUEST = DrawRequest(
    prompt="a man", negative="a hat", seed=7, rank=True, mix="3", mix_rows=["coarse"]
)


def test_controls_and_requests_agree():
    assert read_draw(settings_of(REQUEST)) == REQUEST


def test_whole_numbers_may_come_as_floats():
    values = dict(zip(DRAW_FIELDS, settings_of(REQUEST), strict=True))
    values |= {"num_images": 8.0, "seed": 7.0}
    assert read_draw(list(values.values())) == REQUEST


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("prompt", None, "There must be a prompt"),
        ("prompt", " ", "There must be a prompt"),
        ("prompt", 3, "prompt must be"),
        ("seed", None, "seed must be a whole number, got nothing"),
        ("seed", 1.5, "seed must be"),
        ("seed", 2**32, "seed must be"),
        ("num_images", 0, "num_images must be"),
        ("num_images", float("nan"), "num_images must be"),
        ("guidance_scale", float("inf"), "guidance_scale must be"),
        ("guidance_scale", "2", "guidance_scale must be"),
        ("sampler", "euler", "sampler must be"),
        ("mix_rows", [], "mix_rows must be some rows"),
        ("mix_rows", ["all"], "mix_rows"),
    ],
)
def test_values_of_no_control_are_refused(name, value, reason):
    values = dict(zip(DRAW_FIELDS, settings_of(REQUEST), strict=True)) | {name: value}
    with pytest.raises(InputError, match=reason):
        read_draw(list(values.values()))


def test_an_edit_is_read():
    asked = read_edit(
        [(3, 1), "transport", "to", "from", "prior", 0.5, 0, 2.0, None],
        ["smile", "hat", "age"],
    )
    assert asked == EditRequest(
        3,
        1,
        way="transport",
        strengths={"hat": 2.0},
        target="to",
        neutral="from",
        text_strength=0.5,
    )


@pytest.mark.parametrize("place", [None, (0, 0)])
def test_without_a_picture_there_is_nothing_to_edit(place):
    with pytest.raises(InputError, match="must be a picture to edit"):
        read_edit([place, "direction", "", "", "prior", 0], [])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([(1, -1), "direction", "", "", "prior", 0, 0], "index must be"),
        ([(1, "x"), "direction", "", "", "prior", 0, 0], "index must be"),
        ([(1, 0), "latent_optimisation", "", "", "prior", 0, 0], "way must be"),
        ([(1, 0), "direction", "", "", "prior", 99, 0], "text_strength must be"),
        ([(1, 0), "direction", "", "", "prior", 0, 1e9], "smile"),
    ],
)
def test_edits_out_of_range_are_refused(values, reason):
    with pytest.raises(InputError, match=reason):
        read_edit(values, ["smile"])
