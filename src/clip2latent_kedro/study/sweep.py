"""A sweep: many variants on the same prompts with the same seeds."""

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Judge
from clip2latent_kedro.methods import check_overrides
from clip2latent_kedro.methods.clip2latent import Clip2Latent
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import is_known_failure
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.drawing import draw_row
from clip2latent_kedro.study.scoring import score_prompts
from clip2latent_kedro.study.variants import (
    Variant,
    expand_grid,
    label_overrides,
    make_variant,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepConfig:
    """What is tried, `params:sweep`.

    Attributes:
        num_prompts: Prompts of the bank, after those of the validation.
        num_samples: Images of each prompt.
        grids: Groups of variants by name: values of each setting of
            `params:sampling`, or of `prior`, in lists whose product is tried; none
            for the base alone.
        fixed: Settings that the best variant may not change.
        clip_tolerance: CLIP score that the best may give up for diversity.
    """

    num_prompts: int
    num_samples: int
    grids: dict[str, dict[str, Any]]
    fixed: list[str]
    clip_tolerance: float

    def __post_init__(self) -> None:
        """Check ranges, and that grids name settings and list values."""
        for name, low in {"num_prompts": 1, "num_samples": 2}.items():
            value = getattr(self, name)
            if value < low:
                msg = f"sweep.{name} must be {low} or more, got {value}."
                raise InputError(msg)
        if self.clip_tolerance < 0:
            msg = f"sweep.clip_tolerance must be 0 or more, got {self.clip_tolerance}."
            raise InputError(msg)
        check_overrides("sweep.fixed", dict.fromkeys(self.fixed, "prior"))
        for name, grid in self.grids.items():
            where = f"sweep.grids.{name}"
            for setting, values in grid.items():
                if not isinstance(values, list) or not values:
                    msg = (
                        f"{where}.{setting} must be a list of values to try, got "
                        f"{values!r}."
                    )
                    raise InputError(msg)
            for overrides in expand_grid(grid):
                check_overrides(where, overrides)


@dataclass(frozen=True)
class Trial:
    """One point of a grid.

    Attributes:
        grid: Its name.
        overrides: What the point sets.
        variant: What comes of it.
    """

    grid: str
    overrides: dict[str, Any]
    variant: Variant

    @property
    def label(self) -> str:
        """What the point sets, in words."""
        return label_overrides(self.overrides)


@dataclass(frozen=True)
class TrialResult:
    """What a variant has scored, as plain JSON.

    Attributes:
        variant: Of the `Trial`, nested.
        scores: Of `score_prompts`, one number or None for each prompt; empty if the
            variant failed.
        problem: Why it failed; None if it did not.
        made_by: Of `provenance.describe_making`.
    """

    variant: dict[str, Any]
    scores: dict[str, list[float | None]]
    problem: str | None = None
    made_by: dict[str, Any] = field(default_factory=dict)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the scores as `score_prompts` does, NaN where one does not apply."""
        return {
            name: np.array(values, dtype=np.float64)
            for name, values in self.scores.items()
        }


def plan_trials(config: SweepConfig, sampling: SamplingConfig) -> list[Trial]:
    """Return every point of every grid, in their order.

    Args:
        config: `params:sweep`.
        sampling: The base, `params:sampling`.

    Raises:
        InputError: If a value is out of its range; the message names the grid.
    """
    trials = []
    for grid, settings in config.grids.items():
        for overrides in expand_grid(settings):
            try:
                variant = make_variant(sampling, overrides)
            except InputError as error:
                msg = f"sweep.grids.{grid}: {error}"
                raise InputError(msg) from None
            trials.append(Trial(grid, overrides, variant))
    return trials


def run_trials(
    trials: Mapping[str, Trial],
    make_method: Callable[[Variant], Clip2Latent],
    queries: Queries,
    *,
    judge: Judge | None,
    num_samples: int,
    image_batch_size: int,
    stored_image_size: int,
    seed: int,
    done: Collection[str] = (),
) -> Iterator[tuple[str, TrialResult]]:
    """Yield the result of each variant as soon as it is there.

    A variant that fails by its settings, numbers or memory does not stop the others:
    its result says why.

    Args:
        trials: By the key of their result (see `key_of`).
        make_method: From a variant to what draws.
        queries: The prompts of all variants.
        judge: Names attributes; None if there is no judge.
        num_samples: Images of each prompt.
        image_batch_size: Images in memory at a time.
        stored_image_size: Side of images in memory.
        seed: Of all variants.
        done: Keys that need not be run.
    """
    pending = {key: trial for key, trial in trials.items() if key not in done}
    with progress_bar("sweep", total=len(pending), unit="variants") as advance:
        for key, trial in pending.items():
            variant = asdict(trial.variant)
            try:
                method = make_method(trial.variant)
                drawn = draw_row(
                    method,
                    queries,
                    encoder=method.model.scorer or method.model.encoder,
                    judge=judge,
                    num_samples=num_samples,
                    image_batch_size=image_batch_size,
                    stored_image_size=stored_image_size,
                    seed=seed,
                )
                model = method.model
                scores = score_prompts(
                    drawn, queries, model.prior.cloud, model.latent_repeats
                )
            except Exception as error:
                if not is_known_failure(error):
                    raise
                logger.debug("%s, %s failed.", trial.grid, trial.label, exc_info=True)
                yield key, TrialResult(variant, {}, str(error) or repr(error))
            else:
                yield key, TrialResult(variant, _as_lists(scores))
            advance()


def key_of(variant: Variant, circumstances: Mapping[str, Any]) -> str:
    """Return a name for the result of a variant: equal means the same result.

    Args:
        variant: What is tried; 1 and 1.0 are the same.
        circumstances: Everything else that the result depends on, as plain JSON.
    """
    settings = {
        name: _canonical(value) for name, value in asdict(variant.sampling).items()
    }
    text = json.dumps([settings, circumstances], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_canonical(part) for part in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else value


def _as_lists(scores: Mapping[str, np.ndarray]) -> dict[str, list[float | None]]:
    return {
        name: [None if np.isnan(value) else float(value) for value in values]
        for name, values in scores.items()
    }
