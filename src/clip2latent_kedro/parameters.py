"""The whole parameter tree, checked against the science's own config classes.

Pydantic reads the plain dataclasses as they are, and hands the strictness of
`Parameters` down to them: no unknown keys at any depth, no coercion but of whole
numbers to floats. Ranges are checked by the dataclasses themselves.
"""

import difflib
import json
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from math import inf
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference import InferenceConfig
from clip2latent_kedro.methods import split_overrides
from clip2latent_kedro.methods.clip2gan import Clip2GanTrainingConfig
from clip2latent_kedro.methods.lafite import LafiteTrainingConfig
from clip2latent_kedro.methods.optimisation import OptimisationConfig
from clip2latent_kedro.pairs import DataConfig, GenerationConfig
from clip2latent_kedro.portraits.clip import ClipFinetuneConfig, ClipTrainingConfig
from clip2latent_kedro.portraits.generator import GeneratorConfig
from clip2latent_kedro.portraits.judge import JudgeConfig
from clip2latent_kedro.portraits.vae import VaeTrainingConfig
from clip2latent_kedro.portraits.vae_flow import FlowTrainingConfig
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.ablation.config import AblationConfig, OwnConfig
from clip2latent_kedro.study.config import EvaluationConfig, read_rows
from clip2latent_kedro.study.sweep import SweepConfig
from clip2latent_kedro.study.validation import ValidationConfig

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
LARGEST = {int: 2**31 - 1, float: 1e30}  # of what is computed with in 32 bits
_GONE = {"ablation.ensemble_size": "Priors are trained one by one: remove it."}
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    bool: "true or false",
    types.NoneType: "null",
}


class ModelParameters(BaseModel):
    """`params:model`: the network, and the diffusion around it."""

    model_config = STRICT

    network: NetworkConfig
    diffusion: DiffusionConfig


class PortraitsParameters(BaseModel):
    """`params:portraits`: the models of the embedded domain."""

    model_config = STRICT

    num_prompts: PositiveInt
    num_bank_prompts: PositiveInt
    num_references: PositiveInt
    num_measured: PositiveInt
    judge: JudgeConfig
    clip: ClipTrainingConfig
    clip_finetune: ClipFinetuneConfig
    clip_held_out: ClipTrainingConfig
    generator: GeneratorConfig
    vae: VaeTrainingConfig
    vae_flow: FlowTrainingConfig


class OptimisationParameters(BaseModel):
    """`params:baselines.optimisation`: ways of searching for a latent."""

    model_config = STRICT

    article: OptimisationConfig
    plain: OptimisationConfig
    strong: OptimisationConfig
    styleclip: OptimisationConfig
    refine: OptimisationConfig


class BaselinesParameters(BaseModel):
    """`params:baselines`: methods to compare with."""

    model_config = STRICT

    num_prompts: PositiveInt
    num_samples: PositiveInt
    lafite: LafiteTrainingConfig
    clip2gan: Clip2GanTrainingConfig
    optimisation: OptimisationParameters


class Parameters(BaseModel):
    """Everything that `conf/` and `--params` can set."""

    model_config = STRICT

    seed: int
    device: str
    resume: bool
    logging: Literal["wandb"] | None
    data: DataConfig
    data_generation: GenerationConfig
    model: ModelParameters
    train: TrainConfig
    validation: ValidationConfig
    distillation: DistillationConfig
    sampling: SamplingConfig
    evaluation: EvaluationConfig
    sweep: SweepConfig
    ablation: AblationConfig
    inference: InferenceConfig
    portraits: PortraitsParameters
    baselines: BaselinesParameters

    @field_validator("device")
    @classmethod
    def _exists(cls, device: str) -> str:
        pick_device(device)
        return device

    @model_validator(mode="after")
    def _best_is_measured(self) -> "Parameters":
        known = self.validation.score_names
        if self.train.best_by not in known:
            best_by = self.train.best_by
            msg = f"train.best_by must be one of {', '.join(known)}, got {best_by!r}."
            raise InputError(msg)
        return self


def check_parameters(tree: Mapping[str, Any]) -> None:
    """Check a parameter tree as Kedro loads it.

    Raises:
        InputError: With one sentence for each wrong parameter: its path, what is
            expected, what came.
    """
    _check_numbers(tree)
    parameters = _build(tree)
    for where, group, settings in _variants(parameters):
        try:
            _build(_overlay(tree, group.split("."), settings))
        except InputError as error:
            msg = f"In {where}, {error}"
            raise InputError(msg) from None
    _check_studies(tree, parameters.ablation)


