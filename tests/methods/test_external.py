"""Pictures that another system has made of the prompts."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from world import PROMPTS, make_queries

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.external import External, ExternalSettings
from clip2latent_kedro.methods.method import UnavailableError

TEXTS = [row["prompt"] for row in PROMPTS]


def build(folder):
    return External.build(ExternalSettings(str(folder)), None, make_queries())


@pytest.fixture
def folder(tmp_path):
    """Two pictures of the last prompt and two of the first, none of the second."""
    colours = {"a": (255, 0, 0), "b": (0, 255, 0), "c/d": (0, 0, 255), "e": (9, 9, 9)}
    (tmp_path / "c").mkdir()
    for name, colour in colours.items():
        Image.new("RGB", (6, 4), colour).save(tmp_path / f"{name}.png")
    rows = [("b.png", TEXTS[2]), ("a.png", f" {TEXTS[0]} "), ("c/d.png", TEXTS[2])]
    rows += [("e.png", TEXTS[0]), ("e.png", "a prompt of no one")]
    lines = ["file_name,prompt", *(f'{name},"{text}"' for name, text in rows)]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    return tmp_path


def test_pictures_of_another_system_are_answers_in_their_order(folder, caplog):
    row = build(folder)
    assert row.prompts == [0, 2]
    assert row.timed(2.0) is None
    queries = make_queries().take([0, 2])
    samples = row.sample(queries, num_samples=5, seed=0)
    images = row.synthesise(samples.flatten(0, 1))
    assert images.shape == (4, 3, 4, 4)  # the middle squares
    colours = (images[:, :, 0, 0] + 1) * 127.5
    expected = [[255, 0, 0], [9, 9, 9], [0, 255, 0], [0, 0, 255]]
    np.testing.assert_allclose(colours, expected, atol=1e-4)
    assert "no picture of 1 of 3 prompts, the first: '-1 0.5 0'" in caplog.text


def test_a_table_in_lines_of_json_says_the_same(folder):
    first = build(folder)
    (folder / "metadata.csv").unlink()
    rows = [{"file_name": n, "text": TEXTS[2]} for n in ("b.png", "c/d.png")]
    rows += [{"file_name": n, "text": TEXTS[0]} for n in ("a.png", "e.png")]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert build(folder).made_with == first.made_with


def test_other_pictures_are_other_answers(folder):
    before = build(folder).made_with
    Image.new("RGB", (6, 4), (1, 2, 3)).save(folder / "a.png")
    assert build(folder).made_with != before


def test_a_prompt_with_more_pictures_than_another_keeps_the_first(folder, caplog):
    with (folder / "metadata.csv").open("a") as lines:
        lines.write(f"\na.png,{TEXTS[2]}")
    row = build(folder)
    samples = row.sample(make_queries(2), num_samples=9, seed=0)
    assert samples.tolist() == [[0, 1], [2, 3]]
    assert "more than 2 pictures; the first 2 of each count" in caplog.text


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "must have a metadata.csv or metadata.jsonl, got neither"),
        ("file_name,title\na.png,x", "must have file_name and prompt (or text) in"),
        ("file_name,text\na.png,x", "must have pictures of the 3 prompts of the"),
        ("file_name,text\nz.png,1 0 0", "names 'z.png', which is not in its folder"),
        ("file_name,text\n../x.png,1 0 0", "names '../x.png', which is not in its"),
        ("file_name,text\n\xff\xfe", "must be a table in UTF-8, but cannot be read"),
    ],
)
def test_a_wrong_folder_is_refused(folder, table, message):
    (folder.parent / "x.png").write_bytes(b"")
    (folder / "metadata.csv").unlink()
    if table is not None:
        (folder / "metadata.csv").write_bytes(table.encode("latin1"))
    with pytest.raises(InputError, match=re.escape(message)):
        build(folder)


def test_a_folder_that_is_not_set_or_not_there(tmp_path):
    with pytest.raises(InputError, match=r"^folder must be a folder of pictures"):
        build("")
    with pytest.raises(UnavailableError, match=r"which is not there. Put the pictures"):
        build(tmp_path / "none")


def test_pictures_must_be_pictures_and_of_one_size(folder):
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    method = build(folder)
    with pytest.raises(InputError, match=r"must be of one size, got 4 px, 8 px"):
        method.synthesise(torch.arange(4))
    (folder / "a.png").write_bytes(b"no picture")
    method = build(folder)
    with pytest.raises(InputError, match=r"a.png must be a picture, but cannot be"):
        method.synthesise(torch.arange(4))
