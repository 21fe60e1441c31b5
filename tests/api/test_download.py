import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from clip2latent_kedro.api.download import cache_folder, fetch
from clip2latent_kedro.errors import InputError

CONTENT = bytes(range(256)) * 9000  # 2.2 MiB


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.append(self.path)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        kept = 1000 if self.path.startswith("/broken") else len(CONTENT)
        self.wfile.write(CONTENT[:kept])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.paths = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


def test_a_file_is_downloaded_once(server, tmp_path):
    url = f"{server.url}/models/prior.safetensors?download=true"
    path = fetch(url, tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert path.name.endswith("_prior.safetensors")
    assert fetch(url, tmp_path / "cache") == path
    assert len(server.paths) == 1


def test_files_of_one_name_are_kept_apart(server, tmp_path):
    paths = {fetch(f"{server.url}/{i}/prior.safetensors", tmp_path) for i in "ab"}
    assert len(paths) == 2


@pytest.mark.parametrize("name", ["missing", "broken"])
def test_a_failed_download_leaves_nothing_behind(server, tmp_path, name):
    reason = {"missing": "404", "broken": f"1000 of {len(CONTENT)} bytes"}[name]
    url = f"{server.url}/{name}.safetensors"
    with pytest.raises(InputError, match=f"could not be downloaded .*{reason}"):
        fetch(url, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_local_address_works_and_a_wrong_one_says_so(tmp_path):
    (tmp_path / "prior.bin").write_bytes(CONTENT)
    path = fetch((tmp_path / "prior.bin").as_uri(), tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    for url in ("file:///no/such.file", "nonsense://host/a", "http://127.0.0.1:1/a"):
        with pytest.raises(InputError, match=f"{url} could not be downloaded"):
            fetch(url, tmp_path / "cache")


def test_other_file_systems_are_read_by_fsspec(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://bucket/prior.bin", "wb") as file:
        file.write(CONTENT)
    path = fetch("memory://bucket/prior.bin", tmp_path)
    assert path.read_bytes() == CONTENT


def test_the_cache_is_where_the_user_keeps_such_things(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "clip2latent_kedro"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder().parts[-2:] == (".cache", "clip2latent_kedro")
