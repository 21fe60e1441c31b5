"""The kinds of rows: one method, and how a row becomes it, a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.kinds import (
    clip2gan,
    clip2latent,
    external,
    generator_bound,
    lafite,
    nearest_pair,
    optimisation,
    random_w,
    references,
)
from clip2latent_kedro.study.method import Queries
from clip2latent_kedro.study.models import Models
from clip2latent_kedro.study.rows import (
    Allowed,
    Row,
    RowSpec,
    check_settings,
    read_row,
)

NO_SETTINGS = Allowed()
Build = Callable[[RowSpec, Models, Queries], Row]


@dataclass(frozen=True)
class Kind:
    """How rows of one kind are made.

    Attributes:
        build: From what is written to what answers; raises `LackingError` if the
            domain does not have what it takes.
        allowed: Settings of such a row.
    """

    build: Build
    allowed: Allowed = NO_SETTINGS


KINDS: dict[str, Kind] = {
    "clip2latent": Kind(clip2latent.build, clip2latent.ALLOWED),
    "random_w": Kind(random_w.build),
    "reference": Kind(references.build),
    "generator_bound": Kind(generator_bound.build),
    "nearest_pair": Kind(nearest_pair.build),
    "direct": Kind(
        partial(optimisation.build, allowed=optimisation.DIRECT), optimisation.DIRECT
    ),
    "styleclip": Kind(
        partial(optimisation.build, allowed=optimisation.STYLECLIP),
        optimisation.STYLECLIP,
    ),
    "refinement": Kind(optimisation.build_refinement, optimisation.REFINEMENT),
    "clip2gan": Kind(clip2gan.build, clip2gan.ALLOWED),
    "lafite": Kind(lafite.build),
    "external": Kind(external.build, external.ALLOWED),
}


def read_rows(written: Mapping[str, object]) -> dict[str, RowSpec]:
    """Return the rows of `params:evaluation.rows`; one that is null is left out.

    Raises:
        InputError: If a kind or a setting is not known.
    """
    rows = {}
    for name, settings in written.items():
        if settings is None:
            continue
        row = read_row(name, settings)
        where = f"evaluation.rows.{name}"
        if not isinstance(row.kind, str) or row.kind not in KINDS:
            msg = f"{where}.method must be one of {', '.join(KINDS)}, got {row.kind!r}."
            raise InputError(msg)
        check_settings(where, row.settings, KINDS[row.kind].allowed)
        rows[name] = row
    return rows
