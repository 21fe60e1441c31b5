"""Ablations: one setting is moved along an axis, everything else stays as it is."""

from clip2latent_kedro.ablation.bench import Bench, Outcome
from clip2latent_kedro.ablation.config import AblationConfig, StudySpec
from clip2latent_kedro.ablation.plan import PlannedVariant, plan_variants
from clip2latent_kedro.ablation.run import run_variants
from clip2latent_kedro.ablation.settings import Settings

__all__ = [
    "AblationConfig",
    "Bench",
    "Outcome",
    "PlannedVariant",
    "Settings",
    "StudySpec",
    "plan_variants",
    "run_variants",
]
