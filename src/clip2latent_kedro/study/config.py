"""What is compared, and how: `params:evaluation`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Interval

from clip2latent_kedro.checked import (
    Checked,
    NonNegativeFloat,
    PositiveInt,
    Rule,
    check_types_at,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.engine import Variant

GENERATOR_IMAGES = "generator_images"  # stored beside the rows, under a name of its own
OF_ROWS = ("method", "num_samples", "num_prompts")  # beside settings of the method


@dataclass(frozen=True)
class EvaluationConfig(Checked):
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

    num_prompts: PositiveInt | None
    num_samples: Annotated[int, Ge(2)]
    num_resamples: Annotated[int, Ge(100)]
    confidence: Annotated[float, Interval(gt=0, lt=1)]
    latent_batch_size: PositiveInt
    image_batch_size: PositiveInt
    stored_image_size: PositiveInt
    generator_images: Annotated[int, Ge(2)] | None
    figure_prompts: PositiveInt
    timing_prompt: str
    timing_images: PositiveInt
    timing_guidance_scale: NonNegativeFloat
    timing_warmups: PositiveInt
    timing_repeats: PositiveInt
    timing_seconds: NonNegativeFloat
    baseline: str | None
    only: str | None
    rows: dict[str, dict[str, Any] | None]

    def rules(self) -> Iterator[Rule]:
        """Yield that names are those of rows."""
        yield bool(self.timing_prompt.strip()), "timing_prompt", "some text"
        rows = read_rows(self.rows)
        known = f"one of the rows, {', '.join(rows)}, or null"
        yield self.baseline in (None, *rows), "baseline", known
        known = f"names of rows, of {', '.join(rows)}, or null"
        yield self.chosen_names <= rows.keys(), "only", known

    @property
    def chosen_names(self) -> set[str]:
        """The names in `only`."""
        return {name.strip() for name in (self.only or "").split(",") if name.strip()}

    def read_rows(self) -> dict[str, Variant]:
        """Return the rows to compute and report, by name."""
        rows, chosen = read_rows(self.rows), self.chosen_names
        return {name: row for name, row in rows.items() if not chosen or name in chosen}


def read_rows(written: Mapping[str, object]) -> dict[str, Variant]:
    """Return the rows of `params:evaluation.rows`; one that is null is left out.

    Methods and their settings are checked by `methods.make_settings`.

    Raises:
        InputError: If a name or a count is not possible.
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
    own = {part: written[part] for part in OF_ROWS if part in written}
    check_types_at(where, Variant, own)
    overrides = {part: value for part, value in written.items() if part not in own}
    return Variant(name, overrides, **own)
