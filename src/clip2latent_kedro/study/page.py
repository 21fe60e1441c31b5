"""A report of sections, as an HTML page that stands alone, or as Markdown."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from PIL import Image

from clip2latent_kedro.study.tables import Cells

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 80em;
  padding: 0 1em; color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .3em .7em; border-bottom: 1px solid #ddd; text-align: left;
  white-space: nowrap; font-variant-numeric: tabular-nums; }
div { overflow-x: auto; }
img { max-width: 100%; }
"""


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading of its own.

    Attributes:
        heading: What it is about.
        paragraphs: To read first.
        points: Of a list, each with what stands before it in bold.
        pictures: By what they show, uint8 [h, w, 3]; Markdown goes without.
        tables: Each with a header; one without rows is passed over.
    """

    heading: str
    paragraphs: Sequence[str] = ()
    points: Sequence[tuple[str, str]] = ()
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    tables: Sequence[Cells] = ()

    def __bool__(self) -> bool:
        """Return whether there is anything to see but paragraphs."""
        return bool(
            self.points or self.pictures or any(len(t) > 1 for t in self.tables)
        )


def to_html(title: str, introduction: str, sections: Sequence[Section]) -> str:
    """Return the sections that have something to see, after a list of them.

    Args:
        title: Of the page.
        introduction: A paragraph; "" for none.
        sections: In order.
    """
    shown = [section for section in sections if section]
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(introduction)}</p>", "<ul>"]
    for number, section in enumerate(shown):
        parts.append(f'<li><a href="#s{number}">{escape(section.heading)}</a></li>')
    parts.append("</ul>")
    for number, section in enumerate(shown):
        parts.append(f'<h2 id="s{number}">{escape(section.heading)}</h2>')
        parts += [f"<p>{escape(text)}</p>" for text in section.paragraphs]
        if section.points:
            points = (f"<b>{escape(a)}</b> {escape(b)}" for a, b in section.points)
            parts += ["<ul>", *(f"<li>{point}</li>" for point in points), "</ul>"]
        for shows, picture in section.pictures.items():
            parts.append(f'<img alt="{escape(shows)}" src="{_data_url(picture)}">')
        parts += [_html_table(table) for table in section.tables if len(table) > 1]
    body = "\n".join(part for part in parts if part != "<p></p>")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>clip2latent: {escape(title.lower())}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def to_markdown(title: str, introduction: str, sections: Sequence[Section]) -> str:
    """Return the page as Markdown, without pictures (arguments as of `to_html`)."""
    parts = [f"# {title}", introduction]
    for section in sections:
        tables = [markdown_table(t).strip() for t in section.tables if len(t) > 1]
        points = "\n".join(f"- **{lead}** {text}" for lead, text in section.points)
        if points or tables:
            parts += [f"## {section.heading}", *section.paragraphs, points, *tables]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_table(cells: Cells) -> str:
    """Return cells, the first row of which is the header, as a Markdown table."""
    header, *rows = (
        f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells
    )
    rule = "|" + " --- |" * len(cells[0])
    return "\n".join([header, rule, *rows]) + "\n"


def _html_table(cells: Cells) -> str:
    lines = [
        "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
        for tag, rows in (("th", cells[:1]), ("td", cells[1:]))
        for row in rows
    ]
    rows = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<div><table>\n{rows}\n</table></div>"


def _data_url(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
