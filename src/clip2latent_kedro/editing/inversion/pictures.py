"""The pictures that a user gives, inverted one by one, and what it came to.

What is stored of a picture is named by a digest of all that it depends on: its pixels,
the settings, the models and the code. Neither the other pictures nor the size of a
batch is in it. What a killed run has inverted is found again by its name.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.checked import Checked
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.distance import make_distance
from clip2latent_kedro.editing.inversion.invert import (
    invert_pictures,
    prepare_pictures,
)
from clip2latent_kedro.editing.inversion.latent_files import latent_arrays
from clip2latent_kedro.editing.inversion.projector import measure_spread
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.images import PICTURE_ENDINGS, quantise, read_image
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.digests import digest_prior
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.provenance import describe_provenance

SLUG_LENGTH = 40
PICTURE = "image"  # the array that holds the reconstruction, uint8
ERRORS = ("pixel_rmse", "perceptual", "identity", "clip")

Record = Mapping[str, Any]
Stored = tuple[Mapping[str, np.ndarray], Record]
"""The latents and the reconstruction by name, and what made them."""


@dataclass(frozen=True)
class InputPictures(Checked):
    """Which pictures are inverted, `params:inversion`.

    Attributes:
        pictures: Paths of pictures and of folders of them; one, or several.
    """

    pictures: list[str] | str


def list_pictures(given: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the paths of pictures that can be read, and what is wrong with others.

    Args:
        given: Paths of pictures, and of folders, whose own pictures are taken in the
            order of their names.

    Returns:
        Paths, each once; and reasons by path.
    """
    found: list[str] = []
    problems: dict[str, str] = {}
    for path in given:
        folder = Path(path)
        if not folder.is_dir():
            found.append(path)
            continue
        inside = sorted(folder.iterdir())
        pictures = [
            str(file) for file in inside if file.name.lower().endswith(PICTURE_ENDINGS)
        ]
        if not pictures:
            problems[path] = (
                f"{path} must hold pictures, files that end in "
                f"{', '.join(PICTURE_ENDINGS)}, got none. Give another folder."
            )
        found += pictures
    readable = []
    for path in dict.fromkeys(found):
        try:
            read_image(path)
            readable.append(path)
        except InputError as error:
            problems[path] = str(error)
    return readable, problems


def describe_inversions(
    pictures: Sequence[str],
    models: EditingModels,
    config: InversionConfig,
    *,
    seed: int,
) -> dict[str, Record]:
    """Return all that the inversion of each picture depends on, as plain JSON.

    Args:
        pictures: Paths.
        models: Of which those count that the settings ask for, and that measure.
        config: How pictures are inverted.
        seed: Seed of the run.
    """
    settings = asdict(config)
    del settings["batch_size"]
    shared: dict[str, Any] = {
        "settings": settings,
        "seed": seed,
        "generator": models.generator.identity.digest,
        "encoder": models.models.encoder.identity.digest,
    }
    beside = {
        "perceptual": models.perceptual,
        "identity_encoder": models.identity_encoder,
        "image_inverter": models.image_inverter if config.start == "encoder" else None,
    }
    shared |= {
        name: None if model is None else model.identity.digest
        for name, model in beside.items()
    }
    used: list[object] = [models.generator, models.models.encoder, *beside.values()]
    if config.start == "prior" and config.prior in models.models.priors:
        prior = models.models.priors[config.prior]
        used.append(prior)
        sampling = models.models.sampling
        shared |= {
            "prior": digest_prior(prior),
            "embedder": models.models.embedder.identity.digest,
            "sampling": None if sampling is None else asdict(sampling),
            "latent_repeats": list(models.models.latent_repeats),
        }
    shared["made_by"] = describe_provenance(models.device, __name__, *used)
    plain: dict[str, Any] = json.loads(json.dumps(shared))
    return {path: {"picture": _digest_picture(path), **plain} for path in pictures}


