"""The page of a report in a real browser."""

import pytest
from browser import NARROW, WIDE, watch
from study.page_world import HOSTILE, make_sections

from clip2latent_kedro.study.page import to_html

SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(to_html("Evaluation", "", make_sections()), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def report(page, address):
    """The page, whose scripts must have said nothing wrong in the end."""
    seen = watch(page)
    page.goto(address)
    yield page
    assert not seen.errors
    assert not seen.foreign
    assert page.evaluate("typeof hacked") == "undefined"


def table(page, caption):
    return page.locator(".table", has=page.locator("caption", has_text=caption))


def names(page):
    return table(page, "All scores").locator("tbody th").all_inner_texts()


def test_columns_are_sorted_by_number_and_by_text_and_back(report):
    scores = table(report, "All scores")
    before = names(report)
    button = scores.get_by_role("button", name="score_0")
    button.click()
    head = scores.locator("th[aria-sort]")
    assert head.get_attribute("aria-sort") == "descending"
    assert names(report)[:4] == ["hundred", "ten", "nine", "two"]
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(report)[0] == "minus"
    button.click()
    assert head.count() == 0
    assert names(report) == before
    scores.get_by_role("button", name="method").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(report).index("nine") < names(report).index("ten")
    assert names(report).index("row_9") < names(report).index("row_10")


def test_what_is_empty_is_last_in_both_directions(report):
    scores = table(report, "All scores")
    for _ in range(2):
        scores.get_by_role("button", name="score_3").click()
        cells = scores.locator("tbody td:nth-child(6)").all_inner_texts()
        assert all(cells[:20])
        assert not any(cells[20:])


def test_columns_and_rows_are_chosen(report):
    scores = table(report, "All scores")
    second = scores.locator("th", has_text="score_1").first
    scores.locator("summary").click()
    scores.get_by_label("score_1", exact=True).uncheck()
    assert not second.is_visible()
    assert scores.locator("summary").inner_text() == "Columns: 14 of 15"
    scores.get_by_role("button", name="None").click()
    assert scores.locator("tbody td:visible").count() == 0
    assert scores.locator("tbody th:visible").count() == 40
    scores.get_by_role("button", name="All").click()
    assert second.is_visible()
    report.keyboard.press("Escape")
    assert not scores.get_by_label("score_1", exact=True).is_visible()
    scores.get_by_role("searchbox").fill("ROW_1")
    assert scores.locator("tbody tr:visible").count() == 10
    assert scores.locator("output").inner_text() == "10 of 40 rows"


def test_a_picture_is_enlarged_by_click_and_by_key(report):
    first = report.get_by_role("link", name="ten: a face")
    first.click()
    dialog = report.get_by_role("dialog")
    assert dialog.is_visible()
    assert "1 of 5" in dialog.inner_text()
    for fact in ("a face", "ten", "seed\n5"):
        assert fact in dialog.inner_text()
    assert dialog.locator("img").bounding_box()["width"] > 300
    report.keyboard.press("ArrowRight")
    assert dialog.locator("img").get_attribute("alt") == "two: a face"
    report.keyboard.press("ArrowDown")
    assert dialog.locator("img").get_attribute("alt") == f"two: {HOSTILE}"
    report.keyboard.press("ArrowLeft")
    assert dialog.locator("img").get_attribute("alt") == f"ten: {HOSTILE}"
    report.keyboard.press("Escape")
    assert not dialog.is_visible()
    focused = "document.activeElement.querySelector('img').alt"
    assert report.evaluate(focused) == f"ten: {HOSTILE}"
    report.keyboard.press("Enter")
    assert dialog.is_visible()
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()


def test_a_chart_is_enlarged_too(report):
    report.get_by_role("link", name="a chart").click()
    assert report.get_by_role("dialog").get_by_text("a chart").is_visible()


def test_a_claim_leads_to_its_row_even_if_that_was_filtered_out(report):
    scores = table(report, "All scores")
    scores.get_by_role("searchbox").fill("hundred")
    report.get_by_role("link", name="two", exact=True).last.click()
    row = report.locator("tr:target")
    assert row.locator("th").inner_text() == "two"
    row.wait_for(state="visible")
    report.wait_for_function(
        "(() => { const r = document.querySelector('tr:target')"
        ".getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight })()"
    )


def test_head_and_first_column_stay_where_they_are(report):
    box = table(report, "All scores").locator(".scroll")
    box.evaluate("box => box.scrollTo(400, 500)")
    frame = box.bounding_box()
    head = box.locator("thead th").nth(9).bounding_box()
    label = box.locator("tbody th").nth(20).bounding_box()
    assert head["y"] == pytest.approx(frame["y"], abs=2)
    assert label["x"] == pytest.approx(frame["x"], abs=2)


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_nothing_is_cut_off(report, size):
    report.set_viewport_size(size)
    inner = report.evaluate("document.documentElement.scrollWidth")
    assert inner <= size["width"]
    box = table(report, "All scores").locator(".scroll")
    assert box.bounding_box()["width"] <= size["width"]
    last = box.locator("thead th").last
    last.scroll_into_view_if_needed()
    place = last.bounding_box()
    assert place["x"] + place["width"] <= size["width"]
    label = box.locator("tbody th").first.bounding_box()
    assert label["width"] < size["width"] / 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_axe_finds_nothing_serious(page, scheme, size):
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="uv sync").Axe()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    page.set_content(to_html("Evaluation", "", make_sections(num_rows=8)))
    page.locator("summary").last.click()
    found = axe.run(page)["violations"]
    page.get_by_role("link", name="ten: a face").click()
    found += axe.run(page)["violations"]
    said = [
        (one["id"], [node["html"][:120] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in SERIOUS
    ]
    assert said == []


def test_without_its_script_the_page_is_read_and_pictures_enlarged(browser, address):
    context = browser.new_context(java_script_enabled=False, viewport=WIDE)
    page = context.new_page()
    page.goto(address)
    assert page.locator("tbody tr:visible").count() == 3 + 40 + 1
    assert page.locator("button, dialog, input").count() == 0
    page.get_by_role("link", name="ten: a face").click()
    figure = page.locator("figure:target")
    assert figure.locator("img").bounding_box()["width"] > 300
    assert figure.get_by_text("seed").is_visible()
    figure.get_by_role("link", name="Back to the page").click()
    assert page.locator("figure:target").count() == 0
    context.close()


def test_all_columns_and_pictures_are_printed_and_no_control(report):
    table(report, "All scores").locator("summary").click()
    report.get_by_role("button", name="None").last.click()
    report.emulate_media(media="print")
    scores = table(report, "All scores")
    assert scores.locator("thead th:visible").count() == 16
    assert scores.get_by_text("score_13").last.is_visible()
    assert report.locator("button:visible, summary:visible, input:visible").count() == 0
    assert report.locator("figure img:visible").count() == 6
    sheet = 1040  # of A4 across, less its margins, in CSS pixels
    report.set_viewport_size({"width": sheet, "height": 800})
    assert report.evaluate("document.documentElement.scrollWidth") <= sheet
