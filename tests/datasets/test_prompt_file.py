"""Text files of prompts, as lines and as a table."""

import pytest
from kedro.io import DatasetError

from clip2latent_kedro.datasets import PromptFileDataset, PromptTableDataset


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("an old man\n\n  a café \n", encoding="utf-8")
    return path


def test_lines(path):
    dataset = PromptFileDataset(filepath=str(path))
    assert dataset.load() == "an old man\n\n  a café \n"
    assert dataset.exists()
    assert dataset.fetch_files()["text"].path == path
    assert dataset._describe() == {"filepath": str(path)}


def test_no_file():
    dataset = PromptFileDataset(filepath=None)
    assert dataset.load() is None
    assert dataset.fetch_files() == {}
    assert dataset.exists()


@pytest.mark.parametrize("place", ["path", "address"])
def test_a_table_with_a_prefix(path, place):
    filepath = str(path) if place == "path" else path.as_uri()
    dataset = PromptTableDataset(filepath=filepath, prefix="a photograph of ")
    expected = ["a photograph of an old man", "a photograph of a café"]
    assert dataset.load().to_dict("list") == {"prompt": expected}
    preview = dataset.preview(nrows=1)
    assert preview["columns"] == ["prompt"]
    assert preview["data"] == [[expected[0]]]
    assert dataset._describe() == {"filepath": filepath, "prefix": "a photograph of "}


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (PromptTableDataset, None, r"is expected to be a file, but"),
        (PromptFileDataset, b"\xff\xfe", "must be a text file of prompts, but"),
        (PromptTableDataset, b"\xff\xfe", "must be a text file of prompts, but"),
        (PromptTableDataset, b"\n \n", "must have a prompt a line"),
    ],
)
def test_what_is_no_text_is_named(kind, content, message, tmp_path):
    path = tmp_path / "prompts.txt"
    if content is not None:
        path.write_bytes(content)
    dataset = kind(filepath=str(path))
    assert dataset.exists() == (content is not None)
    with pytest.raises(DatasetError, match=message):
        dataset.load()


def test_a_table_of_no_file_is_empty_and_none_is_written(tmp_path):
    table = PromptTableDataset(filepath=str(tmp_path / "none.txt"))
    assert table.preview()["data"] == []
    with pytest.raises(DatasetError, match="read-only"):
        table.save("anything")
