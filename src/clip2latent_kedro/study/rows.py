"""Rows of the comparison: as they are written, and ready to answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.method import Method

DEFAULT_KIND = "clip2latent"
GENERATOR_IMAGES = "generator_images"  # stored beside the rows, under a name of its own
COUNTS = {"num_samples": 1, "num_prompts": 1}  # that a row may set, and their least


class LackingError(InputError):
    """The domain does not have what a row needs; the message says what brings it."""


@dataclass(frozen=True)
class RowSpec:
    """A row as `params:evaluation.rows` has it.

    Attributes:
        name: Of the row, and of its file.
        kind: Of the method, a key of `KINDS`.
        settings: What the row changes of its kind.
        num_samples: Images of each prompt; None for `evaluation.num_samples`.
        num_prompts: The first prompts; None for all.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    num_samples: int | None = None
    num_prompts: int | None = None


@dataclass(frozen=True)
class Row:
    """A row that can answer.

    Attributes:
        method: What answers.
        settings: All of its settings, in full and as plain JSON.
        made_with: Digests or recipes of what decides its answers beside the generator
            and the encoder, as plain JSON.
        timed: What is timed; None if the answers are not made from text.
        prompts: Numbers of the prompts that it can answer; None for all.
        one_answer: Whether the samples of a prompt are all the same.
        training_seconds: What training it has cost beside the two frozen models;
            None if unknown.
        caveats: Sentences that a claim about the row must not leave unsaid.
    """

    method: Method
    settings: Mapping[str, Any]
    made_with: Mapping[str, Any]
    timed: Method | None = None
    prompts: Sequence[int] | None = None
    one_answer: bool = False
    training_seconds: float | None = None
    caveats: Sequence[str] = ()


@dataclass(frozen=True)
class Allowed:
    """The settings of a kind of rows.

    Attributes:
        group: The parameters that a row changes, such as `sampling`, in which
            `{name}` stands for the value of one of its own settings; None if there
            are none.
        names: Their names.
        own: Settings that no group has; each with its possible values, of which the
            first is meant if it is not set, or with none for any text.
    """

    group: str | None = None
    names: Sequence[str] = ()
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def get(self, settings: Mapping[str, Any], name: str) -> Any:
        """Return a setting of the kind's own, or what is meant without it."""
        return settings.get(name, next(iter(self.own[name]), None))

    def group_of(self, settings: Mapping[str, Any]) -> str | None:
        """Return the group whose parameters a row changes."""
        if self.group is None:
            return None
        return self.group.format(
            **{name: self.get(settings, name) for name in self.own}
        )

    def changes(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a row that belong to its group."""
        return {name: settings[name] for name in settings if name not in self.own}


def read_row(name: str, written: object) -> RowSpec:
    """Return a row of `params:evaluation.rows`, whose settings are not checked yet.

    Raises:
        InputError: If it is no mapping, or a name or a count is out of range.
    """
    where = f"evaluation.rows.{name}"
    if not isinstance(written, Mapping):
        msg = f"{where} must be settings by name, got {written!r}."
        raise InputError(msg)
    if not re.fullmatch(r"[\w+.-]+", name) or name.startswith("."):
        msg = (
            f"A row of evaluation.rows must be named in letters, digits and _ + - "
            f"alone, since its file is called so, got {name!r}."
        )
        raise InputError(msg)
    if name == GENERATOR_IMAGES:
        msg = f"A row of evaluation.rows cannot be named {name}. Rename it."
        raise InputError(msg)
    settings = dict(written)
    counts = {count: settings.pop(count, None) for count in COUNTS}
    for count, value in counts.items():
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_number and value >= COUNTS[count]):
            msg = f"{where}.{count} must be {COUNTS[count]} or more, got {value!r}."
            raise InputError(msg)
    kind = settings.pop("method", DEFAULT_KIND)
    return RowSpec(name, kind, settings, **counts)


def check_settings(where: str, settings: object, allowed: Allowed) -> None:
    """Check that settings are those that there are, and the values of a kind's own.

    Args:
        where: Their place in the parameters, for the message.
        settings: What was given.
        allowed: What may be.

    Raises:
        InputError: If not; the message lists what there is.
    """
    if not isinstance(settings, Mapping):
        msg = f"{where} must be settings by name, got {settings!r}."
        raise InputError(msg)
    known = [*allowed.own, *allowed.names]
    for name, value in settings.items():
        if name not in known:
            msg = (
                f"{where}.{name} is not a parameter. Known here: "
                f"{', '.join(known) or 'none'}."
            )
            raise InputError(msg)
        values = allowed.own.get(name)
        if values and value not in values:
            msg = f"{where}.{name} must be one of {', '.join(values)}, got {value!r}."
            raise InputError(msg)
        if values is not None and not isinstance(value, str):
            msg = f"{where}.{name} must be a text, got {value!r}."
            raise InputError(msg)
