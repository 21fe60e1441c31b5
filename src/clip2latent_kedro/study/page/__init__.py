"""A report of sections, as an HTML page that stands alone, or as Markdown.

The page is one file that opens without a network, and is read without its script, which
adds what one does with tables: to sort them, to choose columns and rows, and to enlarge
pictures.
"""

from collections.abc import Sequence

from clip2latent_kedro.study.cells import markdown_table
from clip2latent_kedro.study.page.document import write_document
from clip2latent_kedro.study.page.section import Point, Section

__all__ = ["Point", "Section", "to_html", "to_markdown"]


def to_html(title: str, introduction: str, sections: Sequence[Section]) -> str:
    """Return the sections that have something to see, after a list of them.

    Args:
        title: Of the page.
        introduction: A paragraph; "" for none.
        sections: In order.
    """
    shown = [section for section in sections if section]
    return write_document(title, introduction, shown)


def to_markdown(title: str, introduction: str, sections: Sequence[Section]) -> str:
    """Return the page as Markdown, without pictures (arguments as of `to_html`)."""
    parts = [f"# {title}", introduction]
    for section in sections:
        written = [
            table for table in section.tables if table and not table.has_pictures
        ]
        tables = [markdown_table(table).strip() for table in written]
        points = "\n".join(
            f"- **{point.lead}** {point.text}" for point in section.points
        )
        code = f"```{section.language}\n{section.code.strip()}\n```"
        if points or tables or section.code:
            parts += [f"## {section.heading}", *section.paragraphs, points]
            parts += [code if section.code else "", *tables]
    return "\n\n".join(part for part in parts if part) + "\n"
