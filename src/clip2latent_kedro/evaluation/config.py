"""What is compared, and how: `params:evaluation`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.evaluation.variants import (
    Overrides,
    Variant,
    check_overrides,
    make_variant,
)
from clip2latent_kedro.samplers import SamplingConfig


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
        figure_prompts: Prompts in the figure.
        timing_prompt: What is timed: this text, ...
        timing_images: ... this many images of it, ...
        timing_guidance_scale: ... with this guidance, ...
        timing_warmups: ... after this many times that do not count, ...
        timing_repeats: ... so many times.
        rows: Rows of clip2latent by name, each with the settings in which it
            differs from `params:sampling`; `prior` among them names another prior.
    """

    num_prompts: int | None
    num_samples: int
    num_resamples: int
    confidence: float
    latent_batch_size: int
    image_batch_size: int
    stored_image_size: int
    figure_prompts: int
    timing_prompt: str
    timing_images: int
    timing_guidance_scale: float
    timing_warmups: int
    timing_repeats: int
    rows: dict[str, dict[str, Any]]

    def __post_init__(self) -> None:
        """Check ranges, and that rows set nothing but sampling and the prior."""
        at_least = {
            "num_samples": 2,  # diversity compares samples of one prompt
            "num_resamples": 100,
            "latent_batch_size": 1,
            "image_batch_size": 1,
            "stored_image_size": 1,
            "figure_prompts": 1,
            "timing_images": 1,
            "timing_guidance_scale": 0,
            "timing_warmups": 0,
            "timing_repeats": 1,
        }
        for name, low in at_least.items():
            self._check(name, getattr(self, name) >= low, f"{low} or more")
        prompts = self.num_prompts
        self._check("num_prompts", prompts is None or prompts >= 1, "1 or more or null")
        self._check("confidence", 0 < self.confidence < 1, "above 0 and below 1")
        self._check("timing_prompt", bool(self.timing_prompt.strip()), "some text")
        for row, overrides in self.rows.items():
            check_overrides(f"evaluation.rows.{row}", overrides)

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            msg = f"evaluation.{name} must be {expected}, got {getattr(self, name)!r}."
            raise InputError(msg)


def variants_of_rows(
    sampling: SamplingConfig, rows: Mapping[str, Overrides]
) -> dict[str, Variant]:
    """Return the full settings of each row of clip2latent.

    Raises:
        InputError: If a setting is out of its range; the message names the row.
    """
    variants = {}
    for row, overrides in rows.items():
        try:
            variants[row] = make_variant(sampling, overrides)
        except InputError as error:
            msg = f"evaluation.rows.{row}: {error}"
            raise InputError(msg) from None
    return variants
