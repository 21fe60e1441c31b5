"""The frozen models and all texts of a run, tried before it computes anything."""

from collections.abc import Collection
from typing import Any

from kedro.io import CatalogProtocol

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.runtime import pick_device
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.prompts import embed_rows, rows_of
from clip2latent_kedro.study.trial import NUM_TRIED, try_models, try_texts


def try_run(read: Collection[str], catalog: CatalogProtocol[str, Any]) -> None:
    """Load what a run reads of models and texts, and try it.

    Args:
        read: Entries that the run reads; what it does not read is not tried.
        catalog: Where they are.

    Raises:
        InputError: If something of it cannot work.
    """

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
