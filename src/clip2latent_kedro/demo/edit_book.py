"""Edits that are prepared once, so that a slider only applies them."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from clip2latent_kedro.api.editing import Editor
from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.demo.prompts import check_text
from clip2latent_kedro.demo.request import WAYS, EditRequest, Way
from clip2latent_kedro.editing.edit import EditMethod
from clip2latent_kedro.editing.prepared import EditStep, PreparedEdit
from clip2latent_kedro.errors import InputError

MOST_NAMES = 12  # sliders on the page
MOST_TEXTS = 128  # pairs of texts that are kept

_KINDS = ("_boundary", "_class_means", "_principal", "_transport")


class EditBook:
    """The edits of a model, by name and by texts.

    Attributes:
        names: What there is a slider for, by the way of editing.
    """

    def __init__(self, editor: Editor, limits: Limits) -> None:
        """Find what the model has; nothing is prepared yet."""
        self._editor = editor
        self._limits = limits
        self._by_name: dict[tuple[str, Way], EditStep] = {}
        self._by_text: OrderedDict[tuple[str, str, str], EditStep] = OrderedDict()
        self.names: dict[Way, list[str]] = {
            way: names[:MOST_NAMES] for way in WAYS if (names := self._names_of(way))
        }

    def largest(self, way: Way) -> float:
        """Return the largest strength that a way of editing is meant for."""
        step = self._find_name(self.names[way][0], way)
        assert isinstance(step.edit, EditMethod)
        return float(max(step.edit.strengths))

    def prepare(self, request: EditRequest) -> PreparedEdit:
        """Return the edit that is asked for; with nothing to change it has no steps.

        Raises:
            InputError: If a name is not known, or a text cannot be used.
        """
        steps = [
            replace(self._find_name(name, request.way), strength=float(strength))
            for name, strength in request.strengths.items()
            if strength != 0
        ]
        if request.has_text:
            step = self._find_text(request)
            steps.append(replace(step, strength=float(request.text_strength)))
        return PreparedEdit(steps)

    def _names_of(self, way: Way) -> list[str]:
        loaded, models = self._editor.loaded, self._editor.models
        targets = list(loaded.targets)
        if way == "mapper":
            return list(models.mappers)
        if way == "prior":
            return targets
        if way == "global_directions":
            return [] if models.channel_relevance is None else targets
        directions = models.directions
        if way == "transport":
            return [name for name in targets if f"{name}_transport" in directions]
        plain = [
            name
            for name, direction in directions.items()
            if direction.destination is None
            and not any(name.endswith(kind) for kind in _KINDS)
        ]
        return sorted(plain, key=lambda n: targets.index(n) if n in targets else 99)

    def _find_name(self, name: str, way: Way) -> EditStep:
        if name not in self.names.get(way, ()):
            known = ", ".join(self.names.get(way, ())) or "none"
            msg = f"An edit by {way} must be one of {known}, got {name!r:.80}."
            raise InputError(msg)
        if (name, way) not in self._by_name:
            self._by_name[name, way] = self._read(name, way)
        return self._by_name[name, way]

    def _find_text(self, request: EditRequest) -> EditStep:
        """Return the edit between two texts, which open no file whatever they say."""
        target = request.target.strip()
        neutral = request.neutral.strip() or self._editor.loaded.neutral or ""
        for text in (target, neutral):
            check_text(text, self._limits, "The text of an edit")
        if not neutral:
            msg = (
                f"An edit to {target!r:.80} must say what it starts from, got nothing."
            )
            raise InputError(msg)
        key = (target, neutral, request.text_way)
        if key not in self._by_text:
            texts = {"target": target, "neutral": neutral}
            self._by_text[key] = self._read(texts, request.text_way)
            if len(self._by_text) > MOST_TEXTS:
                self._by_text.popitem(last=False)
        self._by_text.move_to_end(key)
        return self._by_text[key]

    def _read(self, asked: str | dict[str, str], way: str) -> EditStep:
        steps: Sequence[EditStep] = self._editor.read_edit(
            asked, None, way, num_images=1
        )
        (step,) = steps
        return step
