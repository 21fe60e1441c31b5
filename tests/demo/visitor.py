"""A visitor without a browser: what the page sends, sent by hand, or anything else."""

import json
import re
import secrets
from dataclasses import dataclass
from typing import Any

import httpx

API = "/gradio_api"
FILE = "PNG, JPEG or WebP"
_PICTURE = re.compile(r'src="(data:image/png;base64,[^"]+)"')


@dataclass(frozen=True)
class Answer:
    """What came back of an event.

    Attributes:
        status: Of HTTP, 200 where the event was taken.
        outputs: Of its last message; None where it failed.
        error: What the page would show; None where it did not fail.
    """

    status: int
    outputs: list[Any] | None
    error: str | None

    @property
    def pictures(self) -> list[str]:
        """The addresses of the pictures of the first output."""
        return _PICTURE.findall(self.outputs[0])


class Visitor:
    """Presses buttons of the page at an address."""

    def __init__(self, address, config=None):
        self.http = httpx.Client(base_url=address, timeout=120)
        self.name = secrets.token_hex(6)
        self.config = config or self.http.get("/config").json()
        self._parts = {part["id"]: part for part in self.config["components"]}

    def event(self, words, kind="click"):
        """Return the first event of the component of this label or caption."""
        for event in self.config["dependencies"]:
            for target, of_kind in event["targets"]:
                if of_kind == kind and self._words(target) == words:
                    return event
        msg = f"The page has no {words!r} that is to {kind}."
        raise LookupError(msg)

    def press(self, words, kind="click", changes=(), *, event_data=None):
        """Return the answer to an event whose inputs are as the page has them.

        Args:
            words: Label or caption of the component.
            kind: Of the event.
            changes: Other inputs, by their label.
            event_data: What comes with it.
        """
        event = self.event(words, kind)
        labels = [self._words(part) for part in event["inputs"]]
        values = [self._parts[part]["props"].get("value") for part in event["inputs"]]
        for place, part in enumerate(event["inputs"]):
            if self._parts[part]["type"] == "state":
                values[place] = None
        for name, value in dict(changes).items():
            values[labels.index(name)] = value
        return self.send(event["id"], values, event_data)

    def send(self, index, values, event_data=None):
        """Return the answer to an event by its number."""
        body = {"data": values, "fn_index": index, "session_hash": self.name}
        content = json.dumps({**body, "event_data": event_data, "trigger_id": None})
        headers = {"content-type": "application/json"}
        joined = self.http.post(f"{API}/queue/join", content=content, headers=headers)
        if joined.status_code != 200:
            return Answer(joined.status_code, None, joined.json().get("detail"))
        return self.listen(joined.json()["event_id"])

    def listen(self, event_id):
        """Return the answer to an event that is in the queue."""
        address = f"{API}/queue/data"
        with self.http.stream("GET", address, params={"session_hash": self.name}) as r:
            for line in r.iter_lines():
                message = json.loads(line[6:]) if line.startswith("data: ") else {}
                if message.get("msg") == "process_completed":
                    if message["event_id"] != event_id:
                        continue
                    output = message["output"]
                    if message["success"]:
                        return Answer(200, output["data"], None)
                    return Answer(200, None, str(output.get("error")))
        return Answer(200, None, "The stream ended early.")

    def upload(self, content, name="picture.png"):
        """Return the path of a file that was brought, or the answer that refused it."""
        sent = self.http.post(f"{API}/upload", files={"files": (name, content)})
        return sent.json()[0] if sent.status_code == 200 else sent

    def bring(self, path, **more):
        """Return the answer to a file that is named as an upload."""
        file = {"path": path, "meta": {"_type": "gradio.FileData"}, **more}
        return self.press(FILE, "upload", {FILE: file})

    def _words(self, part):
        props = self._parts[part]["props"]
        if self._parts[part]["type"] == "button":
            return props.get("value")
        return props.get("label") or props.get("elem_id")


def forget_all(sessions):
    """Leave nothing of one module's visitors to the next."""
    for name in [*sessions._kept]:
        sessions.forget(name)
