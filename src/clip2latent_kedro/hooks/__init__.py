"""Around every run: checks before it, where its results are, and wandb."""

from clip2latent_kedro.hooks.catalog import CatalogHooks
from clip2latent_kedro.hooks.parameters import ParameterHooks
from clip2latent_kedro.hooks.results import ResultHooks
from clip2latent_kedro.hooks.trial import TrialHooks
from clip2latent_kedro.hooks.wandb import WandbHooks

__all__ = [
    "CatalogHooks",
    "ParameterHooks",
    "ResultHooks",
    "TrialHooks",
    "WandbHooks",
]
