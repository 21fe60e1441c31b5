"""What a user asks for: `params:inference`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Interval

from clip2latent_kedro.checked import (
    LARGEST,
    Checked,
    NonNegativeInt,
    PositiveInt,
    Rule,
    Seed,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.models import PriorName

Strength = Annotated[float, Interval(ge=-LARGEST[float], le=LARGEST[float])]
LATENT_ENDINGS = (".npy", ".npz", ".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class InferenceConfig(Checked):
    """What is drawn, `params:inference`.

    Attributes:
        prompts: One, or several: texts, or paths of pictures or of stored w.
        prompts_file: Text file with a prompt a line, instead of `prompts`.
        negative: A prompt that guidance leads away from; None for none.
        num_samples: Pictures of each prompt.
        rank: Put the pictures closest to their prompt first, by the encoder.
        image_batch_size: Images synthesised at a time.
        prior: Name of the catalog entry to draw from.
        start: What is made of a prompt that is a picture: variations of it, or the
            picture itself, inverted.
        edit: What is changed of each picture: a name, a text, two of them (neutral,
            target), a mapping of `target`, `neutral`, `method` and `strength`, or a
            list of these; None for nothing.
        edit_strength: Of all edits, or of each; None for the middle one of each way.
        edit_method: The way of editing for names and texts; None for what the name is
            of, and for the prior of texts.
        mix: Style mixing before any edit: a prompt, the path of a stored w, or another
            seed; None for nothing.
        mix_layers: Which rows of w are taken from there: `coarse`, `middle`, `fine`,
            numbers, or a list.
    """

    prompts: list[str] | str
    prompts_file: str | None
    negative: str | None
    num_samples: PositiveInt
    rank: bool
    image_batch_size: PositiveInt
    prior: PriorName
    start: Literal["variation", "inversion"] = "variation"
    edit: str | list[Any] | dict[str, Any] | None = None
    edit_strength: Strength | list[Strength] | None = None
    edit_method: str | None = None
    mix: str | Seed | None = None
    mix_layers: str | NonNegativeInt | list[Any] = "fine"

    def rules(self) -> Iterator[Rule]:
        """Yield that a strength belongs to an edit."""
        is_used = self.edit is not None
        unused = "null where inference.edit is"
        yield is_used or self.edit_strength is None, "edit_strength", unused
        yield is_used or self.edit_method is None, "edit_method", unused


def read_prompts(config: InferenceConfig, lines: str | None) -> list[str]:
    """Return the prompts of the file's lines if there is one, or of the parameter.

    Empty lines of a file are passed over.

    Args:
        config: What is made of each prompt.
        lines: Content of the file; None without one.

    Raises:
        InputError: If there is no prompt at all.
    """
    if lines is not None:
        prompts = [line.strip() for line in lines.splitlines() if line.strip()]
    else:
        given = config.prompts
        prompts = [given] if isinstance(given, str) else list(given)
    if not prompts:
        msg = (
            "inference needs a prompt, got none. Set inference.prompts, or "
            "inference.prompts_file to a text file with a prompt a line."
        )
        raise InputError(msg)
    return prompts


def is_stored_w(prompt: str) -> bool:
    """Return whether a prompt is the path of a stored w, by its ending."""
    return prompt.lower().endswith(LATENT_ENDINGS)
