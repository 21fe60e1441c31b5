"""The page in a real browser: from a prompt to a picture that is stored and loaded."""

import io
import json
import time

import numpy as np
import pytest
from browser import NARROW, watch
from PIL import Image

from clip2latent_kedro.demo.request import EditRequest
from clip2latent_kedro.inference.png_settings import read_png_settings

AFTER = ".c2l-after img"
PROMPT = "an old man with glasses"


def wait_for_change(page, before):
    page.wait_for_function(
        "([place, before]) => document.querySelector(place)?.src !== before",
        arg=[AFTER, before],
    )
    return page.locator(AFTER).get_attribute("src")


@pytest.fixture
def drawn(page, opened):
    """The page after a prompt."""
    page.seen = watch(page)
    page.goto(opened[1])
    page.get_by_label("Prompt").first.fill(PROMPT)
    page.get_by_role("button", name="Draw", exact=True).click()
    page.locator(AFTER).wait_for()
    return page


def test_pictures_come_with_scores_and_words(drawn):
    tiles = drawn.locator("button.c2l-tile")
    assert tiles.count() == 8
    words = tiles.first.locator("img").get_attribute("alt")
    assert words.startswith(f"Picture 1 of 8: {PROMPT}, CLIP score 0.")
    assert "8 pictures in" in drawn.locator(".c2l-status").inner_text()
    assert tiles.first.get_attribute("aria-pressed") == "true"
    assert not drawn.seen.errors
    assert not drawn.seen.foreign


def test_a_slider_changes_the_picture_and_undo_brings_it_back(drawn):
    plain = drawn.locator(AFTER).get_attribute("src")
    slider = drawn.get_by_label("range slider for Smile")
    slider.focus()
    drawn.keyboard.press("ArrowRight")
    edited = wait_for_change(drawn, plain)
    assert "smile" in drawn.locator(".c2l-after figcaption").inner_text()
    drawn.get_by_role("button", name="Undo the edits").click()
    assert wait_for_change(drawn, edited) == plain


def test_a_stored_picture_brings_its_settings_back(drawn, opened, tmp_path):
    drawn.locator("button.c2l-tile").nth(2).click()
    drawn.wait_for_function(
        "document.querySelectorAll('.c2l-tile')[2].ariaPressed === 'true'"
    )
    with drawn.expect_download() as download:
        drawn.get_by_role("button", name="Download PNG").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name.startswith("an_old_man_with_glasses_0_")
    settings = read_png_settings(path.read_bytes())
    assert settings["prompt"] == PROMPT

    drawn.get_by_label("Prompt").first.fill("something else")
    drawn.get_by_text("Picture, or a PNG with settings").click()
    drawn.locator("input[type=file]").set_input_files(path)
    drawn.locator(".c2l-brought").wait_for()
    drawn.get_by_role("button", name="Load its settings").click()
    drawn.wait_for_function(
        "prompt => document.querySelector('#c2l-prompt textarea').value === prompt",
        arg=PROMPT,
    )
    before = drawn.locator(AFTER).get_attribute("src")
    drawn.get_by_role("button", name="Draw", exact=True).click()
    drawn.wait_for_function(
        "index => document.querySelectorAll('.c2l-tile')[index]?.ariaPressed === 'true'"
        " && document.querySelectorAll('.c2l-waiting').length === 0",
        arg=settings["image"],
    )
    assert drawn.locator(AFTER).get_attribute("src") == before


def test_a_bad_file_is_told_in_a_sentence_and_another_may_follow(drawn, tmp_path):
    bad, good = tmp_path / "bad.png", tmp_path / "good.png"
    bad.write_bytes(b"<script>alert(1)</script>")
    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(good)
    drawn.get_by_text("Picture, or a PNG with settings").click()
    drawn.locator("input[type=file]").set_input_files(bad)
    drawn.get_by_text("The file must be a picture").wait_for()
    drawn.locator("input[type=file]").wait_for(state="attached")
    drawn.locator("input[type=file]").set_input_files(good)
    drawn.locator(".c2l-brought").wait_for()
    assert not [e for e in drawn.seen.errors if "picture" not in e]


def test_words_of_a_prompt_are_nothing_but_words(drawn):
    hostile = "<img src=x onerror=alert(1)> {{value}} ${1+1}"
    drawn.get_by_label("Prompt").first.fill(hostile)
    drawn.get_by_role("button", name="Draw", exact=True).click()
    drawn.get_by_alt_text(f"Picture 1 of 8: {hostile}").wait_for()
    assert drawn.locator("img[src=x]").count() == 0


def test_no_endpoint_is_open_to_programs(opened):
    page, _ = opened
    assert not page.blocks.get_api_info()["named_endpoints"]


def test_the_service_is_that_of_the_page(opened):
    """What is stored is what the service draws of the same request."""
    page, _ = opened
    service = page.service
    *_, last = service.draw("test", service.defaults)
    content = service.store("test", EditRequest(last.drawing.number))
    with Image.open(io.BytesIO(content)) as stored:
        np.testing.assert_array_equal(np.array(stored), last.drawing.images[0])
        assert json.loads(stored.text["clip2latent"])["models"] == service.models
    service.sessions.forget("test")


def test_variations_begin_with_no_edit(drawn):
    plain = drawn.locator(AFTER).get_attribute("src")
    slider = drawn.get_by_label("range slider for Smile")
    slider.focus()
    drawn.keyboard.press("ArrowRight")
    edited = wait_for_change(drawn, plain)
    drawn.get_by_role("button", name="Variations of it").click()
    wait_for_change(drawn, edited)
    drawn.wait_for_function(
        "slider => Number(slider.value) === 0", arg=slider.element_handle()
    )
    assert "nothing changed" in drawn.locator(".c2l-after figcaption").inner_text()


def test_who_closes_the_page_is_forgotten(drawn, opened):
    sessions = opened[0].service.sessions
    deadline = time.monotonic() + 120  # a page is missed by its heartbeat
    assert len(sessions) >= 1
    drawn.context.close()
    while len(sessions) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(sessions) == 0


def test_nothing_stands_out_of_a_narrow_window(drawn):
    drawn.set_viewport_size(NARROW)
    width = drawn.evaluate("document.documentElement.scrollWidth")
    assert width == NARROW["width"]
    prompt, pictures, later = (
        drawn.locator(place).first.bounding_box()["y"]
        for place in ("#c2l-prompt", "#c2l-pictures", ".c2l-later")
    )
    assert prompt < pictures < later
