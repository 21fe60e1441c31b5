"""What an edit is given, and what a way of editing must offer."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from clip2latent_kedro.checked import Checked, read_settings
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Latents, Source
from clip2latent_kedro.methods.method import NoSettings

if TYPE_CHECKING:
    from clip2latent_kedro.editing.models import EditingModels

__all__ = ["EditMethod", "EditTarget", "Source"]

_NAME = re.compile(r"[\w+-][\w+.-]{0,99}")


@dataclass(frozen=True)
class EditTarget(Checked):
    """What an edit is to bring about.

    Attributes:
        target: A text of what the edited picture shows.
        neutral: A text of the same without it.
        attribute: One of the judge's attributes, which is to change; None if it has
            none for this.
        value: The attribute's value in the edited picture.
        free: Other attributes that may change with it, such as the hair under a hat.
        only: Attributes and the value that a picture must have to be edited, such as
            {gender: man} for a beard.
        name: Such as `smile`; in `params:editing.targets` it stands before.
    """

    target: str
    neutral: str
    attribute: str | None = None
    value: str | None = None
    free: list[str] = field(default_factory=list)
    only: dict[str, str] = field(default_factory=dict)
    name: str = ""


def read_targets(targets: Mapping[str, Any]) -> dict[str, EditTarget]:
    """Return targets by name, each of which knows its own.

    Args:
        targets: `params:editing.targets`: settings of an `EditTarget`, or one; one
            that is None is left out, as that of another world is.

    Raises:
        InputError: If a name or a setting is wrong.
    """
    for name in targets:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            msg = (
                f"A target of editing.targets must be named in letters, digits and _ "
                f"+ - . alone, at most 100, since files are called so, got "
                f"{str(name)[:120]!r}. Rename it."
            )
            raise InputError(msg)
    read = {
        name: given
        if isinstance(given, EditTarget)
        else read_settings(EditTarget, given, f"editing.targets.{name}")
        for name, given in targets.items()
        if given is not None
    }
    return {name: replace(target, name=name) for name, target in read.items()}


def require_targets(targets: Mapping[str, Any]) -> dict[str, EditTarget]:
    """Return what `read_targets` does; `InputError` also if there are none."""
    read = read_targets(targets)
    if not read:
        msg = "editing.targets must hold one target or more, got none. Add one."
        raise InputError(msg)
    return read


@dataclass(frozen=True, kw_only=True)
class EditMethod(ABC):
    """One way of editing, prepared for one target; what is left is the strength.

    Attributes:
        Settings: A frozen, validated dataclass with a default for each field.
        strengths: From weak to strong, those that its curve is drawn of; 0 is no
            change, whatever the unit.
        settings: An instance of `Settings`.
        target: What it brings about.
        made_with: Digests or recipes of what decides the edit beside the generator and
            the encoder, as plain JSON.
        preparation: Seconds of what was done before: `generator`, once a generator
            (and encoder), and `target`, once a target.
    """

    Settings: ClassVar[type] = NoSettings
    strengths: ClassVar[Sequence[float]]

    settings: Any = field(default_factory=NoSettings)
    target: EditTarget
    made_with: Mapping[str, Any] = field(default_factory=dict)
    preparation: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    @abstractmethod
    def prepare(
        cls, settings: Any, models: "EditingModels", target: EditTarget
    ) -> Self:
        """Return the edit, ready to apply.

        Args:
            settings: An instance of `Settings`.
            models: All that it may edit with.
            target: What it is to bring about.

        Raises:
            UnavailableError: If the domain lacks something that the method takes.
            InputError: If the settings do not suit the models.
        """

    @abstractmethod
    def apply(self, source: Source, strength: float) -> Latents:
        """Return the edited latents of n pictures.

        A picture's edit does not depend on the others, but for rounding.
        """

    def apply_all(self, source: Source, strengths: Sequence[float]) -> list[Latents]:
        """Return what `apply` does at several strengths, sharing what work they can."""
        return [self.apply(source, strength) for strength in strengths]
