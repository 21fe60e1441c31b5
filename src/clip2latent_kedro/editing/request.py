"""From what a user asks for to edits that can be applied.

One edit is a name, a text, a pair of texts, a vector, or something prepared; several
are a list of these. Each may come with its strength, as `("smile", 2.0)`.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from clip2latent_kedro.checked import LARGEST
from clip2latent_kedro.editing import EDIT_METHODS
from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.editing.directions.files import ENDINGS
from clip2latent_kedro.editing.directions.method import DirectionSettings
from clip2latent_kedro.editing.edit import EditMethod, EditTarget
from clip2latent_kedro.editing.given_vector import GivenVector, read_vector
from clip2latent_kedro.editing.mapper.mapper import StyleMapper
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.editing.prepared import EditStep, PreparedEdit
from clip2latent_kedro.editing.prior_edit import PriorEditSettings
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator

DIRECTION, TRANSPORT, MAPPER, PRIOR = "direction", "transport", "mapper", "prior"
_BY_NAME = (DIRECTION, TRANSPORT, MAPPER)  # what these move by is learned before
VECTOR_STRENGTH = 1.0
MOST_NAMES = 10  # of a kind, in a message
GIVEN = "given"  # the name of a direction or of a mapper that comes without one
_FIELDS = ("target", "neutral", "method", "strength", "name")

Asked = Any
"""A name, a text, a pair of texts, a mapping of `_FIELDS`, a vector (tensor, array, or
the path of a file), a `Direction`, a `StyleMapper`, an `EditTarget`, an `EditMethod`; a
pair of one of these with its strength; or a list of them."""


@dataclass(frozen=True, kw_only=True)
class EditReader:
    """Reads what users ask for.

    Attributes:
        generator: Whose w is edited.
        find_models: Returns all that edits are prepared with; asked where an edit needs
            more than a vector.
        targets: Edits that a name is enough for, `params:editing.targets`.
        neutral: The text that an edit to a single text starts from; None if both texts
            must be given.
        settings: Of methods, by key; the others have their defaults. The prior's edit
            takes the first of the priors that there are.
    """

    generator: Generator
    find_models: Callable[[], EditingModels]
    targets: Mapping[str, EditTarget] = field(default_factory=dict)
    neutral: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def read(
        self,
        asked: Asked,
        *,
        strength: float | Sequence[float] | None = None,
        method: str | None = None,
        num_images: int = 1,
    ) -> PreparedEdit:
        """Return the edit that a user asks for.

        A string is, in this order: the name of a file of a vector; of a direction; of a
        mapper; of a target; and if it has more than one word, a text of what is to be
        seen. Two strings that are no names are a pair of texts, from the first to the
        second.

        Args:
            asked: See `Asked`.
            strength: One for all edits, or one for each; None for the strength that
                comes with an edit, or for the middle one of its way of editing (1 of a
                vector).
            method: A key of `EDIT_METHODS`, for all that a name or a text asks for;
                None for what the name is of, and for the prior of texts.
            num_images: How many a vector may have rows for.

        Raises:
            InputError: If something is not known; the message says what is.
        """
        _check_method(method, "edit_method")
        several = self._split(asked)
        steps = [self._read_one(one, method, num_images) for one in several]
        if strength is None:
            return PreparedEdit(steps)
        strengths = _read_strengths(strength, len(steps))
        return PreparedEdit(
            [replace(s, strength=own) for s, own in zip(steps, strengths, strict=True)]
        )

    def _split(self, asked: Asked) -> list[Any]:
        """Return single edits, each perhaps with its strength."""
        if not isinstance(asked, list | tuple):
            return [asked]
        if self._is_text_pair(asked) or _has_strength(asked):
            return [asked]
        if not asked:
            msg = "edit must be one edit or several, got an empty list."
            raise InputError(msg)
        return list(asked)

    def _is_text_pair(self, asked: Sequence[Any]) -> bool:
        return (
            len(asked) == 2
            and all(isinstance(text, str) for text in asked)
            and not any(_is_file(t) or t in self._names() for t in asked)
        )

    def _read_one(self, asked: Any, method: str | None, num_images: int) -> EditStep:
        if isinstance(asked, list | tuple) and _has_strength(asked):
            step = self._read_one(asked[0], method, num_images)
            return replace(step, strength=_read_strengths(asked[1], 1)[0])
        if isinstance(asked, list | tuple):
            if self._is_text_pair(asked):
                neutral, target = asked
                return self._read_texts(EditTarget(target, neutral), method)
            msg = f"An edit of a list must be a single one, got {str(asked)[:80]}."
            raise InputError(msg)
        if isinstance(asked, Tensor | np.ndarray | Path) or _is_file(asked):
            generator = self.generator
            vector = read_vector(asked, num_images, generator.num_ws, generator.w_dim)
            return EditStep(GivenVector(vector), VECTOR_STRENGTH)
        if isinstance(asked, str):
            return self._read_string(asked, method)
        if isinstance(asked, Mapping):
            return self._read_mapping(asked, method)
        return self._read_object(asked, method)

    def _read_string(self, asked: str, method: str | None) -> EditStep:
        if asked in self._names():
            return self._read_name(asked, method or self._names()[asked][0])
        if len(asked.split()) > 1:
            return self._read_texts(self._to_target(asked), method)
        raise InputError(self._refuse(asked))

    def _read_name(self, name: str, method: str) -> EditStep:
        models, known = self.find_models(), self.targets.get(name)
        if method == MAPPER and name in models.mappers:
            text = models.mappers[name].text
            target = EditTarget(text, known.neutral if known else text, name=name)
        else:
            target = known or EditTarget(name, name)
        direction, settings = models.directions.get(name), self._settings_of(method)
        is_own = direction is not None and method in (DIRECTION, TRANSPORT)
        if known is None and method not in self._names()[name] and not is_own:
            msg = (
                f"edit_method must be {self._names()[name][0]} for {name!r}, which has "
                f"no texts for another way, got {method}. Leave it out, or give texts."
            )
            raise InputError(msg)
        if isinstance(settings, DirectionSettings) and direction is not None:
            kind = None if method == _kind_of(direction) else settings.kind
            settings = replace(settings, source=name, kind=kind)
        return self._prepare(
            method,
            replace(target, name=name),
            settings=settings,
            is_text=known is not None,
        )

    def _read_texts(self, asked: EditTarget, method: str | None) -> EditStep:
        is_learned = method in _BY_NAME and method not in self.settings
        if is_learned and not asked.name:
            msg = (
                f"edit_method must be one that takes texts, got {method} for "
                f"{asked.target[:80]!r}, of which none has been learned. Leave it out, "
                f"or give a name."
            )
            raise InputError(msg)
        return self._prepare(method or PRIOR, asked, is_text=True)

    def _to_target(self, text: str, name: str = "") -> EditTarget:
        """Return the edit from the neutral text to one."""
        if self.neutral is None:
            msg = (
                f"An edit to a text must say what it starts from, got {text!r} alone. "
                f"Give a pair, such as ('a person', {text!r})."
            )
            raise InputError(msg)
        return EditTarget(text, self.neutral, name=name)

    def _read_mapping(self, asked: Mapping[str, Any], method: str | None) -> EditStep:
        if unknown := [str(key) for key in asked if key not in _FIELDS]:
            msg = f"An edit has {', '.join(_FIELDS)}, got {unknown[0]!r}."
            raise InputError(msg + _nearest(unknown[0], _FIELDS))
        target, neutral, own = map(asked.get, ("target", "neutral", "method"))
        own, name = method or own, str(asked.get("name") or "")
        _check_method(own, "An edit's method")
        if not isinstance(target, str) and (target is not None or not name):
            msg = f"An edit's target must be a name or a text, got {target!r}."
            raise InputError(msg)
        if target is None:
            step = self._read_string(name, own)
        elif neutral is not None:
            step = self._read_texts(EditTarget(target, neutral, name=name), own)
        elif len(target.split()) > 1 and target not in self._names():
            step = self._read_texts(self._to_target(target, name), own)
        else:
            step = self._read_string(target, own)
        strength = asked.get("strength")
        if strength is None:
            return step
        return replace(step, strength=_read_strengths(strength, 1)[0])

    def _read_object(self, asked: Any, method: str | None) -> EditStep:
        if isinstance(asked, EditMethod):
            return _step(asked, is_text=False)
        if isinstance(asked, EditTarget):
            return self._prepare(method or PRIOR, asked, is_text=True)
        if isinstance(asked, Direction):
            given = replace(asked, name=asked.name or GIVEN)
            models = replace(self.find_models(), directions={given.name: given})
            return replace(self, find_models=lambda: models)._read_name(
                given.name, _kind_of(given)
            )
        if isinstance(asked, StyleMapper):
            models = replace(self.find_models(), mappers={GIVEN: asked})
            return replace(self, find_models=lambda: models)._read_name(GIVEN, MAPPER)
        msg = (
            f"edit must be a name, a text or two, a vector, a mapper, an EditMethod or "
            f"a list of these, got {type(asked).__name__}."
        )
        raise InputError(msg)

    def _prepare(
        self,
        key: str,
        target: EditTarget,
        *,
        settings: Any = None,
        is_text: bool = False,
    ) -> EditStep:
        method = EDIT_METHODS[key]
        settings = settings or self._settings_of(key)
        edit = method.prepare(settings, self.find_models(), target)
        return _step(edit, is_text=is_text)

    def _settings_of(self, key: str) -> Any:
        """Return the settings of a method, by default those that suit the prior."""
        if key in self.settings:
            return self.settings[key]
        settings = EDIT_METHODS[key].Settings()
        priors = self.find_models().models.priors
        if isinstance(settings, PriorEditSettings) and priors:
            name, prior = next(iter(priors.items()))
            settings = replace(settings, prior=name)  # type: ignore[arg-type]
            if prior.is_distilled:
                settings = replace(settings, num_steps=1, start=1.0)
        return settings

    def _names(self) -> dict[str, list[str]]:
        """Return what can be had by name, each with the methods that it is of."""
        models = self.find_models()
        found: dict[str, list[str]] = {}
        for name, direction in models.directions.items():
            found.setdefault(name, []).append(_kind_of(direction))
        for kind, names in ((MAPPER, models.mappers), (PRIOR, self.targets)):
            for name in names:
                found.setdefault(name, []).append(kind)
        return found

    def _refuse(self, asked: str) -> str:
        """Return a sentence on what is not known and what can be had."""
        models = self.find_models()
        groups = {
            "directions": list(models.directions),
            "mappers": list(models.mappers),
            "targets": list(self.targets),
        }
        had = "; ".join(
            f"{kind} {_shorten(names)}" for kind, names in groups.items() if names
        )
        return (
            f"edit must be a name ({had or 'there are none here'}), the path of a "
            f"vector ({', '.join(ENDINGS)}), or a text of more than one word, "
            f"got {asked!r}.{_nearest(asked, self._names())}"
        )


def _kind_of(direction: Direction) -> str:
    """Return the way of editing along a direction: as it is, or to a place."""
    return DIRECTION if direction.destination is None else TRANSPORT


def _shorten(names: Sequence[str]) -> str:
    """Return the shortest of some names, and how many there are besides."""
    shown = sorted(names, key=len)[:MOST_NAMES]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _step(edit: EditMethod, *, is_text: bool) -> EditStep:
    """Return an edit at the middle strength of its way of editing."""
    strengths = sorted(edit.strengths)
    return EditStep(edit, float(strengths[len(strengths) // 2]), is_text)


def _is_file(asked: Any) -> bool:
    """Return whether a string is the path of a vector."""
    if not isinstance(asked, str):
        return False
    path = Path(asked)
    try:
        return path.suffix in ENDINGS or (bool(path.suffix) and path.is_file())
    except OSError:  # a text that is too long for a path
        return False


def _has_strength(asked: Sequence[Any]) -> bool:
    return len(asked) == 2 and _is_number(asked[1]) and not _is_number(asked[0])


def _is_number(given: Any) -> bool:
    """Return whether it is a number of Python, NumPy or torch."""
    is_array = isinstance(given, Tensor | np.ndarray)
    return given.ndim == 0 if is_array else isinstance(given, Real)


def _read_strengths(strength: Any, num_edits: int) -> list[float]:
    """Return one strength for each edit.

    Raises:
        InputError: If they are no numbers of 32 bits, or not as many.
    """
    if isinstance(strength, Tensor | np.ndarray | np.generic):
        strength = strength.tolist()
    given = [strength] * num_edits if isinstance(strength, Real) else strength
    is_list = isinstance(given, list | tuple) and all(
        _is_number(one) and not isinstance(one, bool) and abs(one) <= LARGEST[float]
        for one in given
    )
    if not is_list or len(given) != num_edits:
        msg = (
            f"edit_strength must be a number, or one for each of the {num_edits} "
            f"edits, got {str(strength)[:80]}."
        )
        raise InputError(msg)
    return [float(one) for one in given]


def _check_method(method: Any, what: str) -> None:
    """Check that a way of editing is known; None is the name's own.

    Raises:
        InputError: If it is not.
    """
    if method is not None and method not in list(EDIT_METHODS):
        msg = f"{what} must be one of {', '.join(EDIT_METHODS)}, got {method!r}."
        raise InputError(msg + _nearest(str(method), EDIT_METHODS))


def _nearest(word: str, known: Any) -> str:
    """Return a sentence that names the nearest of what is known, or nothing."""
    close = difflib.get_close_matches(word, list(known))
    return f" Did you mean {' or '.join(close)}?" if close else ""
