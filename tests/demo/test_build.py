"""Pages of other models: with one step, with no edits, with large pictures."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from demo.demo_world import draw, make_api
from PIL import Image
from world import make_prior

pytest.importorskip("gradio", reason="needs Gradio: uv sync --extra demo")

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.api.parts import EditingParts
from clip2latent_kedro.demo import pieces
from clip2latent_kedro.demo.opening import build_page
from clip2latent_kedro.errors import InputError


def make_page(tmp_path, **changes):
    examples = tmp_path / "examples.txt"
    examples.write_text("1 0 0\n\n0 1 0\n")
    models = replace(make_api().editor.loaded, **changes)
    return build_page(Clip2StyleGAN(models, "cpu"), examples=str(examples))


def test_a_one_step_prior_shows_neither_sampler_nor_steps(tmp_path):
    prior = make_prior(
        condition_inputs=("guidance_scale",),
        generator_identity=make_api().editor.loaded.generator.identity,
    )
    prior.guidance_range = (1.0, 4.0)
    page = make_page(tmp_path, prior=prior)
    assert page.service.is_one_step
    assert page.controls.guidance.minimum == 1
    assert page.controls.guidance.maximum == 4
    assert not page.controls.sampler.visible
    assert not page.controls.steps.visible
    assert not page.controls.negative.visible
    assert len(draw(page.service).images) == 6
    with pytest.raises(InputError, match="guidance_scale must be 1 to 4"):
        draw(page.service, guidance_scale=5.0)


def test_a_model_without_edits_has_no_sliders(tmp_path):
    page = make_page(tmp_path, find_editing=EditingParts, targets={}, neutral=None)
    assert page.service.edits.names == {}
    assert page.controls.sliders == []
    assert not page.controls.way.visible


def test_examples_are_those_of_the_file(tmp_path):
    page = make_page(tmp_path)
    assert [button.value for button in page.controls.examples] == ["1 0 0", "0 1 0"]


def test_no_event_is_an_endpoint(tmp_path):
    page = make_page(tmp_path)
    assert {fn.api_visibility for fn in page.blocks.fns.values()} == {"private"}


@pytest.mark.parametrize(
    ("side", "kind", "shown"), [(64, "png", 64), (1024, "webp", 768)]
)
def test_large_pictures_are_shown_smaller(side, kind, shown):
    picture = np.full((side, side, 3), 128, np.uint8)
    head, _, content = pieces.picture_address(picture).partition(",")
    assert head == f"data:image/{kind};base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert image.size == (shown, shown)


@pytest.mark.parametrize("text", ["<b>", "{{x}}", "${x}", '"onload="x', "`x`", "'x'"])
def test_what_is_told_is_nothing_but_a_text(text):
    escaped = pieces.escape(text)
    assert not set(escaped) & set("<>\"'{}$`")
