"""What the audit compares, and on how many pictures: `params:editing.audit`."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from annotated_types import Interval

from clip2latent_kedro.checked import (
    Checked,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Rule,
    check_types_at,
    read_settings,
)
from clip2latent_kedro.editing import EDIT_METHODS
from clip2latent_kedro.errors import InputError

Share = Annotated[float, Interval(gt=0, le=1)]


@dataclass(frozen=True)
class EditRow(Checked):
    """One way of editing in the audit.

    Attributes:
        method: A key of `EDIT_METHODS`.
        strengths: Of its curve, rising; None for the method's own.
        tried: Settings of the method, each tried on pictures of their own; the best is
            reported.
        num_latents: Pictures a target and seed, if it takes too long for those of the
            audit; None for as many.
        settings: Settings that are the same in all of them.
    """

    method: str
    strengths: list[float] | None = None
    tried: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    num_latents: PositiveInt | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def rules(self) -> Iterator[Rule]:
        """Yield that the method is known, and that strengths rise."""
        known = f"one of {', '.join(EDIT_METHODS)}"
        yield self.method in EDIT_METHODS, "method", known
        if self.strengths is not None:
            rising = sorted(set(self.strengths)) == self.strengths != []
            yield rising, "strengths", "rising numbers, one or more"
        yield bool(self.tried), "tried", "one mapping of settings or more, such as {}"

    def list_strengths(self) -> list[float]:
        """Return the strengths of its curve."""
        return self.strengths or list(EDIT_METHODS[self.method].strengths)

    def list_names(self) -> list[str]:
        """Return the names of the method's settings."""
        return [field.name for field in fields(EDIT_METHODS[self.method].Settings)]

    def read_settings(self, where: str, tried: Mapping[str, Any]) -> Any:
        """Return an instance of the method's `Settings`.

        Args:
            where: Place of the row in the parameters, for messages.
            tried: One of `tried`.

        Raises:
            InputError: If a name is not known, or a value is out of its range.
        """
        kind = EDIT_METHODS[self.method].Settings
        return read_settings(kind, {**self.settings, **tried}, where)


@dataclass(frozen=True)
class AuditConfig(Checked):
    """The protocol of the audit.

    Attributes:
        num_latents: Pictures of each target and seed.
        num_seeds: Seeds of random w.
        num_tuning: Other pictures of each target, on which settings and strengths are
            chosen.
        psi: Truncation of the random w that are edited.
        max_leakage: Share of other attributes changed, up to which the area under a
            curve is taken.
        least_kept: Share of other attributes that the reported strength keeps, if one
            does.
        num_shown: Pictures of each target in the strips.
        num_timed: Edits of one picture that are timed, for their median.
        baseline: The row that the others are compared with; None for none.
        only: Names of the rows to compute and report, with commas between; None for
            all.
        rows: By name: `method`, its settings, and `tried`, `strengths` and
            `num_latents` (see `EditRow`); None leaves a row out.
    """

    num_latents: PositiveInt
    num_seeds: PositiveInt
    num_tuning: PositiveInt
    psi: NonNegativeFloat
    max_leakage: Share
    least_kept: Fraction
    num_shown: NonNegativeInt
    num_timed: PositiveInt
    baseline: str | None
    only: str | None
    rows: dict[str, dict[str, Any] | None]

    def rules(self) -> Iterator[Rule]:
        """Yield that rows can be read, are given equal care, and are there."""
        rows = read_edit_rows(self.rows)
        known = f"one of the rows, {', '.join(rows)}, or null"
        yield self.baseline in (None, *rows), "baseline", known
        known = f"names of rows, of {', '.join(rows)}, or null"
        yield self.chosen_names <= rows.keys(), "only", known
        counts = {name: len(row.tried) for name, row in rows.items()}
        equal = f"rows with as many `tried` each, which have {counts}"
        yield len(set(counts.values())) <= 1, "rows", equal
        counts = {name: len(row.list_strengths()) for name, row in rows.items()}
        equal = f"rows with as many strengths each, which have {counts}"
        yield len(set(counts.values())) <= 1, "rows", equal

    @property
    def chosen_names(self) -> set[str]:
        """The names in `only`."""
        return {name.strip() for name in (self.only or "").split(",") if name.strip()}

    def read_rows(self) -> dict[str, EditRow]:
        """Return the rows to compute and report, by name."""
        rows, chosen = read_edit_rows(self.rows), self.chosen_names
        return {name: row for name, row in rows.items() if not chosen or name in chosen}


def read_edit_rows(written: Mapping[str, object]) -> dict[str, EditRow]:
    """Return the rows of `params:editing.audit.rows`; one that is null is left out.

    Raises:
        InputError: If a name or a value is not possible.
    """
    rows = {}
    for name, one in written.items():
        if one is None:
            continue
        where = f"editing.audit.rows.{name}"
        if not isinstance(one, Mapping):
            msg = f"{where} must be settings by name, got {one!r}."
            raise InputError(msg)
        of_row = {"method", "strengths", "tried", "num_latents"}
        own = {part: value for part, value in one.items() if part in of_row}
        check_types_at(where, EditRow, own)
        settings = {part: value for part, value in one.items() if part not in of_row}
        row = read_settings(EditRow, {**own, "settings": settings}, where)
        _check_names(where, one, {*of_row, *row.list_names()})
        for tried in row.tried:
            row.read_settings(where, tried)
        rows[name] = row
    return rows


def _check_names(where: str, written: Mapping[str, object], known: set[str]) -> None:
    """Raise `InputError` for a name that neither a row nor its method has."""
    for name in written:
        if name not in known:
            nearest = difflib.get_close_matches(str(name), sorted(known), n=1)
            advice = [f"Did you mean {where}.{one}?" for one in nearest]
            known_names = f"Known are {', '.join(sorted(known))}."
            msg = f"{where}.{name} is not a parameter. {(*advice, known_names)[0]}"
            raise InputError(msg)
