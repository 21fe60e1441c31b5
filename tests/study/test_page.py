import re

import numpy as np
import pytest
from pages import read_page, read_picture, read_tables
from study.page_world import HOSTILE, VALUES, draw, make_sections

from clip2latent_kedro.study.cells import Cell, Column, Picture, Table, text_table
from clip2latent_kedro.study.page import Point, Section, to_html, to_markdown
from clip2latent_kedro.study.page.images import BUDGET, embed_pictures


@pytest.fixture(scope="module")
def html():
    return to_html("Title", "To begin with.", make_sections())


@pytest.fixture(scope="module")
def page(html):
    return read_page(html)


def test_a_page_is_whole_and_stands_alone(html, page):
    assert html.startswith("<!DOCTYPE html>")
    assert page.every("title")[0].text == "clip2latent: title"
    assert [h.every("a")[0].parent.text for h in page.every("h2")] == [
        *("Pictures #", "Scores #", "Claims #", "Scores #", "What is chosen #"),
    ]
    assert "Not to be seen." not in html
    assert "To begin with." in [p.text for p in page.every("p")]
    assert page.every("code")[0].text == "sampling:\n  psi: 1"
    assert "<p></p>" not in to_html("Title", "", make_sections())
    sources = [e.attributes["src"] for e in page.every("img", "script", "iframe")[:-1]]
    assert all(source.startswith("data:image/") for source in sources)
    (icon,) = page.every("link")
    assert icon.attributes["href"].startswith("data:")
    outside_pictures = re.sub(r"data:image/\w+;base64,[^\"]*", "", html)
    assert "://" not in outside_pictures
    assert "@import" not in html
    assert "url(" not in outside_pictures


def test_hostile_texts_stay_texts(html, page):
    assert len(page.every("script")) == 1
    assert HOSTILE not in html
    assert not [e for e in page.every("b") if "onclick" in e.attributes]
    tables = read_tables(html)
    assert tables["Prompts by rows"][2][0] == HOSTILE
    (alt, *_) = [
        image.attributes["alt"]
        for image in page.every("img")
        if HOSTILE in image.attributes["alt"]
    ]
    assert alt == f"ten: {HOSTILE}"
    assert HOSTILE in [fact.text for fact in page.every("dd")]


def test_every_name_is_there_once_and_every_link_leads_somewhere(page):
    everything = page.every(
        *["section", "h1", "h2", "table", "caption", "tr", "figure", "div"]
    )
    names = [e.attributes["id"] for e in everything if "id" in e.attributes]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[\w.-]+", name, re.ASCII) for name in names)
    links = [a.attributes["href"] for a in page.every("a")]
    assert all(link.startswith("#") for link in links)
    assert {link[1:] for link in links} <= {*names}
    for element in page.every("section", "div"):
        if "aria-labelledby" in element.attributes:
            assert element.attributes["aria-labelledby"] in names
    rows = [row for body in page.every("tbody") for row in body.every("tr")]
    assert all("id" in row.attributes for row in rows)


def test_points_and_rows_lead_to_the_rows_that_they_are_about(page):
    rows = {row.attributes.get("id"): row for row in page.every("tr")}
    first, second = page.every("ul")[0].every("li")
    assert first.attributes["data-verdict"] == "holds"
    (link,) = first.every("a")
    assert rows[link.attributes["href"][1:]].every("th")[0].text == "two"
    (link,) = second.every("a")  # the other row is in no table
    target = rows[link.attributes["href"][1:]]
    assert target.every("th")[0].text == HOSTILE
    differences = page.every("table")[-1]
    (link,) = differences.every("a")
    assert link.attributes["href"][1:] == target.attributes["id"]


def test_tables_say_what_their_heads_are(page):
    for table in page.every("table"):
        assert len(table.every("caption")) == 1
        heads = table.every("thead")[0].every("th")
        assert {head.attributes["scope"] for head in heads} == {"col"}
        for row in table.every("tbody")[0].every("tr"):
            assert [th.attributes["scope"] for th in row.every("th")] == ["row"]
            assert len(row.every("th", "td")) == len(heads)


def test_every_number_has_what_it_is_sorted_by(page):
    scores = page.every("table")[1]
    for row, value in zip(scores.every("tr")[1:], VALUES, strict=False):
        cell = row.every("td")[1]
        assert float(cell.attributes["data-value"]) == value
        assert cell.text.startswith(f"{value:.3f} [")
    for cell in scores.every("td"):
        assert ("data-value" in cell.attributes) == bool(cell.text)


