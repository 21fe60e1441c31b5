"""Settings of how directions are learned."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Interval

from clip2latent_kedro.checked import (
    Checked,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Rule,
)

DirectionKind = Literal["boundary", "class_means", "principal", "transport"]
"""What is learned of a target (see `learning.LEARNERS`)."""


@dataclass(frozen=True)
class DirectionsConfig(Checked):
    """`params:editing.directions`: how directions are learned, and measured.

    Attributes:
        kind: Which of them has the target's own name; the others have their kind
            behind it, as `smile_boundary`.
        num_samples: Pictures of random w to learn from.
        share: Of pictures with a score, the top and the bottom ones that a boundary is
            learned from; InterFaceGAN takes 0.02.
        val_share: Of those, held out to tell how well a boundary divides.
        svm_c: Weight of the errors against the margin of the linear SVM.
        conditional: Whether other attributes are kept out: a boundary is projected
            apart from theirs, class means are those with theirs held still.
        shrinkage: Of the covariance within classes towards a multiple of the identity;
            1 leaves class means unwhitened.
        num_components: Principal components of w among which one is chosen.
        num_measured: Pictures that each is tried on.
        strengths: That it is tried at, in standard deviations of w along it.
        shares: That a transport is tried at; 1 is all the way.
        batch_size: Pictures at a time.
    """

    kind: DirectionKind = "class_means"
    num_samples: Annotated[int, Ge(10)] = 10_000
    share: Annotated[float, Interval(gt=0, le=0.5)] = 0.1
    val_share: Annotated[float, Interval(gt=0, lt=1)] = 0.3
    svm_c: PositiveFloat = 1.0
    conditional: bool = True
    shrinkage: Fraction = 0.1
    num_components: PositiveInt = 48
    num_measured: PositiveInt = 100
    strengths: list[NonNegativeFloat] = (1.0, 2.0, 3.0, 4.0)  # type: ignore[assignment]
    shares: list[NonNegativeFloat] = (0.5, 0.75, 1.0, 1.25)  # type: ignore[assignment]
    batch_size: PositiveInt = 64

    def rules(self) -> Iterator[Rule]:
        """Yield that there is something to try."""
        yield bool(self.strengths), "strengths", "one or more"
        yield bool(self.shares), "shares", "one or more"
