"""Tables and pictures of a page as HTML."""

import math
from collections.abc import Iterator
from html import escape

from clip2latent_kedro.study.cells import Cell, Column, Picture, Scale, Table
from clip2latent_kedro.study.page.anchors import Anchors
from clip2latent_kedro.study.page.images import Embedded

ASIDE = 0.05  # of a scale: 0 is not drawn nearer than this to its left end
LONG = 24  # letters of a row's label, from which they have more room
MANY = 12  # columns, from which a table is printed in small letters


def write_table(
    table: Table, anchors: Anchors, embedded: Iterator[Embedded], section: str
) -> Iterator[str]:
    """Yield the lines of a table that scrolls within a box of its own.

    Args:
        table: With a row or more, which the anchors know.
        anchors: Where links lead.
        embedded: The pictures that come next.
        section: Where one gets to from a picture that is enlarged without the script.
    """
    caption = anchors.add(f"table {table.caption}")
    kinds = ["table"]
    kinds += ["pictures"] if table.has_pictures else []
    kinds += ["many"] if len(table.columns) > MANY else []
    longest = max(len(str(label)) for label, *_ in table.rows)
    kinds += ["long"] if longest > LONG else []
    yield f'<div class="{" ".join(kinds)}">'
    yield (
        f'<div class="scroll" role="region" aria-labelledby="{caption}" tabindex="0">'
    )
    yield "<table>"
    yield f'<caption id="{caption}"><span>{escape(table.caption)}</span></caption>'
    scales = [table.find_scale(number) for number in range(len(table.columns))]
    pairs = zip(table.columns, scales, strict=True)
    yield f"<thead><tr>{''.join(_write_header(*pair) for pair in pairs)}</tr></thead>"
    yield "<tbody>"
    for place, (label, *cells) in zip(
        anchors.take_rows(table), table.rows, strict=True
    ):
        written = [
            _write_cell(cell, scale, anchors, embedded, section)
            for cell, scale in zip(cells, scales[1:], strict=True)
        ]
        first = _write_label(label, place, anchors)
        yield f'<tr id="{place}">{first}{"".join(written)}</tr>'
    yield "</tbody>"
    yield "</table>"
    yield "</div>"
    yield "</div>"


def write_figure(
    picture: Picture, embedded: Embedded, anchors: Anchors, section: str
) -> str:
    """Return a picture that is enlarged where it is followed as a link.

    Args:
        picture: What it shows, and what is known of it.
        embedded: The picture itself.
        anchors: Where links lead.
        section: Where one gets to from there.
    """
    place = anchors.add(f"picture {picture.shows}")
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(fact)}</dd></div>"
        for name, fact in picture.facts.items()
    )
    said = f"<p>{escape(picture.shows)}</p>" if picture.is_chart or not facts else ""
    listed = f"<dl>{facts}</dl>" if facts else ""
    kind = "chart" if picture.is_chart else "sample"
    return (
        f'<figure class="{kind}" id="{place}"><a class="enlarge" href="#{place}">'
        f'<img decoding="async" width="{embedded.width}" '
        f'height="{embedded.height}" alt="{escape(picture.shows)}" '
        f'src="{embedded.url}"></a><figcaption>{said}{listed}'
        f'<a class="back" href="#{section}">Back to the page</a></figcaption></figure>'
    )


def _write_header(column: Column, scale: Scale | None) -> str:
    meaning = f' title="{escape(column.meaning)}"' if column.meaning else ""
    title = f"<span>{_break_words(column.title)}</span>"
    if scale is None:
        return f'<th scope="col"{meaning}>{title}</th>'
    ends = f"{scale.low:.2g} to {scale.high:.2g}{', log' if scale.is_log else ''}"
    return f'<th scope="col"{meaning}>{title}<small>{ends}</small></th>'


def _write_label(cell: Cell, place: str, anchors: Anchors) -> str:
    """Return the head of a row, which leads to what it tells of or else to itself."""
    target = anchors.find_row(cell.link) if cell.link else None
    text = _break_words(str(cell))
    link = f'<a href="#{target or place}">{text}</a>' if text else ""
    return f'<th scope="row"{_write_value(cell)}>{link}</th>'


def _write_cell(
    cell: Cell,
    scale: Scale | None,
    anchors: Anchors,
    embedded: Iterator[Embedded],
    section: str,
) -> str:
    if cell.picture is not None:
        figure = write_figure(cell.picture, next(embedded), anchors, section)
        return f"<td>{figure}</td>"
    text = escape(cell.text)
    target = anchors.find_row(cell.link) if cell.link else None
    if target:
        text = f'<a href="#{target}">{text}</a>'
    if cell.note:
        text += f" <small>{escape(cell.note)}</small>"
    if scale is not None and cell.value is not None:
        text += _write_bar(cell, scale)
    return f"<td{_write_value(cell)}>{text}</td>"


def _write_value(cell: Cell) -> str:
    """Return what a cell is sorted by, as an attribute; nothing for a text."""
    if cell.value is None or math.isnan(cell.value):
        return ""
    value = repr(float(cell.value)).replace("inf", "Infinity")
    return f' data-value="{value}"'


def _write_bar(cell: Cell, scale: Scale) -> str:
    """Return the interval of a cell to the scale of its column, in hundredths."""
    value = cell.value
    assert value is not None
    low = value if cell.low is None else cell.low
    high = value if cell.high is None else cell.high
    places = {"low": low, "high": high, "at": value}
    if scale.low <= 0 <= scale.high and not 0 < scale.place(0) < ASIDE:
        places["zero"] = 0.0
    style = ";".join(
        f"--{name}:{100 * scale.place(place):.1f}" for name, place in places.items()
    )
    return f'<i class="bar" aria-hidden="true" style="{style}"></i>'


def _break_words(text: str) -> str:
    """Return a text for HTML that may be broken after each underscore."""
    return escape(text).replace("_", "_<wbr>")
