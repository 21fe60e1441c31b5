"""Files of a server in this process, which breaks off, fails and lies as it is told."""

import hashlib
import logging
import resource
import threading
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import quote

import huggingface_hub.constants
import pytest

from clip2latent_kedro import downloads
from clip2latent_kedro.downloads import Licence, Source, transfer
from clip2latent_kedro.errors import InputError, MissingError

CONTENT = bytes(range(256)) * 5000  # 1.2 MiB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _online(monkeypatch):
    for name in ("CLIP2LATENT_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "FIRST_DELAY", 0.0)


@pytest.fixture
def url(server):
    server.files["/models/prior.safetensors"] = CONTENT
    return f"{server.url}/models/prior.safetensors"


def at(source, folder, **changes):
    """Return a source whose file is kept in a folder."""
    source = Source(source) if isinstance(source, str) else source
    return replace(source, cache_folder=folder, **changes)


def fetch(source, folder, **changes):
    return downloads.fetch(at(source, folder, **changes))


def fetch_a_part(url, folder, monkeypatch, **changes):
    """Give up after one attempt, which is to fail."""
    with monkeypatch.context() as patch:
        patch.setattr(transfer, "NUM_TRIES", 1)
        with pytest.raises(InputError) as caught:
            fetch(url, folder, **changes)
    return str(caught.value)


@contextmanager
def small_disk():
    """Let no file grow beyond 600 kB, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def visible(folder):
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def test_a_file_is_downloaded_once(server, url, tmp_path):
    path = fetch(f"{url}?download=true", tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert path.name.endswith("_prior.safetensors")
    assert fetch(f"{url}?download=true", tmp_path / "cache") == path
    assert len(server.requests) == 1
    assert visible(tmp_path / "cache") == [path]


def test_files_of_one_name_are_kept_apart(server, tmp_path):
    server.files |= {"/a/x.pkl": b"a", "/b/x.pkl": b"b"}
    found = [fetch(f"{server.url}/{name}/x.pkl", tmp_path) for name in "ab"]
    assert [path.read_bytes() for path in found] == [b"a", b"b"]


def test_a_broken_transfer_goes_on_where_it_ended(server, url, tmp_path):
    server.drops = [500_000, 300_000]
    assert fetch(url, tmp_path).read_bytes() == CONTENT
    asked = [asked for _, asked in server.requests]
    assert asked == [None, "bytes=500000-", "bytes=800000-"]


def test_a_later_run_goes_on_too(server, url, tmp_path, monkeypatch):
    server.drops = [500_000]
    told = fetch_a_part(url, tmp_path, monkeypatch)
    assert "ended after 500000 of 1280000 bytes" in told
    assert visible(tmp_path) == []
    assert downloads.find(at(url, tmp_path)) is None
    assert fetch(url, tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=500000-"]


@pytest.mark.parametrize("change", ["no ranges", "no name", "new content", "too long"])
def test_what_cannot_be_resumed_starts_over(server, url, tmp_path, monkeypatch, change):
    expected = CONTENT
    server.etag = None if change == "no name" else server.etag
    server.drops = [500_000]
    fetch_a_part(url, tmp_path, monkeypatch)
    server.ranges = change != "no ranges"
    if change == "new content":
        server.etag = '"second"'
        expected = server.files["/models/prior.safetensors"] = CONTENT[::-1]
    if change == "too long":
        (part,) = tmp_path.glob(".*.part")
        part.write_bytes(CONTENT + b"more")
    assert fetch(url, tmp_path).read_bytes() == expected


def test_transient_failures_are_tried_again_and_others_are_not(server, url, tmp_path):
    server.failures["/models/prior.safetensors"] = [503, 429, 500]
    assert fetch(url, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 4
    with pytest.raises(InputError, match=r"none.pkl could not be downloaded .*404"):
        fetch(f"{server.url}/none.pkl", tmp_path)
    assert len(server.requests) == 5
    server.failures["/models/prior.safetensors"] = [503] * 9
    with pytest.raises(InputError, match="503"):
        fetch(url, tmp_path / "other")
    assert len(server.requests) == 5 + transfer.NUM_TRIES


def test_the_checksum_decides(server, url, tmp_path):
    right = Source(url, sha256=DIGEST, num_bytes=len(CONTENT))
    wrong = Source(url, sha256="0" * 64)
    with pytest.raises(InputError, match=rf"SHA-256 {'0' * 64}, not {DIGEST}"):
        fetch(wrong, tmp_path)
    assert visible(tmp_path) == []
    assert not list(tmp_path.glob(".*.part"))
    path = fetch(right, tmp_path)
    assert downloads.fetch_file(at(right, tmp_path)).sha256 == DIGEST

    path.write_bytes(b"changed by someone")
    assert downloads.find(at(right, tmp_path)) is None
    assert downloads.find(at(url, tmp_path)) == path
    assert fetch(right, tmp_path).read_bytes() == CONTENT
    with pytest.raises(InputError, match="should have 3 bytes, not 1280000"):
        fetch(Source(url, num_bytes=3), tmp_path / "other")


def test_a_mirror_is_taken_where_the_first_address_fails(server, url, tmp_path):
    server.files["/bad.pkl"] = b"not what was expected"
    broken = f"{server.url}/none.pkl", f"{server.url}/bad.pkl"
    source = Source(broken[0], sha256=DIGEST, mirrors=(broken[1], url))
    path = fetch(source, tmp_path)
    assert path.read_bytes() == CONTENT
    assert downloads.fetch_file(at(source, tmp_path)).address == url
    asked = len(server.requests)
    assert fetch(source, tmp_path) == path
    assert len(server.requests) == asked

    nowhere = Source(broken[0], mirrors=(f"{server.url}/no.pkl",))
    with pytest.raises(InputError, match=r"none.pkl could not .*404.*nor: .*no.pkl"):
        fetch(nowhere, tmp_path)


@pytest.mark.parametrize("kind", ["", "datasets/"])
def test_hugging_face_is_asked_by_its_own_client(server, tmp_path, monkeypatch, kind):
    """The user's mirror of it comes first; what breaks off goes on."""
    path = f"/{kind}someone/x/resolve/main/folder/model%201.bin"
    server.files[path] = CONTENT
    server.drops = [500_000]
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/")
    source = at(Source(f"https://huggingface.co{path}", sha256=DIGEST), tmp_path)
    file = downloads.fetch_file(source)
    assert file.path.read_bytes() == CONTENT
    assert file.path == source.cached_path(file.address)
    assert file.address == server.url + path
    assert server.requests == [(path, None), (path, "bytes=500000-")]
    assert visible(tmp_path) == [file.path]
    assert not list(tmp_path.glob(".*.part*"))


@pytest.mark.parametrize(
    "name", ["../../../x.bin", "%2e%2e/..%2F..%2Fx.bin", "a%5C..%5C..%5Cx.bin", "{}"]
)
def test_an_address_never_says_where_a_file_is_written(
    server, tmp_path, monkeypatch, name
):
    """What others write into a configuration is not to overwrite what is here."""
    victim = tmp_path / "x.bin"
    victim.write_bytes(b"mine")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    path = f"/a/b/resolve/main/{name.format(quote(str(victim), safe=''))}"
    server.files[path] = CONTENT
    cache = tmp_path / "cache" / "of"
    fetched = fetch(server.url + path, cache)
    assert fetched.parent == cache
    assert fetched.read_bytes() == CONTENT
    assert victim.read_bytes() == b"mine"
    assert set(visible(tmp_path)) == {tmp_path / "cache", victim}


def test_what_the_hub_refuses_is_tried_again_or_taken_from_a_mirror(
    server, url, tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    server.files["/someone/x/resolve/main/busy.bin"] = b"busy"
    server.failures["/someone/x/resolve/main/busy.bin"] = [503, 429]
    path = fetch(f"{server.url}/someone/x/resolve/main/busy.bin", tmp_path)
    assert path.read_bytes() == b"busy"
    lacking = f"{server.url}/someone/x/resolve/main/none.bin"
    with pytest.raises(InputError, match=r"none.bin could not be downloaded .*404"):
        fetch(lacking, tmp_path)
    assert fetch(Source(lacking, mirrors=(url,)), tmp_path).read_bytes() == CONTENT


def test_the_licence_is_told_before_anything_is_fetched(server, url, tmp_path, caplog):
    licence = Licence("CC BY-NC 4.0", "https://example.org/licence")
    with caplog.at_level(logging.INFO):
        fetch(Source(url, licence=licence), tmp_path)
        fetch(f"{url}?again", tmp_path)
    first, second = (r.message for r in caplog.records if "Fetching" in r.message)
    assert "Its licence: CC BY-NC 4.0, https://example.org/licence." in first
    assert "Its licence: not stated." in second


@pytest.mark.parametrize("name", ["CLIP2LATENT_OFFLINE", "HF_HUB_OFFLINE", None])
def test_offline_says_what_to_put_where(server, url, tmp_path, monkeypatch, name):
    if name:
        monkeypatch.setenv(name, "1")
    switch = f"{name}=1" if name else "offline: true"
    with pytest.raises(InputError) as caught:
        fetch(url, tmp_path, offline=name is None)
    target = at(url, tmp_path).cached_path()
    assert str(caught.value) == (
        f"{url} is not on this machine and may not be fetched ({switch}). Fetch it on "
        f"a connected machine and put it at {target}, or give a local path in place of "
        f"the address."
    )
    assert server.requests == []

    target.parent.mkdir(exist_ok=True)
    target.write_bytes(CONTENT)
    assert fetch(url, tmp_path, offline=True) == target
    with pytest.raises(InputError, match=f"is here, but .* not {DIGEST}, and may not"):
        fetch(Source(url, sha256="0" * 64), tmp_path, offline=True)


def test_no_network_says_the_same(tmp_path):
    url = "http://127.0.0.1:1/a.pkl"
    with pytest.raises(InputError, match=r"a\.pkl could not be .*refused") as caught:
        fetch(url, tmp_path)
    assert f"put it at {at(url, tmp_path).cached_path()}" in str(caught.value)
    with pytest.raises(InputError, match="nonsense://host/a could not be downloaded"):
        fetch("nonsense://host/a", tmp_path)


def test_a_local_file_is_used_as_it_is(tmp_path):
    path = tmp_path / "a file.bin"
    path.write_bytes(CONTENT)
    for place in (str(path), path.as_uri()):
        assert fetch(place, tmp_path / "cache", offline=True) == path
        assert downloads.find(place) == path
        assert downloads.fetch_file(Source(place, sha256=DIGEST)).address is None
        with pytest.raises(InputError, match=r"file.bin should have the SHA-256"):
            downloads.fetch(Source(place, sha256="0" * 64))
    for place in (str(tmp_path / "none"), (tmp_path / "none").as_uri()):
        assert downloads.find(place) is None
        with pytest.raises(MissingError, match="none is expected to be a file, but"):
            downloads.fetch(place)


def test_other_file_systems_are_read_by_fsspec(tmp_path):
    import fsspec

    with fsspec.open("memory://bucket/prior.bin", "wb") as file:
        file.write(CONTENT)
    with small_disk(), pytest.raises(InputError, match="no room"):
        fetch("memory://bucket/prior.bin", tmp_path)
    assert fetch("memory://bucket/prior.bin", tmp_path).read_bytes() == CONTENT
    with pytest.raises(InputError, match=r"memory://bucket/none.* could not be"):
        fetch("memory://bucket/none.bin", tmp_path)


def test_two_at_a_time_fetch_once(server, url, tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(url, tmp_path)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(server.requests) == 1


def test_a_file_that_does_not_fit_is_refused_before_it_comes(server, url, tmp_path):
    server.claimed["/models/prior.safetensors"] = 1 << 60
    with pytest.raises(
        InputError, match=r"has no room for it \(.*1099511627776 MiB are"
    ):
        fetch(url, tmp_path)


def test_a_disk_that_fills_up_keeps_what_came(server, url, tmp_path):
    message = r"no room .* Make room and run again"
    with small_disk(), pytest.raises(InputError, match=message):
        fetch(url, tmp_path)
    (part,) = tmp_path.glob(".*.part")
    kept = part.stat().st_size
    assert 0 < kept <= 600_000
    assert fetch(url, tmp_path).read_bytes() == CONTENT
    assert server.requests[-1][1] == f"bytes={kept}-"


def test_a_cache_that_cannot_be_made_is_named(url, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(InputError, match=r"could not be downloaded .*cache"):
        fetch(url, tmp_path / "cache")
