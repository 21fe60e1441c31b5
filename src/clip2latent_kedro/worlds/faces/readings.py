"""Samples of the generator and what is read in them: what the CLIPs learn from.

They are made shard by shard and stored as they come; a shard that is stored knows what
made it, so that a run that is interrupted goes on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.checked import Checked, PositiveInt
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Generator, Identity
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.worlds.faces.attributes import (
    ATTRIBUTES,
    certain_labels,
    is_held_out,
    labels_of,
    split_columns,
)

Shard = tuple[Mapping[str, np.ndarray[Any, Any]], Mapping[str, Any]]
"""`images`, uint8 [n, h, w, 3], and `probabilities`, [n, num_values]; the record."""


class Reader(Protocol):
    """What reads the attributes of faces (see `reader.FaceReader`)."""

    @property
    def identity(self) -> Identity:
        """Which networks read."""
        ...

    def probabilities(self, image: Tensor) -> list[Tensor]:
        """Return for each attribute [n, num_values], of images in [-1, 1]."""
        ...


@dataclass(frozen=True)
class ReadingConfig(Checked):
    """How many samples are read.

    Attributes:
        num_shards: Files of samples.
        shard_size: Samples in each, the unit of resuming.
        batch_size: Samples at a time through generator and readers.
    """

    num_shards: PositiveInt
    shard_size: PositiveInt
    batch_size: PositiveInt


@dataclass(frozen=True)
class ReadFaces:
    """Samples with what is read in them.

    Attributes:
        images: uint8 [n, h, w, 3].
        labels: Likeliest values, [n, num_attributes] int64.
        certain: The same, -1 where the reader is not certain.
    """

    images: Tensor
    labels: Tensor
    certain: Tensor

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.images)

    def select(self, rows: Tensor) -> "ReadFaces":
        """Return those of some rows, by number [n] or by mask [n] bool."""
        return ReadFaces(self.images[rows], self.labels[rows], self.certain[rows])

    def split(self, *, held_out: bool) -> "ReadFaces":
        """Return those that training sees, or those kept from it."""
        return self.select(is_held_out(self.labels) == held_out)


@torch.inference_mode()
def read_samples(
    generator: Generator,
    reader: Reader,
    config: ReadingConfig,
    *,
    seed: int,
    device: str,
    stored: Mapping[str, Shard],
) -> Iterator[dict[str, Shard]]:
    """Yield each shard of samples that is not stored, by name, as it is read.

    Args:
        generator: On `device`.
        reader: Likewise.
        config: `params:faces.readings`.
        seed: Gives the samples.
        device: Where generator and readers are.
        stored: Shards of an earlier run.
    """
    depends_on = {
        "generator": generator.identity.digest,
        "reader": reader.identity.digest,
        "shard_size": config.shard_size,
        "seed": seed,
        "made_by": describe_provenance(device, __name__, generator, reader),
    }
    names = shard_names(config)
    lacking = [
        name
        for name in names
        if name not in stored or stored[name][1].get("depends_on") != depends_on
    ]
    total = len(names) * config.shard_size
    done = total - len(lacking) * config.shard_size
    with progress_bar(
        "faces_readings", total=total, completed=done, unit="faces"
    ) as advance:
        for name in lacking:
            random = make_generator(seed, "faces", int(name))
            z = torch.randn(config.shard_size, generator.z_dim, generator=random)
            images, tables = [], []
            for rows in torch.split(z, config.batch_size):
                image = generator.synthesis(generator.mapping(rows.to(device)))
                images.append(image_to_uint8(image))
                tables.append(torch.cat(reader.probabilities(image), dim=1).cpu())
                advance(len(rows))
            arrays = {
                "images": np.concatenate(images),
                "probabilities": torch.cat(tables).numpy(),
            }
            yield {name: (arrays, {"depends_on": depends_on})}


def shard_names(config: ReadingConfig) -> list[str]:
    """Return the names of the shards, in their order."""
    return [f"{number:04d}" for number in range(config.num_shards)]


def join_shards(shards: Mapping[str, Shard], config: ReadingConfig) -> ReadFaces:
    """Return all faces in the order of shards.

    Args:
        shards: By name; others than those of `config` are passed over.
        config: `params:faces.readings`.

    Raises:
        InputError: If a shard is missing or of other attributes.
    """
    names = shard_names(config)
    if missing := [name for name in names if name not in shards]:
        msg = (
            f"faces_readings must have the shards {names[0]} to {names[-1]}, got none "
            f"named {', '.join(missing[:3])}. Run the node read_samples first."
        )
        raise InputError(msg)
    images = [torch.from_numpy(shards[name][0]["images"]) for name in names]
    tables = [torch.from_numpy(shards[name][0]["probabilities"]) for name in names]
    table = torch.cat(tables)
    num_values = sum(len(values) for values in ATTRIBUTES.values())
    if table.ndim != 2 or table.shape[1] != num_values:
        msg = (
            f"faces_readings must have {num_values} probabilities of each face, got "
            f"an array of shape {list(table.shape)}. Remove the folder and read again."
        )
        raise InputError(msg)
    probabilities = split_columns(table)
    return ReadFaces(
        torch.cat(images), labels_of(probabilities), certain_labels(probabilities)
    )
