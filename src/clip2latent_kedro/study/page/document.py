"""The page as HTML: head, contents and sections, around its style and script."""

import base64
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from clip2latent_kedro.study.cells import Picture
from clip2latent_kedro.study.page.anchors import Anchors
from clip2latent_kedro.study.page.grid import write_figure, write_table
from clip2latent_kedro.study.page.images import Embedded, embed_pictures
from clip2latent_kedro.study.page.section import Point, Section

EMPTY_ICON = "data:,"  # else a browser asks for one


def write_document(title: str, introduction: str, sections: Sequence[Section]) -> str:
    """Return the page.

    Args:
        title: Of the page.
        introduction: A paragraph; "" for none.
        sections: In order; each is listed.
    """
    package = files("clip2latent_kedro.study.page")
    style, script = (
        package.joinpath(name).read_text(encoding="utf-8")
        for name in ("page.css", "page.js")
    )
    anchors = Anchors()
    headings = [anchors.add(section.heading) for section in sections]
    for section in sections:
        for table in section.tables:
            anchors.add_rows(table)
    pictures = list(_list_pictures(sections))
    embedded = iter(embed_pictures(pictures))
    written = [
        "\n".join(_write_section(section, heading, anchors, embedded))
        for section, heading in zip(sections, headings, strict=True)
    ]
    contents = [
        f'<li><a href="#{heading}">{escape(section.heading)}</a></li>'
        for section, heading in zip(sections, headings, strict=True)
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            *_write_policy(script),
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>clip2latent: {escape(title.lower())}</title>",
            f'<link rel="icon" href="{EMPTY_ICON}">',
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            '<nav aria-label="Contents">',
            f'<p><a href="#top">{escape(title)}</a></p>',
            "<ol>",
            *contents,
            "</ol>",
            "</nav>",
            "<main>",
            f'<h1 id="top">{escape(title)}</h1>',
            *([f"<p>{escape(introduction)}</p>"] if introduction else []),
            *written,
            "</main>",
            f"<script>\n{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _write_policy(script: str) -> Iterator[str]:
    """Yield that nothing is fetched, and that no other script than this one runs."""
    digest = hashlib.sha256(f"\n{script}".encode()).digest()
    rules = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{base64.b64encode(digest).decode()}'; base-uri 'none'; "
        "form-action 'none'"
    )
    yield f'<meta http-equiv="Content-Security-Policy" content="{rules}">'


def _list_pictures(sections: Sequence[Section]) -> Iterator[Picture]:
    """Yield all pictures in the order in which they are written."""
    for section in sections:
        for shows, pixels in section.charts.items():
            yield Picture(pixels, shows, is_chart=True)
        for table in section.tables:
            for cell in itertools.chain.from_iterable(table.rows):
                if cell.picture is not None:
                    yield cell.picture


def _write_section(
    section: Section, heading: str, anchors: Anchors, embedded: Iterator[Embedded]
) -> Iterator[str]:
    yield f'<section aria-labelledby="{heading}">'
    yield (
        f'<h2 id="{heading}">{escape(section.heading)} <a class="here" '
        f'href="#{heading}" aria-label="Link to {escape(section.heading)}">#</a></h2>'
    )
    for paragraph in section.paragraphs:
        yield f"<p>{escape(paragraph)}</p>"
    if section.points:
        yield '<ul class="points">'
        yield from (_write_point(point, anchors) for point in section.points)
        yield "</ul>"
    if section.code:
        yield f'<pre tabindex="0"><code>{escape(section.code)}</code></pre>'
    for shows, pixels in section.charts.items():
        picture = Picture(pixels, shows, is_chart=True)
        yield write_figure(picture, next(embedded), anchors, heading)
    for table in section.tables:
        if table:
            yield from write_table(table, anchors, embedded, heading)
    yield "</section>"


def _write_point(point: Point, anchors: Anchors) -> str:
    found = {name: anchors.find_row(name) for name in point.rows}
    links = [
        f'<a href="#{place}">{escape(label)}</a>'
        for (_, label), place in found.items()
        if place
    ]
    rows = f' <span class="rows">Rows: {", ".join(links)}</span>' if links else ""
    verdict = f' data-verdict="{escape(point.verdict)}"' if point.verdict else ""
    return f"<li{verdict}><b>{escape(point.lead)}</b> {escape(point.text)}{rows}</li>"
