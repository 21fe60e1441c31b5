"""Nodes of `editing` that prepare and run the audit."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.editing.edit import require_targets
from clip2latent_kedro.editing.global_directions.relevance import ChannelRelevance
from clip2latent_kedro.editing.mapper.mapper import StyleMapper
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.clip2gan import Clip2Gan
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.editing.choice import Choice
from clip2latent_kedro.study.editing.config import AuditConfig
from clip2latent_kedro.study.editing.plan import Audit
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult

logger = logging.getLogger(__name__)


def gather_editing_models(
    models: Models,
    clip2gan: Clip2Gan | None,
    identity_encoder: Encoder | None,
    directions: dict[str, Direction] | None,
    channel_relevance: ChannelRelevance | None,
    mappers: dict[str, StyleMapper] | None,
    sampling: SamplingConfig,
) -> EditingModels:
    """Return the models of the domain, with what has been learned for editing.

    Args:
        models: What `add_priors` returned.
        clip2gan: A trained CLIP2GAN; None if there is none.
        identity_encoder: Tells who is in a picture; None if there is none.
        directions: By name; None if there are none.
        channel_relevance: Of the channels of S; None before it is measured.
        mappers: By the name of their target; None before they are trained.
        sampling: How the prior is sampled.
    """
    return EditingModels(
        models=replace(models, clip2gan=clip2gan, sampling=sampling),
        identity_encoder=identity_encoder,
        directions=directions or {},
        channel_relevance=channel_relevance,
        mappers=mappers or {},
    )


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
