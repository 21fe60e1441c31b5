"""Which ablations there are: `params:ablation`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval

from clip2latent_kedro.checked import (
    Checked,
    PositiveInt,
    Rule,
    change_settings,
    check_types_at,
    read_settings,
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
    "sampling": [f.name for f in fields(SamplingConfig)],
    "data": ["bs", "embed_noise_scale", "embed_noise_least"],
    "model.network": [f.name for f in fields(NetworkConfig)],
    "model.diffusion": [f.name for f in fields(DiffusionConfig)],
    "train": [f.name for f in fields(TrainConfig) if f.name not in NO_DIFFERENCE],
    OWN: [f.name for f in fields(OwnConfig)],
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
class StudySpec(Checked):
    """One ablation, as `params:ablation.studies` has it.

    Attributes:
        name: Of the study, and of its files.
        axis: The setting that is moved.
        values: Its values, in order.
        title: For people.
        base: What all variants change.
        lines: What the variants of each line change, by name.
        across: Values of settings, each combination of which makes lines of its own.
        apart: Variants without a place on the axis, by name.
        against: What the figure's horizontal axis is: the axis, or the CPU seconds that
            the training of a prior took.
    """

    name: str
    axis: str
    values: list[Any]
    title: str
    base: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)
    across: dict[str, list[Any]] = field(default_factory=dict)
    apart: dict[str, dict[str, Any]] = field(default_factory=dict)
    against: Literal["axis", "cpu_seconds"] = "axis"

    def rules(self) -> Iterator[Rule]:
        """Yield that settings are those that there are, with values to try."""
        yield self.axis in KNOWN, "axis", f"one of {', '.join(KNOWN)}"
        can_tell = self.against == "axis" or self.retrains
        yield can_tell, "against", "axis where nothing is trained"
        for written in (self.values, *self.across.values()):
            yield bool(written), "values", "a list of values to try"
        parts = {"base": self.base, "across": self.across}
        parts |= {f"lines.{name}": own for name, own in self.lines.items()}
        parts |= {f"apart.{name}": own for name, own in self.apart.items()}
        for part, own in parts.items():
            _check_names(f"ablation.studies.{self.name}.{part}", own)

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
            yield Variant(name, overrides, group=self.name, line=name, is_off_axis=True)


@dataclass(frozen=True)
class AblationConfig(Checked):
    """The studies, and the protocol of all of them.

    Attributes:
        num_prompts: Prompts of the bank, after those of the validation, and as many
            pictures of pairs that training never saw.
        num_samples: Images of each.
        num_seeds: Seeds of each variant, from `seed` on.
        confidence: Of the intervals over seeds and prompts.
        strip_prompts: Prompts in the pictures of a study.
        budget: The name of what priors that are trained for a study change of the
            parameters; None for nothing.
        budgets: By name, settings of training.
        only: Names of the studies to run, with commas between; None for all.
        studies: By name (see `StudySpec`); None leaves a study out.
    """

    num_prompts: Annotated[int, Ge(2)]
    num_samples: Annotated[int, Ge(2)]
    num_seeds: Annotated[int, Ge(2)]
    confidence: Annotated[float, Interval(gt=0, lt=1)]
    strip_prompts: PositiveInt
    budget: str | None
    budgets: dict[str, dict[str, Any]]
    only: str | None
    studies: dict[str, dict[str, Any] | None]

    def rules(self) -> Iterator[Rule]:
        """Yield that budgets are training's, and names those of budgets and studies."""
        for budget, settings in self.budgets.items():
            where = f"ablation.budgets.{budget}"
            _check_names(where, settings)
            for name in settings:
                if not needs_training(name):
                    msg = (
                        f"{where}.{name} must be a setting of training, got one that "
                        f"decides nothing there. Put it into `base` of a study."
                    )
                    raise InputError(msg)
        known = f"a name of budgets, {', '.join(self.budgets)}, or null"
        yield self.budget in (None, *self.budgets), "budget", known
        studies = self._read_all()
        known = f"names of studies, of {', '.join(studies)}, or null"
        yield self._chosen() <= studies.keys(), "only", known

    def read_studies(self) -> dict[str, StudySpec]:
        """Return the studies to run, by name."""
        studies, chosen = self._read_all(), self._chosen()
        return {n: s for n, s in studies.items() if not chosen or n in chosen}

    def budget_of(self, study: StudySpec) -> dict[str, Any]:
        """Return what the priors of a study change; nothing if it trains none."""
        if self.budget is None or not study.retrains:
            return {}
        return self.budgets[self.budget]

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
    if isinstance(written, Mapping):
        named = {part: _drop_null(written.get(part, {})) for part in ("lines", "apart")}
        written = {"title": name.replace("_", " "), **written, **named, "name": name}
    spec = read_settings(StudySpec, written, where)
    spec = replace(spec, lines=_multiply_lines(spec), across={})
    for variant in spec.variants():
        own = {n: v for n, v in variant.overrides.items() if n in GROUPS[OWN]}
        check_types_at(where, OwnConfig, own)
    labels = [variant.label for variant in spec.variants()]
    if len(set(labels)) < len(labels):
        msg = f"{where} must have variants of different names, got {labels}."
        raise InputError(msg)
    return spec


def _multiply_lines(spec: StudySpec) -> dict[str, dict[str, Any]]:
    """Return the lines as written, each times every combination of `across`."""
    found = {}
    for line, overrides in (spec.lines or {"": {}}).items():
        for point in expand_grid(spec.across):
            parts = [line, *(describe_override(*setting) for setting in point.items())]
            found[", ".join(part for part in parts if part)] = {**overrides, **point}
    return found


def _drop_null(part: object) -> object:
    """Return a part of a study without what is null; that leaves a variant out."""
    if not isinstance(part, Mapping):
        return part
    return {name: value for name, value in part.items() if value is not None}


def _check_names(where: str, overrides: Iterable[str]) -> None:
    for name in overrides:
        if name not in KNOWN:
            msg = f"{where}.{name} is not a setting. Known here: {', '.join(KNOWN)}."
            raise InputError(msg)
