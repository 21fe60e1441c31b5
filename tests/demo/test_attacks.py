"""What is sent past the widgets of the page: refused, and nothing of others is told."""

import http.client
import http.server
import json
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from demo.demo_world import plain, store
from demo.visitor import API, Visitor, forget_all
from PIL import PngImagePlugin

PASSWORDS = "etc/passwd"


@pytest.fixture(scope="module")
def config(opened):
    yield Visitor(opened[1]).config
    forget_all(opened[0].service.sessions)


@pytest.fixture
def visitor(opened, config):
    made = Visitor(opened[1], config)
    yield made
    opened[0].service.sessions.forget(made.name)


def ask(address, path, method="GET", body=None):
    """Return status and content, of a path that nobody makes tidy."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    connection.request(method, path, body, {"content-type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/file=/{PASSWORDS}",
        f"/file=/{PASSWORDS}",
        f"{API}/file/{PASSWORDS}",
        f"{API}/file=pyproject.toml",
        f"{API}/file=../../../../../../{PASSWORDS}",
        f"/assets/../../../../../../../../{PASSWORDS}",
        f"/assets/%2e%2e%2f%2e%2e%2f%2e%2e%2f{PASSWORDS}",
        f"/static/..%2f..%2f..%2f..%2f{PASSWORDS}",
        f"/static//{PASSWORDS}",
        f"{API}/proxy=http://127.0.0.1:1/",
        f"{API}/proxy=https://x.hf.space/",
        f"{API}/file=http://127.0.0.1:1/",
        f"{API}/custom_component/1/client/component/../../{PASSWORDS}",
        f"{API}/stream/a/1/1/playlist.m3u8",
        f"{API}/vibe-code",
        f"{API}/openapi.json",
        "/openapi.json",
        "/docs",
        "/monitoring",
        "/monitoring/summary",
        f"{API}/deep_link",
    ],
)
def test_no_file_and_no_other_page_is_had(opened, path):
    status, content = ask(opened[1], path)
    assert status == 404
    assert json.loads(content) == {"detail": "There is nothing here."}


@pytest.mark.parametrize(
    "path",
    [
        "/run/_on_draw",
        "/api/predict",
        "/call/_on_draw",
        "/component_server",
        "/process_recording",
        "/vibe-edit",
        "/stream/x",
        "/login",
    ],
)
def test_nothing_is_open_to_programs(opened, path):
    status, _ = ask(opened[1], API + path, "POST", b"{}")
    assert status == 404


def test_the_page_itself_is_let_through(opened):
    for path in ("/", "/config", "/theme.css", f"{API}/startup-events"):
        assert ask(opened[1], path)[0] == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "must be JSON"),
        (b"[" * 100_000, "must be JSON"),
        (b"[]", "of which session"),
        (b'{"fn_index": 0, "data": []}', "of which session"),
        (b'{"session_hash": "%s"}' % (b"x" * 65), "at most 64 characters"),
        (b" " * (2**18 + 1), "at most 262,144 bytes"),
    ],
)
def test_what_is_no_event_is_told_in_a_sentence(opened, body, words):
    status, content = ask(opened[1], f"{API}/queue/join", "POST", body)
    assert status in (400, 413)
    assert words in json.loads(content)["detail"]


def test_what_waits_for_its_turn_cannot_be_had_past_the_queue(visitor):
    event = visitor.event("Draw")
    body = {"fn_index": event["id"], "data": [], "session_hash": visitor.name}
    answer = visitor.http.post(f"{API}/run/predict", json=body)
    assert answer.status_code in (401, 404)


def test_events_that_are_not_there_break_nothing(visitor):
    for index in (-1, 10_000, 2**70):
        answer = visitor.send(index, [])
        assert answer.outputs is None
        assert "Traceback" not in str(answer.error)


def test_a_file_of_this_machine_is_no_upload(visitor, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(store(plain((9, 9, 9))))
    for path in (str(secret), f"/tmp/../{secret}", "secret.png", ""):
        answer = visitor.bring(path, url=path, orig_name="x.png")
        assert answer.outputs is None
        assert secret.exists()


def test_an_upload_is_read_once_and_is_nobodys_to_fetch(visitor):
    path = visitor.upload(store(plain((200, 30, 30))))
    assert ask(str(visitor.http.base_url), f"{API}/file={path}")[0] == 404
    assert "The picture you brought" in visitor.bring(path).outputs[1]
    assert visitor.bring(path).outputs is None


def test_no_address_is_fetched(visitor):
    asked = []

    class Note(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        log_message = None

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Note) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for scheme in ("http", "HTTP", "file", "ftp"):
            answer = visitor.bring(f"{scheme}://127.0.0.1:{server.server_port}/a.png")
            assert answer.error == "A file must be brought, not named by an address."
        server.shutdown()
    assert not asked


def test_too_large_a_file_is_refused_before_it_is_stored(opened, visitor):
    most = opened[0].service.limits.upload_bytes
    assert visitor.upload(b"x" * (most + 1)).status_code == 413
    assert visitor.upload(b"x" * (most + 100_000)).status_code == 413


def test_a_name_of_a_file_is_no_path(visitor):
    path = visitor.upload(store(plain((1, 2, 3))), "../../../../evil<img src=x>.png")
    assert ".." not in path
    answer = visitor.bring(path)
    assert "<img src=x>" not in answer.outputs[1]


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("Guidance", float("nan")),
        ("Guidance", float("inf")),
        ("Guidance", -1e30),
        ("Guidance", "2"),
        ("Truncation", -5),
        ("Truncation", [1]),
        ("Pictures", 17),
        ("Pictures", -3),
        ("Pictures", 10**30),
        ("Pictures", None),
        ("Pictures", 2.5),
        ("Steps", 10**6),
        ("Steps", True),
        ("Sampler", "../x"),
        ("Sampler", {"a": 1}),
        ("Seed", -1),
        ("Seed", 2**32),
        ("Seed", float("nan")),
        ("Prompt", "x" * 10_000),
        ("Prompt", ""),
        ("Prompt", " \n\u200b".strip("\u200b")),
        ("Prompt", None),
        ("Prompt", "a|" * 20),
        ("Prompt", "a: 1e999 | b: 99"),
        ("Prompt", "|"),
        ("Not this", "y" * 301),
        ("Mix in", "z" * 301),
        ("Rows of w from there", ["all"]),
        ("Weight in the prompt", 1),
        ("Weight in the prompt", float("inf")),
    ],
)
def test_values_past_the_widgets_are_refused(visitor, label, value):
    answer = visitor.press("Draw", changes={label: value})
    assert answer.status == 200
    assert answer.outputs is None
    assert "Traceback" not in answer.error
    assert "went wrong" not in answer.error


@pytest.mark.parametrize("label", ["Prompt", "Sampler", "To", "Seed"])
def test_half_of_a_character_is_refused(visitor, label):
    button = "Draw" if label != "To" else "Download PNG"
    answer = visitor.press(button, changes={label: "half \ud800"})
    assert answer.status == 400
    assert "half of a character" in answer.error


@pytest.mark.parametrize(
    "prompt",
    [
        "👩‍🚀 mit Brille, 老人, رجل عجوز",
        "e" + "\u0301" * 20,
        "\0\1\x7f\u202e\ufeff",
        "<script>alert(1)</script>",
        "'; DROP TABLE pictures; --",
        "{{7*7}} ${7*7} <%= 7*7 %>",
        "../../etc/passwd",
    ],
)
def test_any_text_is_drawn_as_a_text(visitor, prompt):
    answer = visitor.press("Draw", changes={"Prompt": prompt, "Pictures": 1})
    assert len(answer.pictures) == 1
    assert "<script" not in answer.outputs[0]
    assert "{{" not in answer.outputs[0]
    assert "${" not in answer.outputs[0]


@pytest.mark.parametrize(
    "event_data",
    [
        None,
        {},
        {"drawing": 1},
        {"drawing": "x", "index": 0},
        {"drawing": 1e999, "index": -1},
        {"drawing": [], "index": {}},
        5,
        "x",
    ],
)
def test_a_picture_that_is_not_there_cannot_be_chosen(visitor, event_data):
    answer = visitor.press("c2l-pictures", "select", event_data=event_data)
    assert answer.outputs is None
    assert "Traceback" not in str(answer.error)


def test_pictures_of_others_are_not_to_be_had(opened, config):
    one, other = Visitor(opened[1], config), Visitor(opened[1], config)
    drawn = one.press("Draw", changes={"Pictures": 1})
    number = int(drawn.outputs[0].split('data-drawing="')[1].split('"')[0])
    place = {"drawing": number, "index": 0}
    assert one.press("c2l-pictures", "select", event_data=place).outputs is not None
    refused = other.press("c2l-pictures", "select", event_data=place)
    assert refused.outputs is None
    assert "no longer kept here" in refused.error
    opened[0].service.sessions.forget(one.name)


def store_with(text):
    """Return a PNG whose settings are a text, of JSON or not."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("clip2latent", text)
    return store(plain((90, 90, 90)), pnginfo=chunks)


