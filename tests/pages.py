"""Pages of reports as what is in them, read without a browser."""

import base64
import io
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np
from PIL import Image

VOID = {"meta", "link", "img", "input", "br", "wbr", "hr"}


@dataclass
class Element:
    """An element with its attributes, children and text."""

    tag: str
    attributes: dict
    parent: "Element | None" = None
    children: list = field(default_factory=list)

    def every(self, *tags):
        """Return all elements below it with one of the tags, in their order."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                found += [child] if child.tag in tags else []
                found += child.every(*tags)
        return found

    @property
    def text(self):
        parts = (c if isinstance(c, str) else c.text for c in self.children)
        return "".join(parts).strip()


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.top = self.current = Element("document", {})

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"{tag} says {names}"
        element = Element(tag, dict(attrs), self.current)
        self.current.children.append(element)
        if tag not in VOID:
            self.current = element

    def handle_endtag(self, tag):
        assert tag == self.current.tag, f"{tag} ends {self.current.tag}"
        self.current = self.current.parent

    def handle_data(self, data):
        self.current.children.append(data)


def read_page(html):
    """Return the document of a page, all of whose elements end in their order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.current is reader.top, f"{reader.current.tag} does not end"
    return reader.top


def read_tables(html):
    """Return the cells of each table of a page as text, by its caption."""
    return {
        table.every("caption")[0].text: [
            [_read_cell(cell) for cell in row.every("th", "td")]
            for row in table.every("tr")
        ]
        for table in read_page(html).every("table")
    }


def read_facts(figure):
    """Return what is known of a picture, by name."""
    names, facts = figure.every("dt"), figure.every("dd")
    return {k.text: v.text for k, v in zip(names, facts, strict=True)}


def read_picture(url):
    """Return the picture that an address of a page holds, uint8 [h, w, 3]."""
    kind, _, content = url.partition(",")
    assert kind in ("data:image/png;base64", "data:image/webp;base64")
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        return np.asarray(image.convert("RGB"))


def _read_cell(cell):
    is_column = cell.attributes.get("scope") == "col"
    return cell.every("span")[0].text if is_column else cell.text
