"""What cannot work is refused before a long run computes anything."""

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.study import EvaluationConfig, read_queries, rows_of
from clip2latent_kedro.study.trial import try_models, try_texts

MADE = {"training_pairs", "prior_checkpoint"}  # what takes long to make


class TrialHooks:
    """Tries the frozen models, and all texts, before pairs or a prior are made."""

    @hook_impl
    def before_pipeline_run(
        self, pipeline: Pipeline, catalog: CatalogProtocol[str, Any]
    ) -> None:
        """Load what the run reads of them; what it does not read is not tried."""
        read = pipeline.inputs()
        if not (pipeline.all_outputs() & MADE and {"generator", "encoder"} <= read):
            return

        def load(name: str) -> Any:
            return catalog.load(name) if name in read else None

        device = pick_device(catalog.load("params:device"))
        encoder, held_out = load("encoder"), load("held_out_encoder") or None
        judge = load("judge") or None
        try_models(
            load("generator"),
            encoder,
            catalog.load("params:data"),
            device,
            held_out=held_out,
            judge=judge,
        )
        bank = [row.get("prompt", "") for row in rows_of(load("prompt_bank"))]
        if not all(text.strip() for text in bank):
            msg = (
                "prompt_bank must have a text in the column `prompt` of each row. "
                "Correct it, or put a NothingDataset in the catalog."
            )
            raise InputError(msg)
        try_texts(encoder, bank, device)
        if "prompts" not in read:
            return
        evaluation: EvaluationConfig = catalog.load("params:evaluation")
        prompts = read_queries(
            rows_of(load("prompts")),
            encoder,
            {} if judge is None else judge.attributes,
            num_prompts=evaluation.num_prompts,
            held_out=held_out,
        )
        texts = [evaluation.timing_prompt, *prompts.texts]
        for scoring in filter(None, (encoder, held_out)):
            try_texts(scoring, texts, device)
