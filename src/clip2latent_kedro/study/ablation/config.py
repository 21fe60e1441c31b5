"""Which ablations there are: `params:ablation`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval

from clip2latent_kedro.checked import (
    Checked,
    PositiveInt,
    Rule,
    change_settings,
    check_types,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.engine import Overrides, Variant, expand_grid

Groups = Mapping[str, Any]
"""The settings of a variant: config objects by group, such as `model.network`."""


@dataclass(frozen=True)
class OwnConfig(Checked):
    """What only an ablation can set.

    Attributes:
        num_pairs: Pairs that the prior is trained on; None for all.
        best_of: Samples that CLIP chooses one from.
        condition: What the pictures are drawn of: texts, or embeddings of pictures
            that training never saw.
    """

    num_pairs: Annotated[int, Ge(2)] | None = None
    best_of: PositiveInt = 1
    condition: Literal["text", "image"] = "text"


OWN = ""  # the group of what only an ablation can set
NO_DIFFERENCE = ("val_it", "val_pairs", "best_by", "save_it")  # to averaged weights
GROUPS: dict[str, list[str]] = {
    "sampling": [field.name for field in fields(SamplingConfig)],
    "data": ["bs", "embed_noise_scale"],
    "model.network": [field.name for field in fields(NetworkConfig)],
    "model.diffusion": [field.name for field in fields(DiffusionConfig)],
    "train": [f.name for f in fields(TrainConfig) if f.name not in NO_DIFFERENCE],
    OWN: [field.name for field in fields(OwnConfig)],
}
KNOWN = [f"{g}.{name}".lstrip(".") for g, names in GROUPS.items() for name in names]


def needs_training(name: str) -> bool:
    """Return whether another value of a setting means another prior."""
    return name not in ("best_of", "condition") and not name.startswith("sampling.")


def change_groups(groups: Groups, overrides: Overrides) -> dict[str, Any]:
    """Return settings with some of them changed.

    Args:
        groups: Config objects by group.
        overrides: With names of `KNOWN`.

    Raises:
        InputError: If a value is out of its range.
    """
    changes: dict[str, dict[str, Any]] = {}
    for name, value in overrides.items():
        group, _, field = name.rpartition(".")
        changes.setdefault(group, {})[field] = value
    changed = {g: change_settings(groups[g], own) for g, own in changes.items()}
    return {**groups, **changed}


def describe_override(name: str, value: Any) -> str:
    """Return an override in words, such as `psi 0.7`."""
    absent = "all" if name == "num_pairs" else "none"
    return f"{name.rpartition('.')[2]} {absent if value is None else value}"


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
    base: dict[str, Any]
    lines: dict[str, dict[str, Any]]
    apart: dict[str, dict[str, Any]]

    @property
    def retrains(self) -> bool:
        """Whether each variant is drawn from a prior of its own."""
        return any(needs_training(n) for v in self.variants() for n in v.overrides)

    def variants(self) -> Iterator[Variant]:
        """Yield all variants, line by line, those apart last."""
        for line, of_line in self.lines.items():
            for value in self.values:
                label = describe_override(self.axis, value)
                yield Variant(
                    f"{line}, {label}" if line else label,
                    {**self.base, **of_line, self.axis: value},
                    group=self.name,
                    line=line,
                    value=value,
                )
        for name, settings in self.apart.items():
            overrides = {**self.base, **settings}
            yield Variant(name, overrides, group=self.name, line=name, is_apart=True)


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
    budget: dict[str, Any]
    only: str | None
    studies: dict[str, dict[str, Any] | None]

    def rules(self) -> Iterator[Rule]:
        """Yield that the budget is training's, and that names are those of studies."""
        _read_overrides("ablation.budget", self.budget)
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
    study = _read_mapping(where, written)
    parts = ("title", "axis", "values", "base", "lines", "across", "apart")
    for key in study:
        if key not in parts:
            msg = f"{where}.{key} is not a parameter. Known here: {', '.join(parts)}."
            raise InputError(msg)
    axis, values = study.get("axis"), study.get("values")
    if axis not in KNOWN:
        msg = f"{where}.axis must be one of {', '.join(KNOWN)}, got {axis!r}."
        raise InputError(msg)
    if not isinstance(values, list) or not values:
        msg = f"{where}.values must be a list of values to try, got {values!r}."
        raise InputError(msg)
    spec = StudySpec(
        name,
        str(study.get("title", name.replace("_", " "))),
        axis,
        values,
        base=_read_overrides(f"{where}.base", study.get("base", {})),
        lines=_read_lines(where, study),
        apart=_read_named(f"{where}.apart", study.get("apart", {})),
    )
    for variant in spec.variants():
        own = {n: v for n, v in variant.overrides.items() if n in GROUPS[OWN]}
        check_types(OwnConfig, own, where)
    labels = [variant.label for variant in spec.variants()]
    if len(set(labels)) < len(labels):
        msg = f"{where} must have variants of different names, got {labels}."
        raise InputError(msg)
    return spec


def _read_lines(where: str, study: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the lines as written, each times every combination of `across`."""
    lines = _read_named(f"{where}.lines", study.get("lines", {})) or {"": {}}
    across = _read_overrides(f"{where}.across", study.get("across", {}))
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
    """Return overrides by the name of what has them; null leaves one out."""
    return {
        name: _read_overrides(f"{where}.{name}", overrides)
        for name, overrides in _read_mapping(where, written).items()
        if overrides is not None
    }


def _read_overrides(where: str, written: object) -> dict[str, Any]:
    overrides = _read_mapping(where, written)
    for name in overrides:
        if name not in KNOWN:
            msg = f"{where}.{name} is not a setting. Known here: {', '.join(KNOWN)}."
            raise InputError(msg)
    return overrides


def _read_mapping(where: str, written: object) -> dict[str, Any]:
    if not isinstance(written, Mapping):
        msg = f"{where} must be settings by name, got {written!r}."
        raise InputError(msg)
    return dict(written)