def _check_numbers(tree: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse numbers that no tensor can hold, in variants too."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            _check_numbers(value, f"{prefix}{name}.")
        for each in value if isinstance(value, list) else [value]:
            if f"{prefix}{name}" == "seed" or type(each) not in LARGEST:
                continue
            largest = LARGEST[type(each)]
            if largest < abs(each) < inf:
                msg = (
                    f"{prefix}{name} must be a number of at most {largest} in size, "
                    f"got {each}."
                )
                raise InputError(msg)


def _variants(
    parameters: Parameters,
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the place of each variant, and what it changes of which group."""
    for name, row in read_rows(parameters.evaluation.rows).items():
        group, changed = split_overrides(row.overrides, row.method)
        if group is not None:
            yield f"evaluation.rows.{name}", group, changed
    for point in parameters.sweep.variants():
        changed = split_overrides(point.overrides)[1]
        yield f"sweep.grids.{point.group}", "sampling", changed


def _check_studies(tree: Mapping[str, Any], ablation: AblationConfig) -> None:
    """Check every variant of every ablation."""
    for study in ablation.read_studies().values():
        budget = ablation.budget if study.retrains else {}
        for variant in study.variants():
            changed: Mapping[str, Any] = tree
            try:
                for name, value in {**budget, **variant.overrides}.items():
                    *group, field = name.split(".")
                    if group:
                        changed = _overlay(changed, group, {field: value})
                    else:
                        OwnConfig(**{name: value})
                _build(changed)
            except InputError as error:
                msg = f"In ablation.studies.{study.name}, {error}"
                raise InputError(msg) from None


def _overlay(
    tree: Mapping[str, Any], group: Sequence[str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a tree with some settings of a group changed."""
    if not group:
        return {**tree, **settings}
    first, *rest = group
    return {**tree, first: _overlay(tree.get(first, {}), rest, settings)}


def _build(tree: Mapping[str, Any]) -> Parameters:
    # As JSON, because only there strict pydantic builds dataclasses from mappings.
    try:
        return Parameters.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        sentences = [_explain(problem, tree) for problem in error.errors()]
        raise InputError("\n".join(dict.fromkeys(sentences))) from None


def _explain(problem: Mapping[str, Any], tree: Any) -> str:
    """Return the sentence for one of pydantic's errors in a tree."""
    location, given = problem["loc"], problem["input"]
    for depth in range(len(location)):
        if get_origin(_type_at(location[:depth])) in (Union, types.UnionType):
            location, given = location[:depth], _value_at(tree, location[:depth])
            break  # what follows is a type's name
    path = ".".join(map(str, location))
    if problem["type"] in _UNKNOWN:
        hint = f" {_GONE[path]}" if path in _GONE else _suggest(path)
        return f"{path} is not a parameter.{hint}"
    if problem["type"] == "missing":
        return f"{path} is missing. Set it in conf/ or with --params."
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    expected = _describe(_type_at(location))
    return f"{path} must be {expected}, got {json.dumps(given)}."


def _suggest(path: str) -> str:
    """Return a guess at the parameter that was meant, or what there is beside it."""
    known = list(_walk(Parameters))
    group, _, name = path.rpartition(".")
    beside = {
        other.rpartition(".")[2]: other
        for other in known
        if other.rpartition(".")[0] == group
    }
    elsewhere = [other for other in known if other.rpartition(".")[2] == name]
    close = difflib.get_close_matches(name, beside, n=1, cutoff=0.5)
    guesses = [beside[guess] for guess in close] or elsewhere
    if guesses:
        return f" Did you mean {' or '.join(guesses)}?"
    return f" Known here: {', '.join(beside)}."


def _walk(group: Any, prefix: str = "") -> Iterator[str]:
    """Yield the path of every parameter, groups included."""
    for name, annotation in _fields(group).items():
        yield f"{prefix}{name}"
        yield from _walk(annotation, f"{prefix}{name}.")


def _fields(group: Any) -> dict[str, Any]:
    """Return the type of each field of a model or dataclass; none of other types."""
    if is_dataclass(group):
        return get_type_hints(group)
    if isinstance(group, type) and issubclass(group, BaseModel):
        return {name: field.annotation for name, field in group.model_fields.items()}
    return {}


def _value_at(tree: Any, location: tuple[str | int, ...]) -> Any:
    for step in location:
        tree = tree[step]
    return tree


def _type_at(location: tuple[str | int, ...]) -> Any:
    annotation: Any = Parameters
    for step in location:
        if isinstance(step, str):
            annotation = _fields(annotation).get(step)
        else:
            (annotation,) = get_args(annotation) or (None,)
    return annotation


def _describe(annotation: Any) -> str:
    """Return a type in words, such as `a whole number or null`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        words = sorted(map(_describe, arguments), key=lambda each: "list" in each)
        return " or ".join(words)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is list:
        return f"a list, each {_describe(arguments[0])}"
    return _NAMES.get(annotation, "a group of parameters")
