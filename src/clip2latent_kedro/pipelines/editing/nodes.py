"""Nodes of `editing` that prepare and run the audit."""

import logging
from collections.abc import Mapping
from typing import Any

from clip2latent_kedro.editing.edit import require_targets
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.editing.choice import Choice
from clip2latent_kedro.study.editing.config import AuditConfig
from clip2latent_kedro.study.editing.plan import Audit
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult

logger = logging.getLogger(__name__)


def plan(
    models: EditingModels,
    targets: dict[str, Any],
    audit: AuditConfig,
    evaluation: EvaluationConfig,
    seed: int,
) -> tuple[Audit, list[PlannedVariant]]:
    """Find the rows that there can be, and plan what chooses their settings.

    Args:
        models: What `gather_editing_models` returned.
        targets: What edits are to bring about.
        audit: Rows and protocol.
        evaluation: Gives the size of stored images.
        seed: The first of the seeds.
    """
    planned = Audit(
        audit,
        require_targets(targets),
        models,
        seed=seed,
        stored_image_size=evaluation.stored_image_size,
    )
    return planned, planned.plan_tuning()


def choose(
    audit: Audit, variants: list[PlannedVariant], results: Mapping[str, StoredResult]
) -> tuple[dict[str, Choice], list[PlannedVariant]]:
    """Choose settings and strengths of each row, and plan what is reported.

    Args:
        audit: What `plan` returned.
        variants: Its variants.
        results: Of the variants, all that are stored.
    """
    choices = audit.choose(variants, results)
    for name, choice in choices.items():
        logger.info(
            "%s: settings %s of %d, area %.3f.",
            name,
            audit.rows[name].tried[choice.tried],
            len(choice.areas),
            choice.areas[choice.tried],
        )
    return choices, audit.plan_reported(choices)
