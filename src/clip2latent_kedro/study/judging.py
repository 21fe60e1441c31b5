"""What a judge says of pictures, as far as it can say it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from clip2latent_kedro.interfaces import (
    CertainJudge,
    Judge,
    SightedJudge,
    SubjectDetector,
)


@dataclass(frozen=True)
class Judgement:
    """What is said of n pictures.

    Attributes:
        values: Value indices, [n, num_attributes] int.
        visible: Which attributes can be seen, [n, num_attributes] bool; all, of a
            judge that does not say.
        certainty: Largest probability of each attribute, [n, num_attributes]; NaN for
            one that cannot be seen. None of a judge that gives no probabilities.
        detected: Whether the domain's subject is found, [n] bool; None of a judge that
            does not look for it.
    """

    values: Tensor
    visible: Tensor
    certainty: Tensor | None = None
    detected: Tensor | None = None


@torch.no_grad()
def judge_images(judge: Judge, image: Tensor) -> Judgement:
    """Return what a judge says of pictures.

    A judge with probabilities is asked for these alone: what it classifies are their
    largest (see `CertainJudge`), and its network need not run twice.

    Args:
        judge: On the device of the pictures.
        image: [n, 3, h, w] in [-1, 1].
    """
    largest = None
    if isinstance(judge, CertainJudge):
        tops = [rows.max(dim=1) for rows in judge.probabilities(image)]
        values = torch.stack([top.indices for top in tops], dim=1)
        largest = torch.stack([top.values for top in tops], dim=1).float()
    else:
        values = judge.classify(image)
    visible = torch.ones_like(values, dtype=torch.bool)
    if isinstance(judge, SightedJudge):
        visible = judge.visible(values)
    return Judgement(
        values,
        visible,
        None if largest is None else largest.masked_fill(~visible, torch.nan),
        judge.detect(image) if isinstance(judge, SubjectDetector) else None,
    )
