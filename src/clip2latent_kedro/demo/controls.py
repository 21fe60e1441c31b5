"""The controls of the page, in Gradio: what there is, and where it stands."""

from collections.abc import Sequence
from pathlib import Path

import gradio as gr
from gradio.components import Component

from clip2latent_kedro.demo import pieces, words
from clip2latent_kedro.demo.request import LARGEST_SEED, WAYS, Way
from clip2latent_kedro.demo.service import MOST_PSI, Service
from clip2latent_kedro.demo.uploads import ENDINGS

FOLDER = Path(__file__).parent
NOTHING = (0, 0)  # no drawing has the number 0
WELCOME = "Type what you would like to see, or choose an example."


class Controls:
    """What visitors can change and see; they are made within a page of Gradio.

    Attributes:
        names: Of the sliders of edits, in order.
        sliders: One for each name.
    """

    def __init__(self, service: Service, examples: Sequence[str], about: str) -> None:
        """Make the controls.

        Args:
            service: What computes; it knows the ranges.
            examples: Prompts to click on.
            about: What the model is, as HTML.
        """
        self.service = service
        title = "<h1>clip2<span>latent</span></h1>"
        gr.HTML(f"{title}<p>{pieces.escape(words.SUBTITLE)}</p>", elem_id="c2l-head")
        self.chosen = gr.State(NOTHING)
        self.found = gr.State(None)  # settings inside the PNG that was brought
        self.wanted = gr.State(0)  # which picture is chosen when they have come
        with gr.Row(equal_height=False, elem_id="c2l-main"):
            with gr.Column(scale=5, min_width=320, elem_id="c2l-left"):
                self._add_prompt(examples)
                self._add_settings()
                self._add_picture()
                self._add_mixing()
            with gr.Column(scale=8, min_width=320, elem_id="c2l-right"):
                self._add_gallery()
                self._add_editing()
        with gr.Accordion("What this is, and what it cannot do", open=True):
            gr.HTML(about)

    @property
    def draws(self) -> list[Component]:
        """What pictures are drawn by, as `forms.read_draw` takes it."""
        return [
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

    @property
    def edits(self) -> list[Component]:
        """What a picture is edited by, as `forms.read_edit` takes it."""
        return [
            self.chosen,
            self.way,
            self.target,
            self.neutral,
            self.text_way,
            self.text_strength,
            *self.sliders,
        ]

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
            visible=not self.service.is_one_step,
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
        with gr.Accordion("Settings", open=True, elem_classes="c2l-later"):
            with gr.Row():
                self.num_images = gr.Slider(
                    1,
                    service.limits.images,
                    defaults.num_images,
                    step=1,
                    label="Pictures",
                )
                self.rank = gr.Checkbox(True, label="Best first", info="By CLIP score")
            with gr.Row():
                self.guidance = gr.Slider(
                    low,
                    high,
                    defaults.guidance_scale,
                    step=0.05,
                    label="Guidance",
                    info="1 is none",
                )
                self.psi = gr.Slider(
                    0,
                    MOST_PSI,
                    defaults.psi,
                    step=0.05,
                    label="Truncation",
                    info="1 is none",
                )
            has_steps = not service.is_one_step
            with gr.Row(visible=has_steps):
                self.sampler = gr.Dropdown(
                    ["dpmpp_2m", "unipc", "ddim", "ddpm"],
                    value=defaults.sampler,
                    label="Sampler",
                    visible=has_steps,
                )
                self.steps = gr.Slider(
                    1,
                    min(max(100, defaults.num_steps), service.limits.steps),
                    defaults.num_steps,
                    step=1,
                    label="Steps",
                    visible=has_steps,
                )
            with gr.Row(elem_classes="c2l-seed"):
                self.seed = gr.Number(
                    0, label="Seed", precision=0, minimum=0, maximum=LARGEST_SEED
                )
                self.random_button = gr.Button("New seed", scale=0, min_width=120)

    def _add_picture(self) -> None:
        with gr.Accordion(
            "Picture, or a PNG with settings", open=False, elem_classes="c2l-later"
        ):
            self.file = gr.File(
                label="PNG, JPEG or WebP",
                file_types=list(ENDINGS),
                height=150,
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
        with gr.Accordion("Style mixing", open=False, elem_classes="c2l-later"):
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
        with gr.Column(visible=False, elem_id="c2l-editing") as self.editing:
            self.pair = gr.HTML("", elem_id="c2l-editor")
            with gr.Row():
                self.vary_button = gr.Button("Variations of it", min_width=120)
                self.reset_button = gr.Button("Undo the edits", min_width=120)
                self.download_button = gr.Button("Download PNG", min_width=120)
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
            min_width=220,
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
                    [(WAYS[w], w) for w in ways],
                    value="prior",
                    label="By",
                    visible=len(ways) > 1,
                )

    def _text_ways(self) -> list[str]:
        return ["prior", *(w for w in self.service.edits.names if w != "prior")]
