import base64
import io
import re

import numpy as np
from PIL import Image

from clip2latent_kedro.study.page import Section, markdown_table, to_html, to_markdown

PICTURE = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
SECTIONS = [
    Section("Of <w>", ["1 < 2"], [("lead:", "a & b")], tables=[[["x|y"], ["<3>"]]]),
    Section("No rows", ["Not to be seen."], tables=[[["x", "y"]]]),
    Section("Seen", pictures={'a "picture"': PICTURE}),
]


def test_a_page_stands_alone():
    page = to_html("Title", "To begin with.", SECTIONS)
    assert page.startswith("<!DOCTYPE html>")
    for said in (
        "<title>clip2latent: title</title>",
        "<p>To begin with.</p>",
        '<li><a href="#s0">Of &lt;w&gt;</a></li>',
        '<h2 id="s0">Of &lt;w&gt;</h2>\n<p>1 &lt; 2</p>',
        "<li><b>lead:</b> a &amp; b</li>",
        "<tr><th>x|y</th></tr>\n<tr><td>&lt;3&gt;</td></tr>",
        '<h2 id="s1">Seen</h2>',
    ):
        assert said in page
    assert "Not to be seen." not in page
    assert "<p></p>" not in to_html("Title", "", SECTIONS)
    (url,) = re.findall(
        r'<img alt="a &quot;picture&quot;" src="data:image/png;base64,(.*?)">', page
    )
    shown = Image.open(io.BytesIO(base64.b64decode(url)))
    assert np.array_equal(np.asarray(shown), PICTURE)


def test_markdown_says_the_same_without_pictures():
    assert to_markdown("Title", "To begin with.", SECTIONS) == (
        "# Title\n\nTo begin with.\n\n## Of <w>\n\n1 < 2\n\n- **lead:** a & b\n\n"
        "| x/y |\n| --- |\n| <3> |\n"
    )


def test_a_table_has_a_row_for_each_row_of_cells():
    cells = [["a", "b"], ["1", ""], ["2", "3|4"]]
    assert markdown_table(cells) == (
        "| a | b |\n| --- | --- |\n| 1 |  |\n| 2 | 3/4 |\n"
    )