@pytest.mark.parametrize(
    "text",
    [
        '{"prompt": ' + "[" * 400 + "]" * 400 + "}",
        '{"a": ' + '{"a":' * 400 + "1" + "}" * 401,
        '{"prompt": {"a": 1}, "seed": NaN}',
        '{"prompt": "a", "seed": 1e999}',
        '{"prompt": "a", "seed": -1, "sampling": []}',
        '{"prompt": "a", "image": 99999999999999999999}',
        '{"prompt": "a", "edits": [[1]]}',
        '{"prompt": "a", "edits": [{"name": "smile", "method": "direction", '
        '"strength": 1e999}]}',
        '{"prompt": "half \\ud800"}',
        '{"prompt": "a", "sampling": {"num_steps": 1e9, "sampler": "x"}}',
        "x" * 65_000,
        "[]",
        "",
    ],
)
def test_hostile_settings_are_refused_in_a_sentence(visitor, text):
    brought = visitor.bring(visitor.upload(store_with(text)))
    assert brought.error is None
    loaded = visitor.press("Load its settings")
    assert loaded.outputs is None
    assert "went wrong" not in loaded.error
    assert loaded.error.endswith((".", "&#x27;"))


def test_settings_that_a_file_has_inside_are_words_alone(visitor):
    hostile = '"><img src=x onerror=alert(1)>'
    settings = {"prompt": hostile, "seed": 1, "image": 0, "models": {"a": hostile}}
    brought = visitor.bring(visitor.upload(store_with(json.dumps(settings))))
    assert "its settings can be loaded" in brought.outputs[1]
    loaded = visitor.press("Load its settings")
    assert loaded.outputs[0] == hostile  # of a text box, which shows it as it is
    assert hostile not in loaded.outputs[-1]


def test_who_leaves_is_forgotten(opened, visitor):
    sessions, place = opened[0].service.sessions, urlsplit(opened[1])
    path = f"{API}/heartbeat/{visitor.name}"
    with socket.create_connection((place.hostname, place.port), timeout=30) as heart:
        heart.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
        assert b"200 OK" in heart.recv(1000)
        visitor.press("Draw", changes={"Pictures": 1})
        assert sessions.find(visitor.name).drawing is not None
    until = time.monotonic() + 20
    while sessions.find(visitor.name).drawing is not None:
        assert time.monotonic() < until
        time.sleep(0.05)
