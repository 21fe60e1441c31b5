"""Directions from the means of classes: the plain shift, and a move to a class's own.

A shift adds the same to each w. It leaves what an attribute of several values was: a
w with blue hair is moved towards blonde and stays as blue as before. A transport reads
where a w lies in the subspace that the class means span, and moves it from there to the
mean of the class that is asked for,

    w + strength * P (mean_goal - w),

all the way at strength 1. P projects onto the subspace along what else varies within
classes: with M the class means about their own mean and S the covariance within
classes, P = M^T (M S^-1 M^T)^+ M S^-1. The shift is S^-1 (mean_goal - mean_rest), the
normal of Fisher's linear discriminant, or the plain difference where S is shrunk to a
multiple of the identity. The transport is ours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.editing.directions.direction import Destination
from clip2latent_kedro.editing.directions.samples import Contrast

_LEAST_SIZE = 1e-3  # of an axis that class means span, against the largest
_RIDGE = 1e-6  # of the trace, added to a covariance that is inverted


@dataclass(frozen=True)
class ClassMeans:
    """Where the classes of an attribute lie, float64.

    Attributes:
        mean: Of all latents, [w_dim].
        effects: Of each class that there are latents of, what it adds to the mean,
            [num_classes, w_dim]; about 0 in the mean over latents.
        shares: Of the latents, [num_classes].
        goal: The class that is asked for.
        others: Effects of the values of other attributes, [k, w_dim].
        within: Covariance of what is left, [w_dim, w_dim].
    """

    mean: Tensor
    effects: Tensor
    shares: Tensor
    goal: int
    others: Tensor
    within: Tensor


def measure_class_means(contrast: Contrast, *, conditional: bool) -> ClassMeans:
    """Return where the classes of a contrast lie.

    Args:
        contrast: Latents and the class of each.
        conditional: Whether other attributes are held still: w is regressed on all of
            them together, so that what goes with a class by chance is theirs. Without
            others, or if False, effects are the plain means of classes.
    """
    w = contrast.w.double()
    own, goal = _indicators(contrast.classes, contrast.goal)
    parts = [own]
    if conditional:
        parts += [_indicators(values)[0] for values in contrast.others.values()]
    shares = own.mean(dim=0)
    mean = w.mean(dim=0)
    shown = torch.cat(parts, dim=1)
    shown = shown - shown.mean(dim=0)
    # The indicators of an attribute add up to 1: of all that fit alike, the shortest.
    found = torch.linalg.lstsq(shown, w - mean, driver="gelsd").solution
    effects, others = found[: own.shape[1]], found[own.shape[1] :]
    left = w - mean - shown @ found
    return ClassMeans(
        mean=mean,
        effects=effects - shares @ effects,
        shares=shares,
        goal=goal,
        others=others,
        within=left.T @ left / len(w),
    )


def shift_of(means: ClassMeans, *, shrinkage: float) -> Tensor:
    """Return the unit vector S^-1 (mean_goal - mean_rest), [w_dim], float64.

    Args:
        means: What `measure_class_means` returned.
        shrinkage: Of S towards a multiple of the identity, 0 to 1; at 1 it is the plain
            difference of means.
    """
    difference = _difference(means)
    covariance = shrink(means.within, shrinkage)
    return functional.normalize(torch.linalg.solve(covariance, difference), dim=0)


def transport_of(means: ClassMeans, *, shrinkage: float) -> tuple[Tensor, Destination]:
    """Return the step from the mean of the others, [w_dim], and the destination.

    Other attributes that were measured are read at the same time, so that a w is not
    taken to lie elsewhere for what they add.

    Args:
        means: What `measure_class_means` returned.
        shrinkage: As in `shift_of`.
    """
    whitener = torch.linalg.inv(shrink(means.within, shrinkage))
    rows = torch.cat([means.effects, means.others])
    read = torch.linalg.pinv(rows @ whitener @ rows.T, hermitian=True, rtol=1e-6)
    weights = (read @ rows @ whitener)[: len(means.effects)]  # of each class, in w
    left, sizes, basis = torch.linalg.svd(means.effects, full_matrices=False)
    kept = sizes > _LEAST_SIZE * sizes.max()
    basis = basis[kept]
    reader = sizes[kept, None] * left[:, kept].T @ weights
    # With few samples the two may not be inverse to each other; then one is made so.
    reader = torch.linalg.solve(reader @ basis.T, reader)
    goal = reader @ (means.mean + means.effects[means.goal])
    step = reader @ _difference(means) @ basis
    return step, Destination(basis.float(), reader.float(), goal.float())


def shrink(covariance: Tensor, share: float) -> Tensor:
    """Return a covariance moved towards a multiple of the identity, and invertible.

    Args:
        covariance: [d, d].
        share: 0 leaves it, but for what makes it invertible; 1 is the multiple.
    """
    size = covariance.diagonal().mean().clamp_min(1e-12)
    identity = torch.eye(len(covariance)).to(covariance)
    return (1 - share) * covariance + (share + _RIDGE) * size * identity


def _difference(means: ClassMeans) -> Tensor:
    """Return the mean of the class that is asked for, minus that of the rest."""
    own = means.effects[means.goal]
    # Effects are about 0 over all: p own + (1 - p) rest = 0.
    return own / (1 - means.shares[means.goal])


def _indicators(values: Tensor, goal: int = 0) -> tuple[Tensor, int]:
    """Return one column for each value that occurs, [n, k], and where `goal` is."""
    present, index = torch.unique(values, return_inverse=True)
    columns = functional.one_hot(index, len(present)).double()
    return columns, int((present < goal).sum())