def name_inversion(path: str, record: Record) -> str:
    """Return the name, without ending, of what is stored of a picture.

    Args:
        path: Of the picture.
        record: Of `describe_inversions`.
    """
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    slug = re.sub(r"[^a-z0-9]+", "_", Path(path).stem.lower())[:SLUG_LENGTH].strip("_")
    return f"{slug}_{digest[:12]}"


def invert_files(
    records: Mapping[str, Record],
    models: EditingModels,
    config: InversionConfig,
    *,
    seed: int,
    made: Sequence[str] = (),
) -> Iterator[dict[str, Stored]]:
    """Yield the inversions of a batch of pictures as they come, by name.

    Args:
        records: Of `describe_inversions`, by path.
        models: On one device.
        config: How pictures are inverted.
        seed: Seed of the run.
        made: Names of those that need not be inverted again.

    Yields:
        Arrays `w` [1, num_ws, w_dim], perhaps `style_offset` [1, num_channels], and
        `image`, uint8 [h, w, 3], which they draw; with a record: what they depend on,
        the path, the errors (see `measure_errors`), and `seconds` of one picture.
    """
    make_distance(models.perceptual, config)  # raises before anything is done
    names = {path: name_inversion(path, records[path]) for path in records}
    due = [path for path in records if names[path] not in made]
    spread = measure_spread(models.generator, device=models.device) if due else None
    with progress_bar("pictures", total=len(due), unit="pictures") as advance:
        for first in range(0, len(due), config.batch_size):
            paths = due[first : first + config.batch_size]
            target = prepare_pictures([read_image(path) for path in paths], models)
            began = time.perf_counter()
            latents = invert_pictures(target, models, config, seed=seed, spread=spread)
            seconds = (time.perf_counter() - began) / len(paths)
            with torch.no_grad():
                image = synthesise_latents(models.generator, latents)
            errors = measure_errors(image, target, models)
            stored: dict[str, Stored] = {}
            for row, path in enumerate(paths):
                offset = latents.style_offset
                one = Latents(
                    latents.w[row : row + 1],
                    None if offset is None else offset[row : row + 1],
                )
                arrays = latent_arrays(one)
                arrays[PICTURE] = quantise(image[row]).cpu().numpy()
                found = {name: errors[name][row] for name in errors}
                record = {
                    "depends_on": records[path],
                    "path": path,
                    "seconds": seconds,
                    **found,
                }
                stored[names[path]] = arrays, record
            yield stored
            advance(len(paths))


@torch.no_grad()
def measure_errors(
    image: Tensor, target: Tensor, models: EditingModels
) -> dict[str, list[float]]:
    """Return how far images are from the pictures that they are to show.

    Args:
        image: [n, 3, side, side] in [-1, 1].
        target: The same.
        models: Those that are None measure nothing.

    Returns:
        Of each: `pixel_rmse`, root of the mean square difference, where black and white
        differ by 1; `perceptual`, the perceptual loss; `identity` and `clip`, cosines
        of the embeddings of the identity encoder and of the encoder.
    """
    errors = {"pixel_rmse": (image - target).square().mean(dim=(1, 2, 3)).sqrt() / 2}
    if models.perceptual is not None:
        seen = [models.perceptual.features(x) for x in (image, target)]
        errors["perceptual"] = (seen[0] - seen[1]).square().sum(dim=1)
    encoders: dict[str, Encoder | None] = {
        "identity": models.identity_encoder,
        "clip": models.models.encoder,
    }
    for name, encoder in encoders.items():
        if encoder is not None:
            one, other = (encoder.encode_image(x).float() for x in (image, target))
            errors[name] = functional.cosine_similarity(one, other)
    return {name: values.double().tolist() for name, values in errors.items()}


def _digest_picture(path: str) -> str:
    """Return a SHA-256 (hex) of the middle square of a picture."""
    pixels = quantise(read_image(path)).numpy()
    header = repr(pixels.shape).encode()
    return hashlib.sha256(header + pixels.tobytes()).hexdigest()
