"""One engine for all studies: from variants to results, each stored at once."""

import hashlib
import json
import logging
from collections.abc import (
    Callable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from clip2latent_kedro.checked import PositiveInt
from clip2latent_kedro.editing.edit import EditMethod
from clip2latent_kedro.latents import LatentGaussian
from clip2latent_kedro.methods.method import Method, Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.provenance import describe_provenance, list_differences
from clip2latent_kedro.study.samples import Samples, sample_images
from clip2latent_kedro.study.scoring import SCORES, choose_best, score_prompts

logger = logging.getLogger(__name__)

SHOWN = 3  # names in a line of the log
PICTURES = "pictures"  # an array of the first seed alone
Overrides = Mapping[str, Any]
"""Names of settings and their values, over the parameters."""
StoredResult = tuple[Samples, Mapping[str, Any]]
"""Arrays by name, and their record: `depends_on`, `problem`, `seconds`, and others."""


@dataclass(frozen=True)
class Variant:
    """One of the things that a study compares, as it is written.

    Attributes:
        label: For people, unique in its group.
        overrides: What it changes of the parameters.
        method: A key of `METHODS`.
        group: The grid or the study that it belongs to; "" where there is only one.
        line: Which line of a figure it is on; "" where there is only one.
        value: Where on the axis of the figure; None for a variant apart from it.
        is_off_axis: Whether it has no place on the axis.
        num_samples: Images of each prompt; None for those of the protocol.
        num_prompts: The first prompts; None for all.
    """

    label: str
    overrides: Overrides
    method: str = "clip2latent"
    group: str = ""
    line: str = ""
    value: Any = None
    is_off_axis: bool = False
    num_samples: PositiveInt | None = None
    num_prompts: PositiveInt | None = None


@dataclass(frozen=True)
class PlannedVariant:
    """A variant that is ready to run.

    Attributes:
        variant: As it is written.
        settings: All of its settings, as plain JSON.
        depends_on: Everything that its result depends on, as plain JSON; `made_by`
            says what computes it (see `provenance.describe_provenance`).
        compute: Returns the arrays of one of the parts of its result, and facts for its
            record; may raise. It travels to workers by pickle.
        parts: What the result is computed in, such as seeds, and joined of (see
            `join_parts`).
        method: What samples; None if it takes a training first, or cannot be had.
        prompts: Numbers of the prompts that it is asked, [n] int.
        together: Variants of the same are run one after another: they share work.
    """

    variant: Variant
    settings: Mapping[str, Any]
    depends_on: Mapping[str, Any]
    compute: Callable[[Any], StoredResult]
    parts: Sequence[Any] = (None,)
    method: Method | None = None
    prompts: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    together: str = ""

    @property
    def key(self) -> str:
        """A name for the result: results of one name differ in `made_by` alone."""
        settings = {k: v for k, v in self.depends_on.items() if k != "made_by"}
        text = json.dumps(_canonical(settings), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe_dependence(
    models: Models,
    queries: Queries,
    method: Method | EditMethod | None,
    settings: Mapping[str, Any],
    /,
    *roots: str,
    **protocol: Any,
) -> dict[str, Any]:
    """Return everything that the result of a variant depends on, as plain JSON.

    Args:
        models: What samples and scores.
        queries: What is asked.
        method: What samples or edits; None if that is told by the settings.
        settings: All settings of the variant.
        roots: Modules that compute the result.
        protocol: What else decides it, such as the number of samples.
    """
    scored_by = describe_scorers(models)
    computed_by = (models.generator, models.encoder, models.held_out, models.judge)
    return as_json(
        {
            "made_by": describe_provenance(models.device, *roots, method, *computed_by),
            "settings": dict(settings),
            "made_with": {} if method is None else dict(method.made_with),
            "generator": models.generator.identity.digest,
            **scored_by,
            "latent_repeats": list(models.latent_repeats),
            "prompts": digest_prompts(queries),
            **protocol,
        }
    )


def describe_scorers(models: Models) -> dict[str, str | None]:
    """Return the models that score, as the last columns of tables have them."""
    held_out, judge = models.held_out, models.judge
    return {
        "encoder": models.encoder.identity.digest,
        "held_out_encoder": None if held_out is None else str(held_out.identity),
        "judge": None if judge is None else str(judge.identity),
    }


def digest_prompts(queries: Queries) -> str:
    """Return a SHA-256 (hex) of the texts, and of what they state."""
    asked = json.dumps([queries.texts, queries.stated.tolist()])
    return hashlib.sha256(asked.encode()).hexdigest()


def find_pending(
    planned: Mapping[str, PlannedVariant],
    stored: Mapping[str, StoredResult],
    *,
    resume: bool,
) -> list[str]:
    """Return the names of the results to compute, and log why if they are there.

    Args:
        planned: Variants by the name of their result.
        stored: Results that there are; one with a problem counts for none.
        resume: False for all.
    """
    records = {
        name: record
        for name, (_, record) in stored.items()
        if record.get("problem") is None
    }
    asked = {name: one.depends_on for name, one in planned.items()}
    return find_changed(asked, records if resume else {})


def find_changed(
    asked: Mapping[str, Mapping[str, Any]], records: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the names of results that are not stored as they are asked for.

    Args:
        asked: What each would depend on now, as plain JSON.
        records: Of what is stored, with `depends_on`; an older form has none.
    """
    changes = {
        name: list_differences(records[name]["depends_on"], asked[name])
        if "depends_on" in records[name]
        else ["stored in an older form"]
        for name in asked
        if name in records
    }
    kept = [name for name, found in changes.items() if not found]
    logger.info("%d of %d results are stored already.", len(kept), len(asked))
    by_reason: dict[str, list[str]] = {}
    for name, found in changes.items():
        if found:
            by_reason.setdefault(", ".join(found), []).append(name)
    for reason, names in by_reason.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        logger.info("Due again: %s%s, %s.", ", ".join(names[:SHOWN]), more, reason)
    return [name for name in asked if name not in kept]


def measure_scores(
    methods: Mapping[int, Method],
    queries: Queries,
    models: Models,
    gaussian: LatentGaussian | None,
    *,
    num_samples: int,
    stored_image_size: int,
    choices: Sequence[int] = (1,),
    num_pictures: int = 0,
) -> dict[int, dict[str, np.ndarray]]:
    """Return the scores of a variant, for each of some `best_of`.

    One draw serves all of them: the best of n are chosen from the first of the
    samples, so that they are the same whatever is chosen beside them.

    Args:
        methods: What samples, by seed.
        queries: What is asked.
        models: What scores.
        gaussian: Of the training data; None leaves the distance of w out.
        num_samples: Images of each query that are kept.
        stored_image_size: Side of images in memory.
        choices: From how many samples each that is kept is chosen.
        num_pictures: First samples of the first queries by the first seed to keep.

    Returns:
        Of each choice the scores (see `SCORES`), NaN where one does not apply,
        [num_seeds, num_queries] float64; and `pictures`, uint8 [num_pictures, h, w, 3].
    """
    scores: dict[int, list[dict[str, np.ndarray]]] = {number: [] for number in choices}
    pictures: dict[int, np.ndarray] = {}
    for seed, method in methods.items():
        samples = sample_images(
            method,
            queries,
            models,
            num_samples=num_samples * max(choices),
            seed=seed,
            stored_image_size=stored_image_size,
        )
        for number in choices:
            best = choose_best(samples, queries, number, num_samples)
            found = score_prompts(best, queries, gaussian, models.latent_repeats)
            scores[number].append(found)
            pictures.setdefault(number, best["images"][:num_pictures, 0])
    return {
        number: {
            **{
                name: np.stack([one[name] for one in of_seeds]).astype(np.float64)
                for name in SCORES
            },
            PICTURES: pictures[number],
        }
        for number, of_seeds in scores.items()
    }


def expand_grid(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the product of lists of values, the last name changing fastest.

    Args:
        grid: Values of each setting.

    Returns:
        One mapping of overrides for each combination.
    """
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def as_json(circumstances: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that a result depends on as it comes back from a file."""
    plain: dict[str, Any] = json.loads(json.dumps(circumstances))
    return plain


def _canonical(value: Any) -> Any:
    """Return plain JSON in which 1 and 1.0 are the same."""
    if isinstance(value, Mapping):
        return {name: _canonical(part) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_canonical(part) for part in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else value