def test_bars_stand_to_the_scale_of_their_column(page):
    scores, differences = page.every("table")[1], page.every("table")[-1]
    bars = [row.every("i")[0].attributes["style"] for row in scores.every("tr")[1:]]
    ends = {k: float(v) for k, v in re.findall(r"--(\w+):([\d.]+)", bars[0])}
    # From -2 to 101: a tenth stands for 0.103, and 0 lies at 2 of 103.
    assert ends == pytest.approx({"low": 10.7, "high": 12.6, "at": 11.7}, abs=0.06)
    (bar,) = differences.every("i")
    assert bar.attributes["style"] == "--low:33.3;--high:100.0;--at:66.7;--zero:0.0"
    assert bar.attributes["aria-hidden"] == "true"
    head = differences.every("th")[1]
    assert head.every("small")[0].text == "0 to 0.75"
    assert head.attributes["title"] == "A sentence."


def test_infinite_ends_and_values_are_written_as_a_script_reads_them():
    cell = Cell("inf", "[-inf, inf]", float("inf"), float("-inf"), float("inf"))
    known = Cell("1", "[0, 2]", 1.0, 0.0, 2.0)
    table = Table(
        "t", [Column("row"), Column("x")], [[Cell("a"), cell], [Cell(), known]]
    )
    page = read_page(to_html("T", "", [Section("S", tables=[table])]))
    assert page.every("td")[0].attributes["data-value"] == "Infinity"
    bar = page.every("i")[0].attributes["style"]
    assert bar.startswith("--low:0.0;--high:100.0;--at:100.0")


def test_a_small_picture_is_there_bit_by_bit_and_once(html, page):
    figures = page.every("table")[0].every("figure")
    assert len(figures) == 5
    image = figures[0].every("img")[0].attributes
    np.testing.assert_array_equal(read_picture(image["src"]), draw(0))
    assert (image["width"], image["height"]) == ("64", "64")
    assert html.count(image["src"]) == 1
    facts = [fact.text for fact in figures[0].every("dd")]
    assert facts == ["a face", "ten", "5"]


def test_a_large_picture_is_reduced_and_a_chart_is_not():
    shades = np.linspace(0, 255, 1024).astype(np.uint8)
    large = np.broadcast_to(shades[:, None, None], (1024, 1024, 3)).copy()
    photo, chart = embed_pictures(
        [Picture(large, "face"), Picture(large, "chart", is_chart=True)]
    )
    assert (photo.width, photo.height) == (256, 256)
    assert photo.url.startswith("data:image/webp")
    small = large.reshape(256, 4, 256, 4, 3).mean(axis=(1, 3))
    assert np.abs(read_picture(photo.url) - small).max() < 6
    np.testing.assert_array_equal(read_picture(chart.url), large)


def test_many_pictures_are_compressed_until_they_fit():
    few = embed_pictures([Picture(draw(0, 128), "one")])
    assert few[0].url.startswith("data:image/png")
    pictures = [Picture(draw(n, 128), str(n)) for n in range(70)]
    many = embed_pictures(pictures)
    assert sum(len(one.url) for one in many) <= BUDGET
    assert {one.url[:16] for one in many} == {"data:image/webp;"}


def test_nothing_but_the_own_script_may_run(html, page):
    (policy,) = [e for e in page.every("meta") if "http-equiv" in e.attributes]
    rules = policy.attributes["content"]
    assert "default-src 'none'" in rules
    assert "script-src 'sha256-" in rules
    assert "script-src 'unsafe-inline'" not in rules


def test_markdown_says_the_same_without_pictures():
    table = text_table("Not said", ["x|y"], [["<3>"]])
    chart = {"seen": draw(0)}
    sections = [
        Section("Of <w>", ["1 < 2"], [Point("lead:", "a & b")], tables=[table]),
        Section("No rows", ["Not to be seen."], tables=[text_table("", ["x"], [])]),
        Section("Seen", charts=chart),
        make_sections()[0],
        Section("Chosen", code="psi: 1\n", language="yaml"),
    ]
    assert to_markdown("Title", "To begin with.", sections) == (
        "# Title\n\nTo begin with.\n\n## Of <w>\n\n1 < 2\n\n- **lead:** a & b\n\n"
        "| x/y |\n| --- |\n| <3> |\n\n## Chosen\n\n```yaml\npsi: 1\n```\n"
    )
