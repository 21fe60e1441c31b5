"""One edit on the pictures of several seeds, at several strengths: its result."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.editing.edit import EditMethod, EditTarget, Source
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.study.editing.pictures import Originals, Seen, look_at
from clip2latent_kedro.study.editing.scores import EDIT_SCORES, Ruler, score_edits
from clip2latent_kedro.study.samples import shrink_images

MOST_SECONDS = 2.0  # that one picture's edit is timed for


def measure_edit(
    edit: EditMethod,
    originals: Mapping[int, Originals],
    models: EditingModels,
    ruler: Ruler,
    *,
    strengths: Sequence[float],
    num_latents: int,
    num_shown: int = 0,
    num_timed: int = 0,
    stored_image_size: int = 256,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the scores of an edit, pictures of it, and its cost.

    Args:
        edit: Ready to apply.
        originals: What is edited, by seed.
        models: What edits and what scores.
        ruler: What distances are measured against.
        strengths: Of the curve.
        num_latents: Pictures of each seed.
        num_shown: First pictures of the first seed that are kept.
        num_timed: Edits of one picture that are timed; 0 for none.
        stored_image_size: Largest side of kept pictures.

    Returns:
        Scores by name, [num_strengths, num_seeds, num_latents] float32; `pictures`,
        uint8 [1 + num_strengths, num_shown, h, w, 3], the first as they were. And
        `seconds_each`, of the edit of one picture among many at one strength, without
        synthesis; `seconds_one`, of a picture alone, if timed; `preparation`.
    """
    text_direction = embed_texts(edit.target, models)
    by_seed, pictures, seconds = [], np.empty(0, np.uint8), 0.0
    for of_seed in originals.values():
        chosen = of_seed.choose(edit.target, num_latents)
        batches: list[list[dict[str, np.ndarray]]] = []
        for rows in torch.split(chosen, models.models.image_batch_size):
            rows = rows.to(of_seed.w.device)
            source = Source(Latents(of_seed.w[rows]))
            began = time.perf_counter()
            edited = edit.apply_all(source, strengths)
            _wait(models.device)
            seconds += time.perf_counter() - began
            seen_before = of_seed.seen.take(rows)
            scores, images = [], []
            for latents in edited:
                image = _synthesise(models, latents)
                seen: Seen = look_at(image, models)
                scores.append(
                    score_edits(
                        seen,
                        latents,
                        seen_before,
                        edit.target,
                        text_direction,
                        models,
                        ruler,
                    )
                )
                images.append(image[:num_shown])
            batches.append(scores)
            if num_shown and not len(pictures):
                before = _synthesise(models, Latents(source.latents.w[:num_shown]))
                shown = torch.stack([before, *images])
                small = shrink_images(shown.flatten(0, 1), stored_image_size)
                pictures = image_to_uint8(
                    small.view(*shown.shape[:2], *small.shape[1:])
                )
        by_seed.append(batches)
    arrays = {
        name: np.stack(
            [
                [np.concatenate([b[k][name] for b in of_seed]) for of_seed in by_seed]
                for k in range(len(strengths))
            ]
        ).astype(np.float32)
        for name in EDIT_SCORES
    }
    num_edits = len(strengths) * len(originals) * num_latents
    facts: dict[str, Any] = {
        "seconds_each": seconds / num_edits,
        "preparation": dict(edit.preparation),
    }
    if num_timed:
        first = next(iter(originals.values()))
        one = first.choose(edit.target, 1).to(first.w.device)
        source = Source(Latents(first.w[one]))
        facts["seconds_one"] = _time(
            lambda: edit.apply(source, strengths[-1]), num_timed, models.device
        )
    return {**arrays, "pictures": pictures}, facts


@torch.no_grad()
def embed_texts(target: EditTarget, models: EditingModels) -> Tensor | None:
    """Return the direction between a target's texts by the encoder that only scores.

    Returns:
        Of the unit embeddings, [its clip_dim], not normalised; None without one.
    """
    held_out = models.models.held_out
    if held_out is None:
        return None
    embedding = held_out.encode_text([target.target, target.neutral]).float()
    unit: Tensor = F.normalize(embedding, dim=1)
    return unit[0] - unit[1]


@torch.no_grad()
def _synthesise(models: EditingModels, latents: Latents) -> Tensor:
    return synthesise_latents(models.generator, latents)


def _time(edit: Callable[[], object], repeats: int, device: str) -> float:
    """Return the median seconds of an edit, after one that does not count.

    One that takes long is not repeated as often: no longer than `MOST_SECONDS` in all,
    and one that takes longer is timed once.
    """
    seconds: list[float] = []
    while len(seconds) <= repeats and sum(seconds) < MOST_SECONDS:
        began = time.perf_counter()
        edit()
        _wait(device)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:] or seconds)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
