"""What the demo page does, with no page: draws, edits, inverts, stores, within limits.

A visitor is a name that nobody else knows (see `sessions`). Whatever computes waits for
its turn; a long request gives the turn back between batches, so that the sliders of
others go on moving.
"""

import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.conditioning import Query
from clip2latent_kedro.demo.edit_book import EditBook
from clip2latent_kedro.demo.inverting import inversion_settings, invert_stepwise
from clip2latent_kedro.demo.limits import Limits, Turn
from clip2latent_kedro.demo.prompts import parse_prompt
from clip2latent_kedro.demo.records import (
    LoadedSettings,
    describe_drawing,
    describe_edits,
    read_record,
)
from clip2latent_kedro.demo.request import DrawRequest, EditRequest
from clip2latent_kedro.demo.results import Edited, Progress
from clip2latent_kedro.demo.sessions import Drawing, Sessions, next_number
from clip2latent_kedro.demo.steps import (
    as_query,
    edit_picture,
    read_mix,
    show_inverted,
)
from clip2latent_kedro.demo.uploads import Upload, read_upload
from clip2latent_kedro.editing.prepared import PreparedEdit
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import uint8_to_image
from clip2latent_kedro.inference.png_settings import write_png
from clip2latent_kedro.inference.records import digest_models
from clip2latent_kedro.samplers import SamplingConfig

logger = logging.getLogger(__name__)

BATCH = 4  # pictures that come at a time
MOST_SIDE = 1024  # of a picture that is brought
MOST_GUIDANCE, MOST_PSI = 8.0, 1.5  # on the page


