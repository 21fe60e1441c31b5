"""Every variant of every study, with the name of its result."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clip2latent_kedro.ablation.config import AblationConfig, Point
from clip2latent_kedro.ablation.settings import Settings
from clip2latent_kedro.errors import InputError


@dataclass(frozen=True)
class PlannedVariant:
    """A variant with all of its settings.

    Attributes:
        study: Name of its study.
        point: As it is written.
        settings: What comes of it.
        retrains: Whether it has priors of its own.
        key: Of its result: equal means the same result.
    """

    study: str
    point: Point
    settings: Settings
    retrains: bool
    key: str


def plan_variants(
    config: AblationConfig, base: Settings, circumstances: Mapping[str, Any]
) -> list[PlannedVariant]:
    """Return every variant, in the order of the studies.

    Args:
        config: `params:ablation`.
        base: The parameters.
        circumstances: Everything else that results depend on, as plain JSON; `prior`
            only those of variants that are not trained for.

    Raises:
        InputError: If a value is out of its range; the message names the study.
    """
    planned = []
    for study in config.read_studies().values():
        retrains = study.retrains
        for point in study.points():
            budget = config.budget if retrains else {}
            try:
                settings = base.change({**budget, **point.overrides})
            except InputError as error:
                msg = f"ablation.studies.{study.name}: {error}"
                raise InputError(msg) from None
            own = dict(circumstances)
            if retrains:
                own["prior"] = settings.training()
            key = _key(settings, own)
            planned.append(PlannedVariant(study.name, point, settings, retrains, key))
    return planned


def _key(settings: Settings, circumstances: Mapping[str, Any]) -> str:
    drawn = {
        "sampling": asdict(settings.sampling),
        "best_of": settings.best_of,
        "condition": settings.condition,
    }
    text = json.dumps(_canonical([drawn, circumstances]), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    """Return plain JSON in which 1 and 1.0 are the same."""
    if isinstance(value, Mapping):
        return {name: _canonical(part) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_canonical(part) for part in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else value
