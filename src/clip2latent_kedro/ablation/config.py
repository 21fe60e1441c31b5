"""Which ablations there are: `params:ablation`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, Interval

from clip2latent_kedro.ablation.settings import (
    KNOWN,
    Settings,
    describe_override,
    needs_training,
)
from clip2latent_kedro.checked import Checked, PositiveInt, Rule, check_types
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.variants import expand_grid

_STUDY = ("title", "axis", "values", "base", "lines", "across", "apart")


@dataclass(frozen=True)
class Point:
    """One variant of a study, as it is written.

    Attributes:
        line: Which line of the figure it is on; "" where there is only one.
        value: Where on the axis; None for a variant apart from it.
        label: Of the variant, unique in its study.
        overrides: What it changes of the parameters, all together.
        is_apart: Whether it has no place on the axis.
    """

    line: str
    value: Any
    label: str
    overrides: dict[str, Any]
    is_apart: bool = False


@dataclass(frozen=True)
class StudySpec:
    """One ablation, as `params:ablation.studies` has it.

    Attributes:
        name: Of the study, and of its files.
        title: For people.
        axis: The setting that is moved.
        values: Its values, in order.
        base: What all variants change.
        lines: What the variants of each line change, by name.
        apart: Variants without a place on the axis, by name.
    """

    name: str
    title: str
    axis: str
    values: list[Any]
    base: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, dict[str, Any]] = field(default_factory=lambda: {"": {}})
    apart: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def retrains(self) -> bool:
        """Whether each variant is drawn from a prior of its own."""
        return any(needs_training(name) for p in self.points() for name in p.overrides)

    def points(self) -> Iterator[Point]:
        """Yield all variants, line by line, those apart last."""
        for line, of_line in self.lines.items():
            for value in self.values:
                label = describe_override(self.axis, value)
                overrides = {**self.base, **of_line, self.axis: value}
                full = f"{line}, {label}" if line else label
                yield Point(line, value, full, overrides)
        for name, settings in self.apart.items():
            overrides = {**self.base, **settings}
            yield Point(name, None, name, overrides, is_apart=True)


@dataclass(frozen=True)
class AblationConfig(Checked):
    """The studies, and the protocol of all of them.

    Attributes:
        num_prompts: Prompts of the bank, after those of the validation, and as many
            pictures of pairs that training never saw.
        num_samples: Images of each.
        num_seeds: Seeds of each variant, from `seed` on.
        confidence: Of the intervals over seeds.
        strip_prompts: Prompts in the pictures of a study.
        ensemble_size: Priors that are trained together, at most.
        budget: What every prior that is trained for a study changes of the
            parameters, to be trained quickly.
        only: Names of the studies to run, with commas between; None for all.
        studies: By name (see `StudySpec`); None leaves a study out.
    """

    num_prompts: PositiveInt
    num_samples: Annotated[int, Ge(2)]
    num_seeds: Annotated[int, Ge(2)]
    confidence: Annotated[float, Interval(gt=0, lt=1)]
    strip_prompts: PositiveInt
    ensemble_size: PositiveInt
    budget: dict[str, Any]
    only: str | None
    studies: dict[str, dict[str, Any] | None]

    def rules(self) -> Iterator[Rule]:
        """Yield that the budget is training's, and that names are those of studies."""
        _check_overrides("ablation.budget", self.budget)
        for name in self.budget:
            if not needs_training(name):
                msg = (
                    f"ablation.budget.{name} must be a setting of training, got one "
                    f"that decides nothing there. Put it into `base` of a study."
                )
                raise InputError(msg)
        studies = self._read_all()
        known = f"names of studies, of {', '.join(studies)}, or null"
        yield self._chosen() <= studies.keys(), "only", known

    def read_studies(self) -> dict[str, StudySpec]:
        """Return the studies to run, by name."""
        studies, chosen = self._read_all(), self._chosen()
        return {n: s for n, s in studies.items() if not chosen or n in chosen}

    def _chosen(self) -> set[str]:
        return {name.strip() for name in (self.only or "").split(",") if name.strip()}

    def _read_all(self) -> dict[str, StudySpec]:
        written = self.studies.items()
        return {n: _read_study(n, study) for n, study in written if study is not None}


def _read_study(name: str, written: object) -> StudySpec:
    where = f"ablation.studies.{name}"
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        msg = (
            f"A study of ablation.studies must be named in letters, digits and _ "
            f"alone, since its files are called so, got {name!r}."
        )
        raise InputError(msg)
    study = _as_mapping(where, written)
    for key in study:
        if key not in _STUDY:
            msg = f"{where}.{key} is not a parameter. Known here: {', '.join(_STUDY)}."
            raise InputError(msg)
    axis, values = study.get("axis"), study.get("values")
    if axis not in KNOWN:
        msg = f"{where}.axis must be one of {', '.join(KNOWN)}, got {axis!r}."
        raise InputError(msg)
    if not isinstance(values, list) or not values:
        msg = f"{where}.values must be a list of values to try, got {values!r}."
        raise InputError(msg)
    base = _as_mapping(f"{where}.base", study.get("base", {}))
    apart = _read_named(f"{where}.apart", study.get("apart", {}))
    lines = _read_lines(where, study)
    _check_overrides(f"{where}.base", base)
    for group, named in (("lines", lines), ("apart", apart)):
        for line, overrides in named.items():
            _check_overrides(f"{where}.{group}.{line}", overrides)
    title = str(study.get("title", name.replace("_", " ")))
    spec = StudySpec(name, title, axis, values, base, lines, apart)
    for point in spec.points():
        check_types(Settings, point.overrides, f"studies.{name}")
    labels = [point.label for point in spec.points()]
    if len(set(labels)) < len(labels):
        msg = f"{where} must have variants of different names, got {labels}."
        raise InputError(msg)
    return spec


def _read_lines(where: str, study: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the lines as written, each times every combination of `across`."""
    lines = _read_named(f"{where}.lines", study.get("lines", {})) or {"": {}}
    across = _as_mapping(f"{where}.across", study.get("across", {}))
    for name, values in across.items():
        if not isinstance(values, list) or not values:
            msg = f"{where}.across.{name} must be a list of values, got {values!r}."
            raise InputError(msg)
    found = {}
    for line, overrides in lines.items():
        for point in expand_grid(across):
            parts = [line, *(describe_override(*setting) for setting in point.items())]
            found[", ".join(part for part in parts if part)] = {**overrides, **point}
    return found


def _read_named(where: str, written: object) -> dict[str, dict[str, Any]]:
    """Return settings by the name of what has them; null leaves one out."""
    named = _as_mapping(where, written)
    return {
        name: _as_mapping(f"{where}.{name}", overrides)
        for name, overrides in named.items()
        if overrides is not None
    }


def _check_overrides(where: str, overrides: object) -> None:
    for name in _as_mapping(where, overrides):
        if name not in KNOWN:
            msg = f"{where}.{name} is not a setting. Known here: {', '.join(KNOWN)}."
            raise InputError(msg)


def _as_mapping(where: str, written: object) -> dict[str, Any]:
    if not isinstance(written, Mapping):
        msg = f"{where} must be settings by name, got {written!r}."
        raise InputError(msg)
    return dict(written)
