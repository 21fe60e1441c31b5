"""The whole parameter tree: the science's own config classes, and where they stand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clip2latent_kedro.checked import (
    Checked,
    NonNegativeInt,
    PositiveInt,
    Rule,
    Seed,
    change_settings,
    read_settings,
)
from clip2latent_kedro.editing import EDIT_METHODS
from clip2latent_kedro.editing.directions.config import DirectionsConfig
from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.editing.global_directions.config import RelevanceConfig
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.inverter_training import (
    InverterTrainingConfig,
)
from clip2latent_kedro.editing.inversion.pictures import InputPictures
from clip2latent_kedro.editing.mapper.config import MapperConfig
from clip2latent_kedro.engines import EngineKind, RayConfig, StepEngines
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference import InferenceConfig
from clip2latent_kedro.methods import make_settings, read_groups
from clip2latent_kedro.methods.clip2gan import Clip2GanTrainingConfig
from clip2latent_kedro.methods.lafite import LafiteTrainingConfig
from clip2latent_kedro.methods.optimisation.config import OptimisationParameters
from clip2latent_kedro.pairs import DataConfig, GenerationConfig
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig
from clip2latent_kedro.prior.distillation.config import DistillationConfig
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.ablation.config import GROUPS, OWN, AblationConfig
from clip2latent_kedro.study.config import EvaluationConfig, read_rows
from clip2latent_kedro.study.coverage.config import CoverageConfig
from clip2latent_kedro.study.editing.config import AuditConfig
from clip2latent_kedro.study.sweep import SweepConfig
from clip2latent_kedro.study.validation import ValidationConfig
from clip2latent_kedro.worlds.clip_training import ClipTrainingConfig
from clip2latent_kedro.worlds.faces.readings import ReadingConfig
from clip2latent_kedro.worlds.portraits.clip import ClipFinetuneConfig
from clip2latent_kedro.worlds.portraits.generator import GeneratorConfig
from clip2latent_kedro.worlds.portraits.judge import JudgeConfig
from clip2latent_kedro.worlds.portraits.vae import FlowTrainingConfig, VaeTrainingConfig

GONE = {"ablation.ensemble_size": "Priors are trained side by side: remove it."}


@dataclass(frozen=True)
class ModelParameters(Checked):
    """`params:model`: the network, and the diffusion around it."""

    network: NetworkConfig
    diffusion: DiffusionConfig


@dataclass(frozen=True)
class PortraitsParameters(Checked):
    """`params:portraits`: the models of the embedded domain."""

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


@dataclass(frozen=True)
class FacesParameters(Checked):
    """`params:faces`: the CLIPs of the faces."""

    num_prompts: PositiveInt
    num_bank_prompts: PositiveInt
    readings: ReadingConfig
    clip: ClipTrainingConfig
    clip_held_out: ClipTrainingConfig


@dataclass(frozen=True)
class BaselinesParameters(Checked):
    """`params:baselines`: methods to compare with."""

    num_prompts: PositiveInt
    num_samples: PositiveInt
    lafite: LafiteTrainingConfig
    clip2gan: Clip2GanTrainingConfig
    clip2gan_abstract: Clip2GanTrainingConfig
    optimisation: OptimisationParameters


@dataclass(frozen=True)
class EditingParameters(Checked):
    """`params:editing`: changes of pictures after they were sampled."""

    neutral: str
    targets: dict[str, EditTarget | None]
    directions: DirectionsConfig
    relevance: RelevanceConfig
    mapper: MapperConfig
    audit: AuditConfig
    inversion: InversionConfig
    inverter: InverterTrainingConfig

    def rules(self) -> Iterator[Rule]:
        """Yield that there is a target."""
        has_one = any(target is not None for target in self.targets.values())
        yield has_one, "targets", "one target or more"


@dataclass(frozen=True)
class Parameters(Checked):
    """Everything that `conf/` and `--params` can set."""

    seed: Seed
    device: str
    resume: bool
    logging: Literal["wandb"] | None
    engine: EngineKind
    workers: PositiveInt | None
    threads: PositiveInt | None
    max_restarts: NonNegativeInt
    ray: RayConfig
    engines: StepEngines
    data: DataConfig
    data_generation: GenerationConfig
    model: ModelParameters
    train: TrainConfig
    validation: ValidationConfig
    distillation: DistillationConfig
    sampling: SamplingConfig
    evaluation: EvaluationConfig
    coverage: CoverageConfig
    sweep: SweepConfig
    tuning: SweepConfig
    ablation: AblationConfig
    inference: InferenceConfig
    portraits: PortraitsParameters
    faces: FacesParameters
    baselines: BaselinesParameters
    editing: EditingParameters
    inversion: InputPictures

    def rules(self) -> Iterator[Rule]:
        """Yield that the device is there, and that a validation finds its best."""
        pick_device(self.device)
        known = self.validation.score_names
        is_known = self.train.best_by in known
        yield is_known, "train.best_by", f"one of {', '.join(known)}"
        way = self.inference.edit_method
        ways = f"null or one of {', '.join(EDIT_METHODS)}"
        yield way is None or way in EDIT_METHODS, "inference.edit_method", ways


def check_parameters(tree: Mapping[str, Any]) -> None:
    """Check a parameter tree as Kedro loads it.

    Raises:
        InputError: With one sentence for each wrong parameter: its path, what is
            expected, what came.
    """
    for name, advice in GONE.items():
        group, _, setting = name.partition(".")
        written = tree.get(group)
        if isinstance(written, Mapping) and setting in written:
            raise InputError(f"{name} is not a parameter any more. {advice}")
    parameters = read_settings(Parameters, tree)
    groups = read_groups(parameters.sampling, parameters.baselines.optimisation)
    for name, row in read_rows(parameters.evaluation.rows).items():
        make_settings(f"evaluation.rows.{name}", row.overrides, groups, row.method)
    for name, search in (("sweep", parameters.sweep), ("tuning", parameters.tuning)):
        for point in search.variants():
            where = f"{name}.grids.{point.group}"
            make_settings(where, point.overrides, groups, point.method)
    ablation = parameters.ablation
    for study in ablation.read_studies().values():
        budget = ablation.budget_of(study)
        for variant in study.variants():
            changed = {**budget, **variant.overrides}
            of_run = {n: changed[n] for n in changed if n not in GROUPS[OWN]}
            try:
                change_settings(parameters, of_run)
            except InputError as error:
                msg = f"In ablation.studies.{study.name}, {error}"
                raise InputError(msg) from None
