"""What stands before Gradio: only what the page needs is let through.

Gradio has many more routes than the page uses: for programs, for files on the server,
for recordings, for pages elsewhere. They are shut, bodies are bounded, and a failure is
a sentence rather than a traceback.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from clip2latent_kedro.demo.limits import Limits

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Program = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

API = "/gradio_api"
READ = (
    *("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"),
    *("/user", "/app_id", "/info", "/startup-events", "/theme.css"),
    *("/queue/data", "/queue/status", "/upload_progress"),
)
"""Paths that are read, some of them after `API`."""
READ_BELOW = ("/assets/", "/static/", f"{API}/heartbeat/")
EVENTS = ("/queue/join", "/run/predict")  # the second for those that never wait
WRITTEN = (*EVENTS, "/upload", "/cancel", "/reset")
"""Paths that something is sent to, after `API`."""
MOST_JSON = 256 * 2**10  # bytes; all texts of a request are less
MOST_FRAME = 64 * 2**10  # bytes around a file in its form
KEPT_SECONDS = 600  # after which Gradio has deleted a file that nobody used


class Gate:
    """Lets through what the page needs, and bounds what is sent."""

    def __init__(self, app: Program, limits: Limits) -> None:
        """Stand before a program, as ASGI has them."""
        self._app = app
        self._limits = limits
        self._brought: deque[tuple[float, int]] = deque()

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        has_begun = False

        async def note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            refused = self._refuse(scope)
            is_event = scope["path"].removeprefix(API) in EVENTS
            if refused is None and is_event:
                body = await _read(receive)
                refused = _refuse_json(body)
                receive = _again(body, receive)
            if refused is not None:
                await _answer(send, *refused)
                return
            await self._app(scope, receive, note)
        except Exception:
            logger.exception("A request of the demo page failed: %s.", scope["path"])
            if not has_begun:
                await _answer(send, 500, "Something went wrong here. Try again.")

    def _refuse(self, scope: MutableMapping[str, Any]) -> tuple[int, str] | None:
        """Return status and words of an answer that needs no look at the body."""
        path, method = str(scope["path"]), scope["method"]
        if not _is_known(path, method):
            return 404, "There is nothing here."
        if method != "POST":
            return None
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit():
            return 411, "What is sent must say how long it is."
        most = MOST_JSON
        if path == f"{API}/upload":
            most = self._limits.upload_bytes + MOST_FRAME
        if int(length[:20]) > most:
            return 413, f"What is sent must be at most {most:,} bytes. Send less."
        if path == f"{API}/upload" and not self._has_room(int(length)):
            return 503, "Too many files have been brought. Try again in some minutes."
        return None

    def _has_room(self, num_bytes: int) -> bool:
        """Return whether a file may be stored beside those of the last minutes."""
        now = time.monotonic()
        while self._brought and self._brought[0][0] < now - KEPT_SECONDS:
            self._brought.popleft()
        stored = sum(size for _, size in self._brought)
        if stored + num_bytes > self._limits.stored_bytes:
            return False
        self._brought.append((now, num_bytes))
        return True


def _is_known(path: str, method: str) -> bool:
    """Return whether the page needs a path."""
    if any(each in path for each in ("..", "//", "\\", "\0")):
        return False
    below = path.removeprefix(API)
    if method == "POST":
        return path.startswith(API) and below in WRITTEN
    if method not in ("GET", "HEAD"):
        return False
    return path in READ or below in READ or path.startswith(READ_BELOW)


async def _read(receive: Receive) -> bytes:
    """Return the body, whose length has been checked."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that has been read once more."""
    is_given = False

    async def give() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


def _refuse_json(body: bytes) -> tuple[int, str] | None:
    """Return status and words for what is no JSON, or would have a file fetched."""
    try:
        sent = json.loads(body)
        is_address = _names_address(sent)
        json.dumps(sent, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # Gradio could not even tell what is wrong with it
        return 400, "Texts must be plain, got half of a character. Type it again."
    except (ValueError, RecursionError):
        return 400, "What is sent must be JSON."
    if not isinstance(sent, dict) or not isinstance(sent.get("session_hash"), str):
        return 400, "What is sent must say of which session it is."
    if len(sent["session_hash"]) > 64:
        return 400, "The name of a session must be at most 64 characters."
    if is_address:
        return 400, "A file must be brought, not named by an address."
    return None


def _names_address(sent: Any) -> bool:
    """Return whether something has a path that is no local one."""
    if isinstance(sent, dict):
        path = sent.get("path")
        is_address = isinstance(path, str) and "://" in path
        return is_address or any(map(_names_address, sent.values()))
    return isinstance(sent, list) and any(map(_names_address, sent))


async def _answer(send: Send, status: int, words: str) -> None:
    body = json.dumps({"detail": words}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