class Service:
    """Draws for many visitors with one model.

    Attributes:
        limits: Of requests and of what is kept.
        defaults: What is drawn where nothing else is said: `params:sampling`.
        sessions: What is kept of each visitor.
        edits: What can be edited by name.
        models: Digests of the models, by role.
    """

    def __init__(self, model: Clip2StyleGAN, limits: Limits | None = None) -> None:
        """Serve a model.

        Args:
            model: Loaded.
            limits: None for the defaults.
        """
        self.limits = limits or Limits()
        self.sessions = Sessions(self.limits)
        self._model = model
        self._turn = Turn(self.limits)
        self._editor = model.editor
        sampling = model.sampling
        if sampling.retrieval_share and model.text_to_image.retrieval_bank is None:
            bank = self._editor.loaded.find_bank()
            model.text_to_image = replace(model.text_to_image, retrieval_bank=bank)
        self.text_to_image = model.text_to_image
        self.edits = EditBook(self._editor, self.limits)
        low, high = self.guidance_range
        self.defaults = DrawRequest(
            prompt=self.neutral or "a person",
            num_images=min(8, self.limits.images),
            guidance_scale=min(max(sampling.guidance_scale, low), high),
            psi=min(sampling.psi, MOST_PSI),
            sampler=sampling.sampler,
            num_steps=min(sampling.num_steps, self.limits.steps),
        )
        self.models = digest_models(self.text_to_image)

    @property
    def resolution(self) -> int:
        """Pixels a side of a picture."""
        return self.text_to_image.generator.resolution

    @property
    def is_one_step(self) -> bool:
        """Whether the prior is distilled, so that sampler and steps are given."""
        return self.text_to_image.prior.is_distilled

    @property
    def guidance_range(self) -> tuple[float, float]:
        """Guidance that the prior has learned, within that of a request."""
        low, high = self.text_to_image.prior.guidance_range
        return max(0.0, low), min(MOST_GUIDANCE, high)

    @property
    def neutral(self) -> str | None:
        """What an edit to a text starts from, unless it says so."""
        return self._editor.loaded.neutral

    def warm_up(self, prompt: str) -> None:
        """Draw and edit once, so that the first visitor does not wait for it.

        A way of editing that cannot be prepared for these models is left out.

        Args:
            prompt: A text of the domain.
        """
        name = "warm-up"
        request = replace(self.defaults, prompt=prompt, num_images=1)
        try:
            drawn = [*self.draw(name, request)][-1].drawing
        except InputError as error:  # such as of an encoder that knows no texts
            logger.warning("The first picture cannot be drawn: %s", error)
            return
        for way, names in [*self.edits.names.items()]:
            strengths = dict.fromkeys(names, 0.1)
            try:
                edit = EditRequest(drawn.number, way=way, strengths=strengths)
                self.edit(name, edit)
            except InputError as error:
                logger.warning("Edits by %s cannot be made: %s", way, error)
                del self.edits.names[way]
        self.sessions.forget(name)

    def draw(self, name: str, request: DrawRequest) -> Iterator[Progress]:
        """Yield pictures as they come, all that are there each time.

        Args:
            name: Of the visitor.
            request: What is asked for; its picture is the one that was brought last.

        Raises:
            InputError: If it asks for too much, or for what cannot be drawn.
        """
        request.check(self.limits)
        picture = self._picture_of(name, request)
        query = self._query(request, picture)
        digest = None if picture is None else self.sessions.find(name).digest
        yield from self._draw(name, request, query, digest)

    def vary(
        self, name: str, request: DrawRequest, edit: EditRequest
    ) -> Iterator[Progress]:
        """Yield variations of a picture as it is after an edit, as `draw` does.

        Args:
            name: Of the visitor.
            request: How they are drawn; its prompt does not count.
            edit: Which picture, and what is changed of it first.

        Raises:
            InputError: If the picture is not there, or the request asks for too much.
        """
        request.check(self.limits)
        after = self.edit(name, edit).after
        request = replace(request, prompt="", picture_weight=1.0)
        image = uint8_to_image(torch.from_numpy(after))
        digest = hashlib.sha256(write_png(after, {})).hexdigest()
        yield from self._draw(name, request, image, digest)

    def edit(self, name: str, request: EditRequest) -> Edited:
        """Return a picture before and after an edit.

        Args:
            name: Of the visitor.
            request: Which picture, and what is changed.

        Raises:
            InputError: If the picture is not there, or the edit cannot be made.
        """
        drawing = self.sessions.find_drawing(name, request.drawing)
        if request.index >= len(drawing.images):
            msg = (
                f"index must be below {len(drawing.images)}, the pictures that there "
                f"are, got {request.index}. Choose one of them."
            )
            raise InputError(msg)
        row = drawing.samples[request.index]
        before = drawing.images[request.index]
        score = None if drawing.scores is None else drawing.scores[request.index]
        record = {**drawing.record, "image": row}
        with self._turn.taken():
            prepared = self.edits.prepare(request)
            after, score_after = before, score
            if prepared.steps:
                after, score_after = edit_picture(
                    self.text_to_image, drawing, row, prepared
                )
                record["edits"] = describe_edits(request, self.neutral)
        if score_after is not None:
            record["score"] = round(score_after, 4)
        return Edited(
            before,
            after,
            score,
            score_after,
            record,
            drawing.original,
            prepared.words,
        )

    def bring(self, name: str, content: bytes) -> Upload:
        """Return the picture of a file, and keep it for prompts and inversion.

        Raises:
            InputError: If it is too large, of another kind or damaged.
        """
        upload = read_upload(content, self.limits, most_side=MOST_SIDE)
        self.sessions.store(name, picture=upload.picture, digest=upload.digest)
        return upload

    def invert(self, name: str) -> Iterator[Progress]:
        """Yield what the generator draws of the picture that was brought, ever closer.

        Args:
            name: Of the visitor.

        Raises:
            InputError: If there is no picture, or it cannot be inverted.
        """
        session = self.sessions.find(name)
        if session.picture is None:
            msg = "There must be a picture to invert, got none. Bring one first."
            raise InputError(msg)
        began = time.perf_counter()
        config = inversion_settings(self._editor, self.limits)
        image = uint8_to_image(torch.from_numpy(session.picture))
        record = {
            "inverted": session.digest,
            "inversion": asdict(config),
            "models": self.models,
        }
        number = next_number()
        steps = invert_stepwise(image, self._editor.models, config)
        while True:
            with self._turn.taken():  # given back between steps
                found = next(steps, None)
                if found is None:
                    return
                step, latents = found
                drawing = show_inverted(
                    self.text_to_image, latents, session.picture, record, number
                )
            self.sessions.store(name, drawing=drawing)
            seconds = time.perf_counter() - began
            is_done = step == config.num_steps
            words = f"step {step} of {config.num_steps}"
            yield Progress(drawing, 1, seconds, is_done, words)

    def store(self, name: str, request: EditRequest) -> bytes:
        """Return the PNG of a picture, edited if wanted, with its settings inside.

        Raises:
            InputError: If the picture is not there, or the edit cannot be made.
        """
        edited = self.edit(name, request)
        return write_png(edited.after, edited.record)

    def read_settings(self, settings: dict[str, Any]) -> LoadedSettings:
        """Return the request of the settings that a PNG has inside.

        Raises:
            InputError: If they are not those of a picture that can be drawn again.
        """
        return read_record(settings, self.defaults, self.limits, self.models)

    def sampling(self, request: DrawRequest) -> SamplingConfig:
        """Return how a request is drawn."""
        sampling = replace(
            self._model.sampling,
            guidance_scale=request.guidance_scale,
            truncation="fixed" if request.psi != 1 else self._model.sampling.truncation,
            psi=request.psi,
        )
        if self.is_one_step:
            return sampling
        return replace(sampling, sampler=request.sampler, num_steps=request.num_steps)

    def _picture_of(self, name: str, request: DrawRequest) -> np.ndarray | None:
        if request.picture_weight == 0:
            return None
        picture = self.sessions.find(name).picture
        if picture is None:
            msg = (
                "The prompt must have its picture, got none. Bring it, or set its "
                "weight to 0."
            )
            raise InputError(msg)
        return picture

    def _query(self, request: DrawRequest, picture: np.ndarray | None) -> Query:
        parts: list[tuple[str | Tensor, float]] = []
        parts += parse_prompt(request.prompt, self.limits, "The prompt")
        if picture is not None:
            image = uint8_to_image(torch.from_numpy(picture))
            parts.append((image, request.picture_weight))
        return as_query(parts)

    def _draw(
        self, name: str, request: DrawRequest, query: Query, digest: str | None
    ) -> Iterator[Progress]:
        began = time.perf_counter()
        sampling = self.sampling(request)
        unwanted = parse_prompt(request.negative, self.limits, "The negative prompt")
        negative: list[Query] | None = [as_query(unwanted)] if unwanted else None
        record = describe_drawing(request, sampling, self.models, picture=digest)
        draws: dict[str, Any] = {
            "num_samples": request.num_images,
            "seed": request.seed,
            "negative": negative,
        }
        with self._turn.taken():
            drawn = self.text_to_image.draw([query], sampling, **draws)
            source = drawn.source
            if request.mix.strip():
                mix = read_mix(request.mix, self.limits)
                editor = replace(self._editor, sampling=sampling)
                steps = editor.read_mix(mix, request.mix_rows, [query], **draws)
                source = replace(source, latents=PreparedEdit(steps)(source))
        number = next_number()
        images: list[np.ndarray] = []
        scores: list[float] = []
        total = request.num_images
        for start in range(0, total, BATCH):
            with self._turn.taken():
                rows = source.latents.w[start : start + BATCH]
                found = self.text_to_image.generate_images(rows[None], drawn.direction)
            assert found.scores is not None
            images += list(found.images[0])
            scores += [float(score) for score in found.scores[0]]
            order = list(range(len(images)))
            is_done = len(images) == total
            if is_done and request.rank:
                order.sort(key=lambda row: -scores[row])
            drawing = Drawing(
                number,
                source,
                drawn.direction[0],
                [images[row] for row in order],
                order,
                [scores[row] for row in order],
                record,
            )
            self.sessions.store(name, drawing=drawing)
            seconds = time.perf_counter() - began
            yield Progress(drawing, total, seconds, is_done)
