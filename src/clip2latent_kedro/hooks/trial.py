"""What cannot work is refused before a long run computes anything."""

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.prompts import embed_rows, rows_of
from clip2latent_kedro.study.trial import NUM_TRIED, try_models, try_texts

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

        def load(name: str) -> Any:
            return catalog.load(name) if name in read else None

        data, encoder = catalog.load("params:data"), load("encoder")
        models = Models(
            generator=load("generator"),
            encoder=data.scorer(encoder),
            embedder=data.embedder(encoder),
            held_out=load("held_out_encoder"),
            judge=load("judge"),
            latent_repeats=data.latent_repeats,
            latent_batch_size=NUM_TRIED,
            image_batch_size=NUM_TRIED,
            device=pick_device(catalog.load("params:device")),
        )
        try_models(models, data)
        bank = [row.get("prompt", "") for row in rows_of(load("prompt_bank"))]
        if not all(text.strip() for text in bank):
            msg = (
                "prompt_bank must have a text in the column `prompt` of each row. "
                "Correct it, or put a NothingDataset in the catalog."
            )
            raise InputError(msg)
        mend = "Replace it, or put a NothingDataset in the catalog."
        where = "The catalog entry prompt_bank"
        try_texts(models.embedder, bank, where=where, mend=mend)
        if "prompts" not in read:
            return
        evaluation: EvaluationConfig = catalog.load("params:evaluation")
        rows = rows_of(load("prompts"))
        texts = [row.get("prompt", "") for row in rows][: evaluation.num_prompts]
        asked = {
            "The catalog entry prompts": (texts, "Replace it in the catalog."),
            "evaluation.timing_prompt": ([evaluation.timing_prompt], "Change it."),
        }
        for encoder in filter(None, (models.encoder, models.held_out)):
            for where, (told, mend) in asked.items():
                try_texts(encoder, told, where=where, mend=mend)
        embed_rows(rows, models, num_prompts=evaluation.num_prompts)  # what they state
