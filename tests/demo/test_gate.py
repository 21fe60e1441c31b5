"""The gate alone, before a program that lets everything through."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from clip2latent_kedro.demo.gate import API, Gate
from clip2latent_kedro.demo.limits import Limits


def ask(gate, path, method="GET", body=b"", length=None, kind="http"):
    """Return status and content of an answer, or the type of another message."""
    sent = []
    size = str(len(body) if length is None else length).encode()
    headers = [(b"content-length", size)] if length != "" else []
    scope = {"type": kind, "path": path, "method": method, "headers": headers}
    pieces = [body[:10], body[10:]]

    async def receive():
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message):
        sent.append(message)

    # In a thread of its own: that of a browser's driver has a loop already.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(gate(scope, receive, send))).result()
    if kind != "http":
        return sent
    return sent[0]["status"], sent[1]["body"]


async def echo(scope, receive, send):
    """Answer with what was sent."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


async def fail(scope, receive, send):
    raise ValueError(scope["path"])


def test_what_is_sent_comes_through_as_it_was():
    body = json.dumps({"session_hash": "a", "data": [{"path": "/tmp/x.png"}]}).encode()
    answer = ask(Gate(echo, Limits()), f"{API}/queue/join", "POST", body)
    assert answer == (200, body)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/config", "POST"),
        ("/config", "DELETE"),
        (f"{API}/queue/join", "GET"),
        ("/queue/join", "POST"),
        ("/upload", "POST"),
        ("/assets/..", "GET"),
        ("/assets/a\\b", "GET"),
        ("/assets/\0", "GET"),
        ("/assetsx", "GET"),
    ],
)
def test_other_ways_are_shut(path, method):
    assert ask(Gate(echo, Limits()), path, method)[0] == 404


def test_what_does_not_say_how_long_it_is_is_refused():
    gate = Gate(echo, Limits())
    assert ask(gate, f"{API}/upload", "POST", length="")[0] == 411
    assert ask(gate, f"{API}/upload", "POST", length="-1")[0] == 411
    assert ask(gate, f"{API}/upload", "POST", length="9" * 5000)[0] == 413


def test_files_within_some_minutes_are_bounded():
    gate = Gate(echo, Limits(stored_bytes=250))
    answers = [ask(gate, f"{API}/upload", "POST", b"x" * 100) for _ in range(3)]
    assert [status for status, _ in answers] == [200, 200, 503]
    assert b"Try again in some minutes" in answers[2][1]


def test_a_failure_is_a_sentence_and_no_traceback():
    status, content = ask(Gate(fail, Limits()), "/config")
    assert status == 500
    assert json.loads(content) == {"detail": "Something went wrong here. Try again."}


def test_a_websocket_is_closed():
    assert ask(Gate(echo, Limits()), "/", kind="websocket") == [
        {"type": "websocket.close"}
    ]
