"""The page for everybody: by keys alone, in a narrow window, light and dark, by axe."""

import pytest
from browser import NARROW, WIDE, watch
from demo.visitor import forget_all

from clip2latent_kedro.demo.service import BATCH

AFTER = ".c2l-after img"


@pytest.fixture(scope="module", autouse=True)
def leave_nothing(opened):
    yield
    forget_all(opened[0].service.sessions)


@pytest.fixture
def shown(browser, opened):
    """Make pages of a window and a colour scheme, with pictures on them."""
    contexts = []

    def show(size=WIDE, scheme="light"):
        context = browser.new_context(
            viewport=size, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.seen = watch(page)
        page.goto(opened[1])
        page.get_by_role("button", name="Draw", exact=True).click()
        page.locator(AFTER).wait_for()
        return page

    yield show
    for context in contexts:
        context.close()


def list_serious(page):
    """Return what axe-core finds serious or critical, each with its first place."""
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="uv sync")
    found = axe.Axe().run(page)["violations"]
    return {
        one["id"]: one["nodes"][0]["html"][:200]
        for one in found
        if one["impact"] in ("serious", "critical")
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(shown, scheme):
    page = shown(scheme=scheme)
    for words in ("Picture, or a PNG with settings", "Style mixing", "Edit by words"):
        page.get_by_role("button", name=words).click()
    page.get_by_label("From", exact=True).wait_for()
    assert list_serious(page) == {}
    assert not page.seen.errors
    assert not page.seen.foreign


def test_nothing_is_cut_off_in_a_narrow_window(shown):
    page = shown(NARROW)
    width = NARROW["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = page.evaluate(
        """width => [...document.querySelectorAll("button, input, textarea, img, p")]
        .filter(each => each.offsetParent && !each.closest(".c2l-chips"))
        .filter(each => each.getBoundingClientRect().right > width)
        .map(each => each.outerHTML.slice(0, 120))""",
        width,
    )
    assert beyond == []
    prompt = page.locator("#c2l-prompt").bounding_box()["y"]
    pictures = page.locator("#c2l-pictures").bounding_box()["y"]
    settings = page.get_by_role("button", name="Settings").first.bounding_box()["y"]
    assert prompt < pictures < settings


def test_keys_alone_draw_choose_and_edit(page, opened):
    page.goto(opened[1])
    prompt = page.get_by_label("Prompt").first
    prompt.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("a bald man")
    page.keyboard.press("Enter")  # of a text of several lines, Shift and Enter
    page.keyboard.press("Shift+Enter")
    page.locator(AFTER).wait_for()

    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.className"))
        if "c2l-tile" in seen[-1]:
            break
    assert "c2l-tile" in seen[-1], seen
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "document.querySelectorAll('.c2l-tile')[1].ariaPressed === 'true'"
    )
    chosen = page.locator(AFTER).get_attribute("src")
    page.get_by_label("range slider for Smile").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([place, was]) => document.querySelector(place).src !== was",
        arg=[AFTER, chosen],
    )


def test_too_long_a_text_cannot_be_typed_and_too_many_pictures_are_refused(
    page, opened
):
    limits = opened[0].service.limits
    page.goto(opened[1])
    prompt = page.get_by_label("Prompt").first
    prompt.fill("x" * (limits.text + 50))
    assert len(prompt.input_value()) <= limits.text + 50
    prompt.evaluate("each => each.removeAttribute('maxlength')")
    prompt.fill("y" * (limits.text + 1))
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text(f"must be at most {limits.text} characters").first.wait_for()


def test_stop_keeps_what_has_come_and_the_next_is_drawn(page, opened):
    draw, service = (
        page.get_by_role("button", name="Draw", exact=True),
        opened[0].service,
    )
    page.goto(opened[1])
    with service._turn.taken():  # so that the request waits
        draw.click()
        page.wait_for_timeout(300)
        page.get_by_role("button", name="Stop").click()
        page.wait_for_timeout(300)
    page.get_by_text("Stopped.").wait_for()
    assert page.locator("button.c2l-tile").count() <= BATCH
    draw.click()
    page.locator(AFTER).wait_for()
    assert page.locator("button.c2l-tile").count() == service.defaults.num_images
