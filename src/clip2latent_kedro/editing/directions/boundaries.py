"""Linear boundaries of attributes in w (InterFaceGAN, Shen et al. 2020).

A linear SVM divides the latents that have an attribute from those that lack it; the
unit normal n of its hyperplane is the direction. Of two attributes that go together,
conditional manipulation moves the one along what is left of its normal,

    n_1 - (n_1 . n_2) n_2,

apart from the other's, of unit length again.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.editing.directions.config import DirectionsConfig
from clip2latent_kedro.editing.directions.samples import MIN_CLASS, Contrast
from clip2latent_kedro.methods.method import UnavailableError

_MAX_STEPS = 10_000
_LEAST_LEFT = 1e-3  # of a normal, apart from the others


def learn_boundary(
    contrast: Contrast, config: DirectionsConfig, seed: int
) -> tuple[Tensor, float]:
    """Return the unit normal of a boundary, [w_dim], and how well it divides.

    Args:
        contrast: Latents with the attribute and without it. Where each has a score,
            only the most and the least certain are learned from.
        config: `params:editing.directions`.
        seed: Decides which latents are held out.

    Returns:
        The normal, towards those that have it; the share of held-out latents that lie
        on their side, the mean of both sides, before it is projected apart.

    Raises:
        UnavailableError: If nothing of it is left apart from other attributes.
    """
    w, has = contrast.w, contrast.has
    if contrast.score is not None:
        rows = confident_rows(contrast.score, has, config.share)
        w, has = w[rows], has[rows]
    normal, bias, held_out = fit_hyperplane(w, has, config, seed)
    side = w[held_out].double() @ normal + bias > 0
    accuracy = balanced_accuracy(side, has[held_out])
    if config.conditional and contrast.others:
        normal = project_apart(normal, _other_normals(contrast, config, seed))
    return normal.float(), accuracy


def confident_rows(score: Tensor, has: Tensor, share: float) -> Tensor:
    """Return the rows that are surest to have an attribute, and surest to lack it.

    Args:
        score: How surely each has it, [n].
        has: Which have it, [n] bool: none is taken for the other side.
        share: Of all, how many on each side, at most.
    """
    num = max(MIN_CLASS, round(share * len(score)))
    order = score.argsort(stable=True)
    with_it = order[has[order]][-num:]
    without = order[~has[order]][:num]
    return torch.cat([without, with_it])


def fit_hyperplane(
    w: Tensor, has: Tensor, config: DirectionsConfig, seed: int
) -> tuple[Tensor, float, Tensor]:
    """Return unit normal [w_dim] and offset of the SVM's hyperplane, float64.

    Args:
        w: [n, w_dim].
        has: Which are on the positive side, [n] bool.
        config: `params:editing.directions`.
        seed: Decides which are held out.

    Returns:
        Normal n and offset b, with n . w + b > 0 on the positive side; and the rows
        that were held out.
    """
    from sklearn.svm import LinearSVC  # takes a second to import

    w_64, classes = w.double().cpu().numpy(), has.cpu().numpy()
    random = np.random.default_rng(seed % 2**32)
    held_out = np.zeros(len(w_64), dtype=bool)
    for side in (False, True):  # as many of each side as there are of it
        (rows,) = np.nonzero(classes == side)
        num = min(len(rows) - 1, max(1, round(config.val_share * len(rows))))
        held_out[random.permutation(rows)[:num]] = True
    mean, std = w_64.mean(axis=0), max(float(w_64.std()), 1e-12)
    svm = LinearSVC(
        C=config.svm_c, dual=False, class_weight="balanced", max_iter=_MAX_STEPS
    ).fit((w_64[~held_out] - mean) / std, classes[~held_out])
    weight = svm.coef_[0] / std
    length = max(float(np.linalg.norm(weight)), 1e-30)
    bias = float(svm.intercept_[0] - weight @ mean) / length
    return torch.from_numpy(weight / length), bias, torch.from_numpy(held_out)


def balanced_accuracy(predicted: Tensor, actual: Tensor) -> float:
    """Return the mean, over both sides, of the share that is predicted right."""
    sides = [predicted[actual], ~predicted[~actual]]
    return float(torch.stack([side.double().mean() for side in sides]).mean())


def project_apart(normal: Tensor, others: Tensor | Sequence[Tensor]) -> Tensor:
    """Return a unit normal apart from others: orthogonal to each of them.

    With one other it is n_1 - (n_1 . n_2) n_2 of unit length; with several, n_1
    without its projection on all that they span.

    Args:
        normal: [w_dim].
        others: Rows, [k, w_dim], not all 0; they need not be orthogonal.

    Raises:
        UnavailableError: If nothing is left.
    """
    if not len(others):
        return functional.normalize(normal, dim=0)
    rows = torch.stack(list(others)).to(normal)
    _, sizes, axes = torch.linalg.svd(rows, full_matrices=False)
    axes = axes[sizes > 1e-6 * sizes.max()]
    left = normal - axes.T @ (axes @ normal)
    if left.norm() < _LEAST_LEFT * normal.norm():
        msg = (
            "Nothing of the boundary is left apart from those of other attributes. Set "
            "editing.directions.conditional to false."
        )
        raise UnavailableError(msg)
    return functional.normalize(left, dim=0)


def _other_normals(contrast: Contrast, config: DirectionsConfig, seed: int) -> Tensor:
    """Return the normals of the values of other attributes, [k, w_dim].

    Of each attribute all but the first: that one is where none of the others is, and
    its normal would add nothing but noise to what they span.
    """
    normals = []
    for values in contrast.others.values():
        counts = torch.bincount(values)
        for value in (counts >= MIN_CLASS).nonzero().flatten().tolist()[1:]:
            normals.append(fit_hyperplane(contrast.w, values == value, config, seed)[0])
    if not normals:
        return torch.zeros(0, contrast.w.shape[1], dtype=torch.float64)
    return torch.stack(normals)
