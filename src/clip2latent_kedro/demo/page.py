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

from clip2latent_kedro.demo import pieces, words
from clip2latent_kedro.demo.forms import read_draw, read_edit, settings_of
from clip2latent_kedro.demo.request import LARGEST_SEED, WAYS, EditRequest, Way
from clip2latent_kedro.demo.service import Progress, Service
from clip2latent_kedro.demo.uploads import ENDINGS
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference.records import slug_of

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
NOTHING = (0, 0)  # no drawing has the number 0
BROKEN = (
    "Something went wrong here, and has been noted. Try again, or change a setting."
)
WELCOME = "Type what you would like to see, or choose an example."
MEANT_FOR = "1 is none; more follows the words more closely, with less variety"

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
    """The controls of the page, and what they do.

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
            gr.HTML(
                f"<h1>clip2<span>latent</span></h1><p>{pieces.escape(words.SUBTITLE)}"
                f"</p>",
                elem_id="c2l-head",
            )
            self.chosen = gr.State(NOTHING)
            self.found = gr.State(None)  # settings inside the PNG that was brought
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=320):
                    self._add_prompt(examples)
                    self._add_settings()
                    self._add_picture()
                    self._add_mixing()
                with gr.Column(scale=8, min_width=320):
                    self._add_gallery()
                    self._add_editing()
            with gr.Accordion("What this is, and what it cannot do", open=True):
                gr.HTML(about)
            self._connect(examples)

    def _add_prompt(self, examples: Sequence[str]) -> None:
        most = self.service.limits.text
        self.prompt = gr.Textbox(
            label="Prompt",
            info=words.PROMPT_HELP,
            lines=2,
            max_lines=4,
            max_length=most,
            value=examples[0] if examples else "",
            elem_id="c2l-prompt",
        )
        self.negative = gr.Textbox(
            label="Not this",
            info="Led away from, where guidance is above 1; likewise in parts",
            lines=1,
            max_length=most,
        )
        with gr.Row():
            self.draw_button = gr.Button("Draw", variant="primary", scale=3)
            self.stop_button = gr.Button("Stop", scale=1, min_width=80)
        with gr.Row(elem_classes="c2l-chips"):
            self.examples = [gr.Button(text, size="sm") for text in examples]

    def _add_settings(self) -> None:
        service, defaults = self.service, self.service.defaults
        low, high = service.guidance_range
        with gr.Accordion("Settings", open=True):
            with gr.Row():
                self.num_images = gr.Slider(
                    1,
                    service.limits.images,
                    defaults.num_images,
                    step=1,
                    label="Pictures",
                )
                self.rank = gr.Checkbox(
                    False, label="Best first", info="Sorted by CLIP score"
                )
            with gr.Row():
                self.guidance = gr.Slider(
                    low,
                    high,
                    defaults.guidance_scale,
                    step=0.05,
                    label="Guidance",
                    info=MEANT_FOR,
                )
                self.psi = gr.Slider(
                    0,
                    1.5,
                    defaults.psi,
                    step=0.05,
                    label="Truncation",
                    info="1 is none; 0 draws the average picture",
                )
            with gr.Row(visible=not service.is_one_step):
                self.sampler = gr.Dropdown(
                    ["dpmpp_2m", "unipc", "ddim", "ddpm"],
                    value=defaults.sampler,
                    label="Sampler",
                )
                self.steps = gr.Slider(
                    1,
                    min(100, service.limits.steps),
                    defaults.num_steps,
                    step=1,
                    label="Steps",
                )
            with gr.Row(equal_height=True):
                self.seed = gr.Number(
                    0, label="Seed", precision=0, minimum=0, maximum=LARGEST_SEED
                )
                self.random_button = gr.Button("New seed", scale=0, min_width=120)

    def _add_picture(self) -> None:
        with gr.Accordion("Picture", open=False):
            self.file = gr.File(
                label="Bring a picture, or a PNG stored here",
                file_types=list(ENDINGS),
                height=120,
            )
            self.brought = gr.HTML("")
            self.weight = gr.Slider(
                -2,
                2,
                0,
                step=0.1,
                label="Weight in the prompt",
                info="0 leaves it out; the text has 1",
            )
            with gr.Row():
                self.invert_button = gr.Button("Invert and edit it")
                self.load_button = gr.Button("Load its settings")

    def _add_mixing(self) -> None:
        with gr.Accordion("Style mixing", open=False):
            self.mix = gr.Textbox(
                label="Mix in",
                info="Another prompt, or a seed; empty for nothing",
                max_length=self.service.limits.text,
            )
            self.rows = gr.CheckboxGroup(
                ["coarse", "middle", "fine"],
                value=["fine"],
                label="Rows of w from there",
                info="Coarse: pose and shape; fine: colours, as far as it knows them "
                "apart",
            )

    def _add_gallery(self) -> None:
        self.gallery = gr.HTML(
            pieces.empty_gallery(WELCOME),
            js_on_load=(FOLDER / "page.js").read_text(encoding="utf-8"),
            elem_id="c2l-pictures",
        )
        self.status = gr.HTML(pieces.line("Ready."), elem_id="c2l-line")

    def _add_editing(self) -> None:
        ways = self.service.edits.names
        first: Way | None = next(iter(ways), None)
        with gr.Group(visible=False) as self.editing, gr.Column():
            self.pair = gr.HTML("", elem_id="c2l-editor", padding=True)
            with gr.Row():
                self.vary_button = gr.Button("Variations of it")
                self.reset_button = gr.Button("Undo the edits")
                self.download_button = gr.Button("Download PNG")
            self.way = gr.Dropdown(
                [(WAYS[way], way) for way in ways],
                value=first,
                label="Edit by",
                visible=first is not None,
            )
            self.names: list[str] = list(
                dict.fromkeys(name for names in ways.values() for name in names)
            )
            self.sliders: list[gr.Slider] = []
            for start in range(0, len(self.names), 2):
                with gr.Row():
                    self.sliders += [
                        self._slider(name, first)
                        for name in self.names[start : start + 2]
                    ]
            self._add_text_edit()
        self.stored = gr.Textbox(visible=False)

    def _slider(self, name: str, way: Way | None) -> gr.Slider:
        assert way is not None
        most = self.service.edits.largest(way)
        return gr.Slider(
            -most,
            most,
            0,
            step=most / 40,
            label=name.replace("_", " ").capitalize(),
            visible=name in self.service.edits.names[way],
        )

    def _add_text_edit(self) -> None:
        most = self.service.limits.text
        ways = [w for w in ("prior", "global_directions") if w in self._text_ways()]
        with gr.Accordion("Edit by words", open=False):
            with gr.Row():
                self.neutral = gr.Textbox(
                    label="From",
                    placeholder=self.service.neutral or "a person",
                    max_length=most,
                )
                self.target = gr.Textbox(
                    label="To", placeholder="a person with a hat", max_length=most
                )
            with gr.Row():
                self.text_strength = gr.Slider(
                    -2, 4, 0, step=0.1, label="Strength of these words"
                )
                self.text_way = gr.Dropdown(
                    [(WAYS[w], w) for w in ways],  # type: ignore[index]
                    value="prior",
                    label="By",
                    visible=len(ways) > 1,
                )

    def _text_ways(self) -> list[str]:
        return ["prior", *(w for w in self.service.edits.names if w != "prior")]

    def _connect(self, examples: Sequence[str]) -> None:
        self._draws = [
            self.prompt,
            self.negative,
            self.weight,
            self.num_images,
            self.guidance,
            self.psi,
            self.sampler,
            self.steps,
            self.seed,
            self.rank,
            self.mix,
            self.rows,
        ]
        self._edits = [
            self.chosen,
            self.way,
            self.target,
            self.neutral,
            self.text_way,
            self.text_strength,
            *self.sliders,
        ]
        shown = [self.gallery, self.status, self.editing, self.pair, self.chosen]
        drawing: dict[str, Any] = {
            "fn": self._on_draw,
            "inputs": [*self._draws, *self._edits],
            "outputs": shown,
            **_COMPUTES,
        }
        begun = [
            self.draw_button.click(**drawing),
            self.prompt.submit(**drawing),
            self.negative.submit(**drawing),
            self.vary_button.click(**{**drawing, "fn": self._on_vary}),
            self.invert_button.click(self._on_invert, self._edits, shown, **_COMPUTES),
        ]
        for button, text in zip(self.examples, examples, strict=True):
            begun.append(
                button.click(_returning(text), outputs=self.prompt, **_AT_ONCE).then(
                    **drawing
                )
            )
        self.stop_button.click(
            lambda: pieces.line("Stopped."),
            outputs=self.status,
            cancels=begun,
            **_AT_ONCE,
        )
        self.random_button.click(_random_seed, outputs=self.seed, **_AT_ONCE)
        edited = [self.pair]
        self.gallery.select(
            self._on_choose, self._edits, [self.chosen, self.pair], **_COMPUTES
        )
        gr.on(
            [slider.input for slider in (*self.sliders, self.text_strength)],
            self._on_edit,
            self._edits,
            edited,
            trigger_mode="always_last",
            **_COMPUTES,
        )
        gr.on(
            [self.target.submit, self.neutral.submit, self.text_way.input],
            self._on_edit,
            self._edits,
            edited,
            **_COMPUTES,
        )
        changed = [*self.sliders, self.text_strength, self.pair]
        self.reset_button.click(self._on_reset, self.chosen, changed, **_COMPUTES)
        self.way.input(self._on_way, [self.chosen, self.way], changed, **_COMPUTES)
        self.download_button.click(
            self._on_download, self._edits, self.stored, **_COMPUTES
        ).then(
            None,
            self.stored,
            js=(FOLDER / "download.js").read_text(encoding="utf-8"),
            api_visibility="private",
        )
        self.file.upload(
            self._on_bring,
            self.file,
            [self.file, self.brought, self.found, self.weight],
            **_COMPUTES,
        )
        self.load_button.click(
            self._on_load,
            self.found,
            [
                *self._draws,
                self.way,
                self.target,
                self.neutral,
                self.text_way,
                self.text_strength,
                *self.sliders,
                self.status,
            ],
            **_COMPUTES,
        )
        self.blocks.unload(self._on_leave)

    # What the controls do.

    def _on_draw(self, *values: Any, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        with telling():
            draws, edits = self._split(values)
            asked = read_draw(draws)
            came = self.service.draw(_name(request), asked)
            prompt = asked.prompt or "of the picture you brought"
            yield from self._show(came, prompt, asked.seed, edits, request)

    def _on_vary(self, *values: Any, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        with telling():
            draws, edits = self._split(values)
            edit = read_edit(edits, self.names)
            asked = read_draw([draws[0] or "a picture", *draws[1:]])
            came = self.service.vary(_name(request), asked, edit)
            still = self._cleared(edits)
            yield from self._show(came, "a variation", asked.seed, still, request)

    def _on_invert(self, *edits: Any, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        with telling():
            came = self.service.invert(_name(request))
            yield from self._show(came, "found by inversion", 0, edits, request)

    def _on_choose(
        self, *edits: Any, request: gr.Request, event: gr.EventData
    ) -> tuple[Any, str]:
        with telling():
            place = (int(event.drawing), int(event.index))
            return place, self._pair(place, edits, request)

    def _on_edit(self, *edits: Any, request: gr.Request) -> str:
        with telling():
            return self._pair(edits[0], edits, request)

    def _on_reset(self, chosen: Any, request: gr.Request) -> list[Any]:
        with telling():
            plain = EditRequest(*chosen)
            pair = pieces.before_and_after(self.service.edit(_name(request), plain))
            return [*([0] * len(self.sliders)), 0, pair]

    def _on_way(self, chosen: Any, way: Way, request: gr.Request) -> list[Any]:
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
            plain = EditRequest(*chosen, way=way)
            pair = pieces.before_and_after(self.service.edit(_name(request), plain))
            return [*ranges, 0, pair]

    def _on_download(self, *edits: Any, request: gr.Request) -> str:
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

    def _on_bring(self, path: str | None, request: gr.Request) -> tuple[Any, ...]:
        with telling():
            if path is None:
                return None, "", None, 0
            file = Path(path)
            try:
                with file.open("rb") as opened:
                    content = opened.read(self.service.limits.upload_bytes + 1)
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
            way = edit.way if edit.way in self.service.edits.names else self.way.value
            strengths = [edit.strengths.get(name, 0) for name in self.names]
            return [
                *values,
                way,
                edit.target,
                edit.neutral,
                edit.text_way,
                edit.text_strength if edit.has_text else 0,
                *strengths,
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
    ) -> Iterator[tuple[Any, ...]]:
        """Yield what is shown of pictures that come; the first is chosen in the end."""
        for progress in came:
            gallery = pieces.gallery(progress, prompt)
            line = pieces.status(progress, seed)
            if not progress.is_done:
                yield gallery, line, gr.skip(), gr.skip(), gr.skip()
                continue
            place = (progress.drawing.number, 0)
            pair = self._pair(place, edits, request)
            yield gallery, line, gr.Group(visible=True), pair, place

    def _pair(self, place: Any, edits: Sequence[Any], request: gr.Request) -> str:
        asked = read_edit([place, *edits[1:]], self.names)
        return pieces.before_and_after(self.service.edit(_name(request), asked))

    def _split(self, values: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        number = len(self._draws)
        return values[:number], values[number:]

    def _cleared(self, edits: Sequence[Any]) -> list[Any]:
        """Return the values of the edits with nothing changed."""
        return [*edits[:5], 0, *([0] * len(self.sliders))]


def _name(request: gr.Request) -> str:
    """Return the name of a visitor, which nobody else knows."""
    return str(request.session_hash)


def _random_seed() -> int:
    return random.SystemRandom().randint(0, 999_999)


def _returning(value: Any) -> Callable[[], Any]:
    return lambda: value


def launch_page(page: Page, *, host: str, port: int | None, share: bool) -> str:
    """Open the page to visitors, in threads of its own, and return its address.

    Args:
        page: Built.
        host: Address to listen at.
        port: None for the first that is free from 7860 on.
        share: Whether Gradio's servers lead others here.

    Raises:
        InputError: If the port is taken or the address is none of this machine's.
    """
    accent, dark = "#2f6feb", "#79a6ff"
    font = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    theme = gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="lg",
        font=font,
        font_mono=["ui-monospace", "monospace"],
    ).set(
        button_primary_background_fill=accent,
        button_primary_background_fill_hover="#2560d0",
        button_primary_background_fill_dark=dark,
        button_primary_background_fill_hover_dark="#93b7ff",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#0c1018",
        slider_color=accent,
        slider_color_dark=dark,
    )
    limits = page.service.limits
    page.blocks.queue(max_size=limits.waiting, api_open=False)
    try:
        _, local, shared = page.blocks.launch(
            server_name=host,
            server_port=port,
            share=share,
            theme=theme,
            css_paths=[FOLDER / "page.css"],
            allowed_paths=[],
            max_file_size=limits.upload_bytes,
            show_error=False,
            footer_links=[],
            ssr_mode=False,
            mcp_server=False,
            run_history=False,
            enable_monitoring=False,
            state_session_capacity=4 * limits.sessions,
            prevent_thread_lock=True,
            quiet=True,
        )
    except OSError as error:
        msg = (
            f"The page cannot be opened at {host}, port {port or 'any'}: "
            f"{str(error).splitlines()[0]} Choose another --host or --port."
        )
        raise InputError(msg) from error
    return str(shared or local)
