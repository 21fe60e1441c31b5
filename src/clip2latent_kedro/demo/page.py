"""The page, in Gradio: which control asks the service for what.

Every visitor is known to the service by the hash of the Gradio session. No event is an
endpoint for programs, and no picture is a file on the server.
"""

import base64
import json
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from clip2latent_kedro.demo import pieces
from clip2latent_kedro.demo.controls import FOLDER, WELCOME, Controls
from clip2latent_kedro.demo.forms import read_draw, read_edit, settings_of
from clip2latent_kedro.demo.request import EditRequest, Way
from clip2latent_kedro.demo.results import Progress
from clip2latent_kedro.demo.service import Service
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference.records import slug_of

logger = logging.getLogger(__name__)

BROKEN = (
    "Something went wrong here, and has been noted. Try again, or change a setting."
)

_COMPUTES: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_limit": 4,
    "show_progress": "hidden",
}
_AT_ONCE: dict[str, Any] = {
    "api_visibility": "private",
    "queue": False,
    "show_progress": "hidden",
}


@contextmanager
def telling() -> Iterator[None]:
    """Turn what the visitor can mend into a sentence; note the rest, and say so."""
    try:
        yield
    except InputError as error:
        raise gr.Error(
            pieces.escape(error),
            title="This cannot be done",
            duration=12,
            print_exception=False,
        ) from None
    except gr.Error:
        raise
    except Exception:
        logger.exception("A request of the demo page failed.")
        raise gr.Error(BROKEN, title="Sorry", print_exception=False) from None


