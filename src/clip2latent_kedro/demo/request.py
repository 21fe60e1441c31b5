"""What a visitor asks for, checked as it is made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Interval

from clip2latent_kedro.checked import Checked, NonNegativeInt, PositiveInt, Rule
from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.samplers.config import SamplerName

LARGEST_SEED = 2**32 - 1

DemoSeed = Annotated[int, Interval(ge=0, le=LARGEST_SEED)]
Guidance = Annotated[float, Interval(ge=0, le=20)]
Psi = Annotated[float, Interval(ge=0, le=2)]
Weight = Annotated[float, Interval(ge=-10, le=10)]
Strength = Annotated[float, Interval(ge=-20, le=20)]
RowGroup = Literal["coarse", "middle", "fine"]
Way = Literal["direction", "transport", "global_directions", "prior", "mapper"]

WAYS: dict[Way, str] = {
    "direction": "directions of w, learned before",
    "transport": "transport: to where pictures of the target lie",
    "global_directions": "global directions (StyleCLIP), in S",
    "prior": "the prior's edit: same noise, moved condition",
    "mapper": "mappers (StyleCLIP), trained for each target",
}
"""Ways of editing that answer at once, with the words of the page."""


@dataclass(frozen=True)
class DrawRequest(Checked):
    """Pictures that are asked for.

    Attributes:
        prompt: Text, perhaps weighted (see `prompts`); empty with a picture alone.
        negative: What guidance leads away from, likewise; empty for nothing.
        picture_weight: Of the picture that was brought, beside the text; 0 leaves it
            out.
        num_images: How many.
        guidance_scale: 1 is none.
        psi: Truncation; 1 is none.
        sampler: Of the prior.
        num_steps: Denoising steps.
        seed: Picture j depends on (seed, j), and not on how many there are.
        rank: Whether the best by CLIP come first.
        mix: Another prompt, or a seed in digits, that rows of w are taken from; empty
            for nothing.
        mix_rows: Which rows.
    """

    prompt: str = ""
    negative: str = ""
    picture_weight: Weight = 0.0
    num_images: PositiveInt = 8
    guidance_scale: Guidance = 1.0
    psi: Psi = 1.0
    sampler: SamplerName = "dpmpp_2m"
    num_steps: PositiveInt = 10
    seed: DemoSeed = 0
    rank: bool = False
    mix: str = ""
    mix_rows: list[RowGroup] = field(default_factory=lambda: ["fine"])

    def rules(self) -> Iterator[Rule]:
        """Yield what settings ask of each other."""
        is_any = bool(self.prompt.strip()) or self.picture_weight != 0
        yield is_any, "prompt", "a text, or there must be a picture"
        is_mixed = not self.mix.strip() or bool(self.mix_rows)
        yield is_mixed, "mix_rows", "some rows where something is mixed in"

    def check(self, limits: Limits) -> None:
        """Check a request against the limits of the demo.

        Raises:
            InputError: If it asks for too much.
        """
        for name, got, most in (
            ("num_images", self.num_images, limits.images),
            ("num_steps", self.num_steps, limits.steps),
        ):
            if got > most:
                msg = f"{name} must be at most {most} here, got {got}."
                raise InputError(msg)
        if self.num_images * self.num_steps > limits.evaluations:
            msg = (
                f"num_images times num_steps must be at most {limits.evaluations}, got "
                f"{self.num_images * self.num_steps}. Lower one of them."
            )
            raise InputError(msg)


@dataclass(frozen=True)
class EditRequest(Checked):
    """How a picture that is there is to be changed.

    Attributes:
        drawing: Number of the drawing that it is of, from `Drawing.number`.
        index: Its place among the pictures of that drawing as they are shown.
        way: How names are edited.
        strengths: Of each name; 0 changes nothing.
        target: A text of what is to be seen; empty for no edit by text.
        neutral: A text of what it starts from; empty for the project's own.
        text_way: How the texts are edited.
        text_strength: Of the edit by text.
    """

    drawing: NonNegativeInt
    index: NonNegativeInt = 0
    way: Way = "direction"
    strengths: Mapping[str, Strength] = field(default_factory=dict)
    target: str = ""
    neutral: str = ""
    text_way: Literal["prior", "global_directions"] = "prior"
    text_strength: Strength = 1.0

    @property
    def has_text(self) -> bool:
        """Whether there is an edit by text that changes something."""
        return bool(self.target.strip()) and self.text_strength != 0
