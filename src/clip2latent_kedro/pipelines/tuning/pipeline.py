"""Wiring of `tuning`: the sweep's trials, of every method, with a best of each."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines.studies import add_references
from clip2latent_kedro.pipelines.sweep.choices import choose_each
from clip2latent_kedro.pipelines.sweep.pipeline import wire_trials
from clip2latent_kedro.pipelines.wiring import wire


def create_pipeline() -> Pipeline:
    """Return prompt_bank and models -> results of variants -> report, best."""
    trials = wire_trials("tuning", "tuned_models", choose_each, "choose_best_settings")
    added = wire(add_references, "tuned_models", models="sampling_models")
    return Pipeline([*trials.nodes, added])