class Page:
    """The page of a service.

    Attributes:
        service: What computes.
        blocks: Of Gradio, to be launched.
    """

    def __init__(
        self, service: Service, examples: Sequence[str], about: str, title: str
    ) -> None:
        """Build the page.

        Args:
            service: Warm or not.
            examples: Prompts to click on.
            about: What the model is, as HTML.
            title: Of the window.
        """
        self.service = service
        with gr.Blocks(
            title=title, analytics_enabled=False, delete_cache=(300, 300)
        ) as self.blocks:
            self.controls = Controls(service, examples, about)
            self.names = self.controls.names
            self._connect(examples)

    def _connect(self, examples: Sequence[str]) -> None:
        here = self.controls
        shown = [
            here.gallery,
            here.status,
            here.editing,
            here.pair,
            here.chosen,
            here.wanted,
        ]
        drawing: dict[str, Any] = {
            "fn": self._on_draw,
            "inputs": [here.wanted, *here.draws, *here.edits],
            "outputs": shown,
            **_COMPUTES,
        }
        begun: list[Any] = [
            here.draw_button.click(**drawing),
            here.prompt.submit(**drawing),
            here.negative.submit(**drawing),
            vary := here.vary_button.click(**{**drawing, "fn": self._on_vary}),
            here.invert_button.click(self._on_invert, here.edits, shown, **_COMPUTES),
        ]
        for button, text in zip(here.examples, examples, strict=True):
            begun.append(
                button.click(_returning(text), outputs=here.prompt, **_AT_ONCE).then(
                    **drawing
                )
            )
        here.stop_button.click(
            self._on_stop, here.edits, shown, cancels=begun, **_AT_ONCE
        )
        here.random_button.click(_random_seed, outputs=here.seed, **_AT_ONCE)
        edited = [here.pair]
        here.gallery.select(
            self._on_choose,
            here.edits,
            [here.chosen, here.pair],
            **_COMPUTES,
        )
        gr.on(
            [slider.input for slider in (*here.sliders, here.text_strength)],
            self._on_edit,
            here.edits,
            edited,
            trigger_mode="always_last",
            **_COMPUTES,
        )
        gr.on(
            [
                here.target.submit,
                here.neutral.submit,
                here.text_way.input,
            ],
            self._on_edit,
            here.edits,
            edited,
            **_COMPUTES,
        )
        changed = [
            *here.sliders,
            here.text_strength,
            here.pair,
        ]
        here.reset_button.click(self._on_reset, here.chosen, changed, **_COMPUTES)
        vary.success(self._on_reset, here.chosen, changed, **_COMPUTES)
        here.way.input(
            self._on_way,
            [here.chosen, here.way],
            changed,
            **_COMPUTES,
        )
        here.download_button.click(
            self._on_download, here.edits, here.stored, **_COMPUTES
        ).then(
            None,
            here.stored,
            js=(FOLDER / "download.js").read_text(encoding="utf-8"),
            api_visibility="private",
        )
        here.file.upload(
            self._on_bring,
            here.file,
            [here.file, here.brought, here.found, here.weight],
            **{**_COMPUTES, "concurrency_limit": 1},  # a large one takes memory
        ).failure(lambda: None, outputs=here.file, **_AT_ONCE)
        here.load_button.click(
            self._on_load,
            here.found,
            [
                *here.draws,
                here.way,
                here.target,
                here.neutral,
                here.text_way,
                here.text_strength,
                *here.sliders,
                here.wanted,
                here.status,
            ],
            **_COMPUTES,
        )
        self.blocks.unload(self._on_leave)

    # What the controls do.

    def _on_draw(
        self, request: gr.Request, wanted: int, *values: Any
    ) -> Iterator[tuple[Any, ...]]:
        with telling():
            draws, edits = self._split(values)
            asked = read_draw(draws)
            came = self.service.draw(_name(request), asked)
            prompt = asked.prompt or "of the picture you brought"
            yield from self._show(came, prompt, asked.seed, edits, request, wanted)

    def _on_vary(
        self, request: gr.Request, wanted: int, *values: Any
    ) -> Iterator[tuple[Any, ...]]:
        with telling():
            draws, edits = self._split(values)
            edit = read_edit(edits, self.names)
            asked = read_draw([draws[0] or "a picture", *draws[1:]])
            came = self.service.vary(_name(request), asked, edit)
            still = self._cleared(edits)
            yield from self._show(came, "a variation", asked.seed, still, request)

    def _on_invert(self, request: gr.Request, *edits: Any) -> Iterator[tuple[Any, ...]]:
        with telling():
            came = self.service.invert(_name(request))
            yield from self._show(came, "found by inversion", 0, edits, request)

    def _on_stop(self, request: gr.Request, *edits: Any) -> tuple[Any, ...]:
        with telling():
            line = pieces.line("Stopped.")
            drawing = self.service.sessions.find(_name(request)).drawing
            if drawing is None:
                empty = pieces.empty_gallery(WELCOME)
                return empty, line, *([gr.skip()] * 4)
            there = Progress(drawing, len(drawing.images), 0.0, is_done=True)
            gallery = pieces.gallery(there, str(drawing.record.get("prompt", "")))
            place = (drawing.number, 0)
            pair = self._pair(place, edits, request)
            return gallery, line, gr.Column(visible=True), pair, place, 0

    def _on_choose(
        self, request: gr.Request, event: gr.EventData, *edits: Any
    ) -> tuple[Any, str]:
        with telling():
            place = (int(event.drawing), int(event.index))
            return place, self._pair(place, edits, request)

    def _on_edit(self, request: gr.Request, *edits: Any) -> str:
        with telling():
            return self._pair(edits[0], edits, request)

    def _on_reset(self, request: gr.Request, chosen: Any) -> list[Any]:
        with telling():
            plain = EditRequest(chosen[0], chosen[1])
            pair = pieces.before_and_after(self.service.edit(_name(request), plain))
            return [*([0] * len(self.controls.sliders)), 0, pair]

    def _on_way(self, request: gr.Request, chosen: Any, way: Way) -> list[Any]:
        with telling():
            most = self.service.edits.largest(way)
            names = self.service.edits.names[way]
            ranges = [
                gr.Slider(
                    minimum=-most,
                    maximum=most,
                    step=most / 40,
                    value=0,
                    visible=name in names,
                )
                for name in self.names
            ]
            plain = EditRequest(chosen[0], chosen[1], way=way)
            pair = pieces.before_and_after(self.service.edit(_name(request), plain))
            return [*ranges, 0, pair]

    def _on_download(self, request: gr.Request, *edits: Any) -> str:
        with telling():
            edit = read_edit(edits, self.names)
            name = _name(request)
            content = self.service.store(name, edit)
            drawing = self.service.sessions.find_drawing(name, edit.drawing)
            start = slug_of(str(drawing.record.get("prompt") or "picture"))
            seed = drawing.record.get("seed", 0)
            number = drawing.samples[edit.index]
            stored = {
                "name": f"{start or 'picture'}_{seed}_{number}.png",
                "content": base64.b64encode(content).decode(),
            }
            return json.dumps(stored)

    def _on_bring(self, request: gr.Request, path: str | None) -> tuple[Any, ...]:
        with telling():
            if path is None:
                return None, "", None, 0
            file = Path(path)
            try:
                with file.open("rb") as opened:
                    content = opened.read(self.service.limits.upload_bytes + 1)
            except FileNotFoundError as error:  # the same file of another visitor
                msg = "The file must still be there, but is not. Bring it again."
                raise InputError(msg) from error
            finally:
                file.unlink(missing_ok=True)
            upload = self.service.bring(_name(request), content)
            has_settings = upload.settings is not None
            shown = pieces.brought(upload.picture, has_settings=has_settings)
            return None, shown, upload.settings, 0 if has_settings else 1

    def _on_load(self, settings: Any) -> list[Any]:
        with telling():
            if settings is None:
                msg = (
                    "There must be a PNG that was stored here, got none. Bring one "
                    "first."
                )
                raise InputError(msg)
            loaded = self.service.read_settings(settings)
            told = ["Settings loaded: press Draw.", *loaded.notes]
            values = settings_of(loaded.request)
            edit = loaded.edit or EditRequest(0)
            way = (
                edit.way
                if edit.way in self.service.edits.names
                else self.controls.way.value
            )
            strengths = [edit.strengths.get(name, 0) for name in self.names]
            return [
                *values,
                way,
                edit.target,
                edit.neutral,
                edit.text_way,
                edit.text_strength if edit.has_text else 0,
                *strengths,
                loaded.index,
                pieces.line(" ".join(told)),
            ]

    def _on_leave(self, request: gr.Request) -> None:
        self.service.sessions.forget(_name(request))

    def _show(
        self,
        came: Iterator[Progress],
        prompt: str,
        seed: int,
        edits: Sequence[Any],
        request: gr.Request,
        wanted: int = 0,
    ) -> Iterator[tuple[Any, ...]]:
        """Yield what is shown of pictures that come; one is chosen in the end."""
        for progress in came:
            chosen = wanted if wanted < progress.total else 0
            gallery = pieces.gallery(progress, prompt, chosen=chosen)
            line = pieces.status(progress, seed)
            if not progress.is_done:
                yield gallery, line, *([gr.skip()] * 4)
                continue
            place = (progress.drawing.number, chosen)
            pair = self._pair(place, edits, request)
            yield gallery, line, gr.Column(visible=True), pair, place, 0

    def _pair(self, place: Any, edits: Sequence[Any], request: gr.Request) -> str:
        asked = read_edit([place, *edits[1:]], self.names)
        return pieces.before_and_after(self.service.edit(_name(request), asked))

    def _split(self, values: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        number = len(self.controls.draws)
        return values[:number], values[number:]

    def _cleared(self, edits: Sequence[Any]) -> list[Any]:
        """Return the values of the edits with nothing changed."""
        return [*edits[:5], 0, *([0] * len(self.controls.sliders))]


def _name(request: gr.Request) -> str:
    """Return the name of a visitor, which nobody else knows."""
    return str(request.session_hash)


def _random_seed() -> int:
    return random.SystemRandom().randint(0, 999_999)


def _returning(value: Any) -> Callable[[], Any]:
    return lambda: value
