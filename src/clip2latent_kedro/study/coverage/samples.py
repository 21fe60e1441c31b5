"""Images of random w, judged and embedded, stored some at a time."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.latents import repeat_latents
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pairs.generation import sample_w
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import derive_seed
from clip2latent_kedro.study.coverage.answers import hide_unseen
from clip2latent_kedro.study.engine import (
    PlannedVariant,
    StoredResult,
    Variant,
    describe_dependence,
)
from clip2latent_kedro.study.samples import Samples

IMAGES_PER_FILE = 2048


def plan_samples(
    num_images: int, models: Models, data: DataConfig, *, psi: float, seed: int
) -> list[PlannedVariant]:
    """Return the parts of a sample of the generator's images, ready to run.

    Image i is a function of (seed, i) alone, so that more images begin with the same.

    Args:
        num_images: Of all parts.
        models: Generator, encoder and judge; they are stored with what scores.
        data: `params:data`; each group of layers has a w of its own, as in the pairs.
        psi: Truncation of the training pairs.
        seed: Seed of the run.
    """
    no_prompts = Queries([], torch.empty(0, 0), np.empty((0, 0), dtype=np.int64))
    planned = []
    for first in range(0, num_images, IMAGES_PER_FILE):
        rows = range(first, min(first + IMAGES_PER_FILE, num_images))
        span = {"first": rows.start, "last": rows.stop - 1}
        settings = {"psi": psi, **span}
        depends_on = describe_dependence(models, no_prompts, None, settings, __name__)
        planned.append(
            PlannedVariant(
                Variant(f"images {rows.start} to {rows.stop - 1}", span),
                settings,
                depends_on | {"seed": seed},
                partial(_sample, rows, models, data, psi, seed),
            )
        )
    return planned


def join_samples(
    planned: Sequence[PlannedVariant], results: Mapping[str, StoredResult]
) -> dict[str, np.ndarray]:
    """Return the arrays of all parts, one after another (see `plan_samples`).

    Args:
        planned: The parts.
        results: Of each, by its key.

    Returns:
        `shown`, value indices by the judge, -1 for an attribute that cannot be seen,
        [num_images, num_attributes] int; `image_embedding`, [num_images, clip_dim].

    Raises:
        RuntimeError: If a part failed; the message is its problem.
    """
    parts: list[Samples] = []
    for one in planned:
        arrays, record = results[one.key]
        if record["problem"] is not None:
            raise RuntimeError(record["problem"])
        parts.append(arrays)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def draw_again(
    numbers: Sequence[int], models: Models, data: DataConfig, *, psi: float, seed: int
) -> Tensor:
    """Return some of the images, [n, 3, h, w] (arguments as of `plan_samples`)."""
    w = [_sample_w(range(n, n + 1), models, data, psi, seed) for n in numbers]
    batches = torch.split(torch.cat(w), models.image_batch_size)
    synthesis = models.generator.synthesis
    return torch.cat([synthesis(rows, noise_mode="const").float() for rows in batches])


@torch.no_grad()
def _sample(
    rows: range, models: Models, data: DataConfig, psi: float, seed: int, part: None
) -> StoredResult:
    found: dict[str, list[np.ndarray]] = {"shown": [], "image_embedding": []}
    w = _sample_w(rows, models, data, psi, seed)
    with progress_bar("coverage", total=len(rows), unit="images") as advance:
        for batch in torch.split(w, models.image_batch_size):
            image = models.generator.synthesis(batch, noise_mode="const").float()
            found["shown"].append(_judge(image, models))
            embedding = models.encoder.encode_image(image).float().cpu().numpy()
            found["image_embedding"].append(embedding)
            advance(len(batch))
    return {name: np.concatenate(parts) for name, parts in found.items()}, {}


def _judge(image: Tensor, models: Models) -> np.ndarray:
    """Return what is shown, [n, num_attributes] int16; no columns without a judge."""
    judge = models.judge
    if judge is None:
        return np.empty((len(image), 0), dtype=np.int16)
    values = hide_unseen(judge.classify(image), judge)
    shown: np.ndarray = values.cpu().numpy().astype(np.int16)
    return shown


def _sample_w(
    rows: range, models: Models, data: DataConfig, psi: float, seed: int
) -> Tensor:
    """Return w of every layer, [len(rows), num_ws, w_dim]."""
    w = sample_w(
        models.generator,
        data,
        rows,
        seed=derive_seed(seed, "coverage"),
        psi=psi,
        device=models.device,
    )
    return repeat_latents(w, data.latent_repeats)
