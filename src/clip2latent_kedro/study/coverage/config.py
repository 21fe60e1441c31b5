"""How the coverage of a generator is measured: `params:coverage`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from clip2latent_kedro.checked import Checked, PositiveInt, Rule

Share = Annotated[float, Interval(gt=0, lt=1)]


@dataclass(frozen=True)
class CoverageConfig(Checked):
    """What counts as something that the generator does not make, or a row misses.

    Attributes:
        num_images: Images of random w.
        rare: A value, or a pair of values, is hardly made if the whole interval of its
            share of the images is below this.
        missed: What prompts ask for is missed by a row of the comparison if the whole
            interval of the share in which it is right is below this.
        zero_shot: By attribute and value, a text that CLIP compares images with, for a
            domain without a judge; of no attributes for none.
    """

    num_images: PositiveInt
    rare: Share
    missed: Share
    zero_shot: dict[str, dict[str, str]]

    def rules(self) -> Iterator[Rule]:
        """Yield that each attribute of a zero-shot judge is a choice among texts."""
        for name, texts in self.zero_shot.items():
            is_choice = len(texts) > 1 and all(text.strip() for text in texts.values())
            expected = f"texts of two values or more of {name}"
            yield is_choice, "zero_shot", expected
