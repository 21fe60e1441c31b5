"""What cannot work is refused before a long run computes anything."""

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

MADE = {"training_pairs", "prior_checkpoint"}  # what takes long to make
# What takes long to prepare for edits, which a run that reads a prior makes first.
PREPARED = {"channel_relevance", "mapper_states"}


class TrialHooks:
    """Tries the frozen models, and all texts, before pairs or a prior are made."""

    @hook_impl
    def before_pipeline_run(
        self, pipeline: Pipeline, catalog: CatalogProtocol[str, Any]
    ) -> None:
        """Load what the run reads of them; what it does not read is not tried."""
        read = pipeline.inputs()
        if pipeline.all_outputs() & PREPARED and "prior" in read:
            catalog.load("prior")  # says what makes it if it is not there
        if not (pipeline.all_outputs() & MADE and {"generator", "encoder"} <= read):
            return
        from clip2latent_kedro.hooks.trying import try_run

        try_run(read, catalog)
