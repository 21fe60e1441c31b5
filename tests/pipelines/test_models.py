"""The nodes, on files and entries of this test; `test_environments` runs the whole."""

import hashlib

import pytest

from clip2latent_kedro.datasets import FileCopyDataset
from clip2latent_kedro.downloads import FetchedFile, Licence, Source, fetch_file
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pipelines.models.nodes import (
    COLUMNS,
    export_generator,
    fetch_entries,
    list_files,
)


class Entry:
    """A catalog entry with the files that it is given."""

    def __init__(self, **files):
        self.files = files

    def fetch_files(self):
        return self.files


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.pkl"
    path.write_bytes(b"weights")
    licence = Licence("MIT", "https://example.org")
    return fetch_file(Source(str(path), licence=licence))


def test_each_file_has_a_row(weights, tmp_path):
    files = fetch_entries({"generator": Entry(weights=weights), "judge": Entry()})
    table = list_files(files)
    assert list(table.columns) == COLUMNS
    (row,) = table.to_dict("records")
    assert row == {
        "entry": "generator",
        "part": "weights",
        "address": None,
        "path": str(tmp_path / "weights.pkl"),
        "sha256": hashlib.sha256(b"weights").hexdigest(),
        "num_bytes": 7,
        "licence": "MIT",
        "licence_address": "https://example.org",
    }
    assert list(list_files({}).columns) == COLUMNS


def test_the_log_says_whether_anything_was_needed(weights, caplog):
    caplog.set_level("INFO")
    fetch_entries({"generator": Entry(weights=weights)})
    assert caplog.messages == [
        "Nothing to fetch: this environment has all its files here."
    ]
    caplog.clear()
    far = FetchedFile(weights.source, "https://a.org/x", weights.path, "0", 7)
    fetch_entries({"generator": Entry(weights=far), "encoder": Entry(weights=far)})
    assert caplog.messages == ["Files from 1 addresses are here."]


def test_every_missing_file_is_named_when_the_others_are_here(weights):
    class Missing(Entry):
        def fetch_files(self):
            raise InputError("It is nowhere.")

    class Later(Entry):
        def fetch_files(self):
            self.was_asked = True
            return {}

    later = Later()
    entries = {"generator": Missing(), "judge": later, "encoder": Missing()}
    message = r"^generator: It is nowhere\.\nencoder: It is nowhere\.$"
    with pytest.raises(InputError, match=message):
        fetch_entries(entries)
    assert later.was_asked


def test_the_generator_is_exported_as_safetensors(weights, tmp_path):
    safe = tmp_path / "converted.safetensors"
    safe.write_bytes(b"converted")
    converted = fetch_file(str(safe))
    parts = {"weights": weights, "converted": converted}
    assert export_generator({"generator": parts}) == safe
    assert export_generator({"generator": {"weights": converted}}) == safe
    assert export_generator({"generator": {"weights": weights}}) == {}
    assert export_generator({}) == {}

    copy = FileCopyDataset(filepath=str(tmp_path / "made" / "g.safetensors"))
    copy.save({})
    assert not copy.exists()
    with pytest.raises(Exception, match=r"does not exist. Run the pipeline"):
        copy.load()
    copy.save(safe)
    assert copy.load().read_bytes() == b"converted"
    assert [path.name for path in copy.load().parent.iterdir()] == ["g.safetensors"]
