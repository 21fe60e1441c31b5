"""What an edit gained and what it spoiled, picture by picture."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.interfaces import StyledGenerator
from clip2latent_kedro.latents import STD_FLOOR, LatentGaussian, Latents
from clip2latent_kedro.methods.optimisation.coordinates import fit_generator_gaussian
from clip2latent_kedro.metrics.blends import find_blends
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.study.editing.pictures import Seen

EDIT_SCORES = {
    "gained": "Share of pictures in which the judge sees what was asked for",
    "kept": "Share of the other attributes, where they can be seen, that stayed",
    "identity": "Cosine of the identity features before and after",
    "direction": "Cosine of the edit and of the two texts, by the held-out encoder",
    "blended": "Share of pictures in which the judge is not certain of an attribute",
    "blended_before": "The same before the edit",
    "w_distance": "Distance of w from the mean, over the spread; of edits in w",
    "style_distance": "The same of the styles, channel by channel; random w have 1",
}
_NUM_STYLES = 2000  # random w that the spread of styles is measured on


@dataclass(frozen=True)
class Ruler:
    """What distances are measured against.

    Attributes:
        gaussian: Of w, a row for each layer.
        style_mean: Mean of each channel of S, [num_channels]; None without S.
        style_std: Its spread, likewise.
    """

    gaussian: LatentGaussian
    style_mean: Tensor | None
    style_std: Tensor | None


@torch.no_grad()
def make_ruler(models: EditingModels, *, seed: int) -> Ruler:
    """Return the spread of the generator's own w and of their styles."""
    generator, device = models.generator, models.device
    gaussian = fit_generator_gaussian(generator, seed=seed, device=device)
    if not isinstance(generator, StyledGenerator):
        return Ruler(gaussian, None, None)
    random = make_generator(seed, "style_spread")
    z = torch.randn(_NUM_STYLES, generator.z_dim, generator=random)
    styles = generator.styles(generator.mapping(z.to(device)))
    std, mean = torch.std_mean(styles, dim=0)
    floor = max(STD_FLOOR * float(std.median()), 1e-8)  # some channels hardly move
    return Ruler(gaussian, mean, std.clamp_min(floor))


@torch.no_grad()
def score_edits(
    edited: Seen,
    latents: Latents,
    original: Seen,
    target: EditTarget,
    text_direction: Tensor | None,
    models: EditingModels,
    ruler: Ruler,
) -> dict[str, np.ndarray]:
    """Return the scores of `EDIT_SCORES`, each [n], NaN where one does not apply.

    Args:
        edited: What is seen in the edited pictures.
        latents: What they were made of.
        original: What was seen before.
        target: What was asked for.
        text_direction: Of its two texts by the held-out encoder, [its clip_dim].
        models: The judge, and the generator for styles.
        ruler: What distances are measured against.
    """
    found: dict[str, Tensor] = {}
    judge = models.models.judge
    if judge is not None and edited.values is not None:
        assert original.values is not None
        names = list(judge.attributes)
        if target.attribute is not None:
            column = edited.values[:, names.index(target.attribute)]
            wanted = judge.attributes[target.attribute].index(str(target.value))
            found["gained"] = column == wanted
        assert edited.visible is not None
        assert original.visible is not None
        free = torch.tensor([name in target.free for name in names])
        asked = torch.tensor([name == target.attribute for name in names])
        counted = ~(free | asked).to(edited.visible) & edited.visible & original.visible
        same = (edited.values == original.values) & counted
        found["kept"] = same.sum(1) / counted.sum(1)
        for name, seen in (("blended", edited), ("blended_before", original)):
            if seen.certainty is not None:
                found[name] = find_blends(seen.certainty[:, ~free])
    if edited.identity is not None and original.identity is not None:
        found["identity"] = F.cosine_similarity(edited.identity, original.identity)
    if edited.held_out is not None and text_direction is not None:
        assert original.held_out is not None
        change = F.normalize(edited.held_out, dim=1) - F.normalize(
            original.held_out, dim=1
        )
        found["direction"] = F.cosine_similarity(
            change, text_direction[None].to(change)
        )
    if latents.style_offset is None:
        found["w_distance"] = ruler.gaussian.distance(latents.w)
    if ruler.style_mean is not None:
        assert ruler.style_std is not None
        assert isinstance(models.generator, StyledGenerator)
        styles = models.generator.styles(latents.w)
        if latents.style_offset is not None:
            styles = styles + latents.style_offset
        spread = (styles - ruler.style_mean) / ruler.style_std
        found["style_distance"] = spread.square().mean(1).sqrt()
    num = len(latents.w)
    return {
        name: found[name].double().cpu().numpy()
        if name in found
        else np.full(num, np.nan)
        for name in EDIT_SCORES
    }


def average_pictures(
    scores: Mapping[str, np.ndarray], name: str, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the mean of a score over seeds and pictures, [..., num_strengths].

    Args:
        scores: By name, [num_strengths, num_seeds, n], NaN where one does not apply.
        name: Which of them.
        weights: Of the pictures, [..., num_seeds * n]; None for equal ones.

    Returns:
        NaN where none applies.
    """
    values = scores[name].reshape(len(scores[name]), -1).astype(np.float64)
    if weights is None:
        weights = np.ones(values.shape[1])
    applies = np.isfinite(values)
    totals = weights @ np.where(applies, values, 0).T
    counts = weights @ applies.T.astype(np.float64)
    means = np.full(totals.shape, np.nan)
    np.divide(totals, counts, out=means, where=counts > 0)
    return means
