"""What is compared, and how: `params:evaluation`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods import DEFAULT_METHOD, check_overrides
from clip2latent_kedro.study.engine import Variant

GENERATOR_IMAGES = "generator_images"  # stored beside the rows, under a name of its own


@dataclass(frozen=True)
class EvaluationConfig:
    """The protocol of the comparison.

    Attributes:
        num_prompts: The first prompts of the table; None for all.
        num_samples: Images of each prompt; the best of them is reported too.
        num_resamples: Bootstrap draws of prompts.
        confidence: Of the intervals, such as 0.95.
        latent_batch_size: Latents denoised at a time.
        image_batch_size: Images synthesised at a time.
        stored_image_size: Largest side of images as they are stored; scores see
            them before.
        generator_images: Images of random w, which a row's are compared with as a
            whole; None leaves the distances out.
        figure_prompts: Prompts in the figure.
        timing_prompt: What is timed: this text, ...
        timing_images: ... this many images of it, ...
        timing_guidance_scale: ... with this guidance, ...
        timing_warmups: ... after this many times that do not count, ...
        timing_repeats: ... so many times.
        timing_seconds: For the repeats of a row: one that takes long is repeated less
            often, but twice; one that takes longer is timed once.
        baseline: The row that the others are compared with; None for none.
        only: Names of the rows to compute and report, with commas between; None for
            all.
        rows: By name: the kind of method (`method`, clip2latent if there is none),
            the settings in which it differs from the parameters of its kind, and
            `num_samples` and `num_prompts` of its own; None leaves a row out.
    """

    num_prompts: int | None
    num_samples: int
    num_resamples: int
    confidence: float
    latent_batch_size: int
    image_batch_size: int
    stored_image_size: int
    generator_images: int | None
    figure_prompts: int
    timing_prompt: str
    timing_images: int
    timing_guidance_scale: float
    timing_warmups: int
    timing_repeats: int
    timing_seconds: float
    baseline: str | None
    only: str | None
    rows: dict[str, dict[str, Any] | None]

    def __post_init__(self) -> None:
        """Check ranges, and that rows are of known kinds with known settings."""
        at_least = {
            "num_samples": 2,  # diversity compares samples of one prompt
            "num_resamples": 100,
            "latent_batch_size": 1,
            "image_batch_size": 1,
            "stored_image_size": 1,
            "figure_prompts": 1,
            "timing_images": 1,
            "timing_guidance_scale": 0,
            "timing_warmups": 1,
            "timing_repeats": 1,
            "timing_seconds": 0,
        }
        for name, low in at_least.items():
            self._check(name, getattr(self, name) >= low, f"{low} or more")
        prompts, images = self.num_prompts, self.generator_images
        self._check("num_prompts", prompts is None or prompts >= 1, "1 or more or null")
        many = images is None or images >= 2
        self._check("generator_images", many, "2 or more or null")
        self._check("confidence", 0 < self.confidence < 1, "above 0 and below 1")
        self._check("timing_prompt", bool(self.timing_prompt.strip()), "some text")
        rows = read_rows(self.rows)
        known = f"one of the rows, {', '.join(rows)}, or null"
        self._check("baseline", self.baseline in (None, *rows), known)
        if not self.chosen_names <= rows.keys():
            self._check("only", False, f"names of rows, of {', '.join(rows)}, or null")

    @property
    def chosen_names(self) -> set[str]:
        """The names in `only`."""
        return {name.strip() for name in (self.only or "").split(",") if name.strip()}

    def read_rows(self) -> dict[str, Variant]:
        """Return the rows to compute and report, by name."""
        rows, chosen = read_rows(self.rows), self.chosen_names
        return {name: row for name, row in rows.items() if not chosen or name in chosen}

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            msg = f"evaluation.{name} must be {expected}, got {getattr(self, name)!r}."
            raise InputError(msg)


def read_rows(written: Mapping[str, object]) -> dict[str, Variant]:
    """Return the rows of `params:evaluation.rows`; one that is null is left out.

    Raises:
        InputError: If a name, a method, a setting or a count is not possible.
    """
    return {
        name: _read_row(name, settings)
        for name, settings in written.items()
        if settings is not None
    }


def _read_row(name: str, written: object) -> Variant:
    where = f"evaluation.rows.{name}"
    if not re.fullmatch(r"[\w+.-]+", name) or name.startswith("."):
        msg = (
            f"A row of evaluation.rows must be named in letters, digits and _ + - "
            f"alone, since its file is called so, got {name!r}."
        )
        raise InputError(msg)
    if name == GENERATOR_IMAGES:
        msg = f"A row of evaluation.rows cannot be named {name}. Rename it."
        raise InputError(msg)
    if not isinstance(written, Mapping):
        msg = f"{where} must be settings by name, got {written!r}."
        raise InputError(msg)
    overrides = dict(written)
    counts = {
        count: overrides.pop(count, None) for count in ("num_samples", "num_prompts")
    }
    for count, value in counts.items():
        if value is not None and not (type(value) is int and value >= 1):
            msg = f"{where}.{count} must be 1 or more, got {value!r}."
            raise InputError(msg)
    method = overrides.pop("method", DEFAULT_METHOD)
    check_overrides(where, overrides, method)
    return Variant(name, overrides, method, **counts)
