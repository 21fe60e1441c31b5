"""Retrieval: images near a text, mixed, in the place of the text.

Of the images nearest the text, those that differ most are mixed with random weights
(Du et al. 2022, Fast text2StyleGAN): what the prior is given then lies among the
embeddings that it was trained on, and differs from sample to sample.
"""

from itertools import product
from typing import TYPE_CHECKING, Any, Union, cast

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.metrics.retrieval import nearest_rows
from clip2latent_kedro.metrics.similarity import unit_rows
from clip2latent_kedro.runtime import derive_seed
from clip2latent_kedro.samplers import SamplingConfig

if TYPE_CHECKING:
    import zarr

RetrievalBank = Union[np.ndarray, "zarr.Array[Any]"]
"""Embeddings of images, [N, clip_dim], of any length; Zarr is read in slices."""

CHUNK_SIZE = 16_384  # embeddings compared at a time


def mix_neighbours(
    direction: Tensor,
    bank: RetrievalBank,
    sampling: SamplingConfig,
    *,
    num_samples: int,
    seed: int,
) -> Tensor:
    """Return unit-length mixes of embeddings near each direction.

    Args:
        direction: Unit length, [n, clip_dim], on the side of the images.
        bank: What to retrieve from.
        sampling: Settings, of which the `retrieval_` ones are read.
        num_samples: Mixes of each direction.
        seed: Mix j of direction i depends on (seed, i, j) alone.

    Returns:
        [n, num_samples, clip_dim], or [n, 1, clip_dim] if the mix is of a single
        embedding, and so not random.

    Raises:
        InputError: If the bank is smaller than `retrieval_neighbours`.
    """
    if bank.shape[0] < sampling.retrieval_neighbours:
        msg = (
            f"sampling.retrieval_neighbours must be at most the {bank.shape[0]} "
            f"embeddings that there are, got {sampling.retrieval_neighbours}."
        )
        raise InputError(msg)
    index, _ = nearest_rows(
        direction.float().cpu().numpy(),
        cast(np.ndarray, bank),
        k=sampling.retrieval_neighbours,
        chunk_size=CHUNK_SIZE,
    )
    rows, places = np.unique(index, return_inverse=True)
    taken = bank[rows] if isinstance(bank, np.ndarray) else bank.oindex[rows]
    neighbours = unit_rows(np.asarray(taken))[places.reshape(index.shape)]

    chosen = farthest_points(neighbours, sampling.retrieval_spread)
    if sampling.retrieval_spread == 1:
        return torch.from_numpy(chosen).to(direction)
    weights = dirichlet_weights(
        (len(index), num_samples, sampling.retrieval_spread),
        sampling.retrieval_concentration,
        seed,
    )
    return torch.from_numpy(unit_rows(weights @ chosen)).to(direction)


def farthest_points(neighbours: np.ndarray, count: int) -> np.ndarray:
    """Return some neighbours that lie far from each other.

    Greedy: the nearest one first, then always the one whose highest cosine with
    those taken is lowest.

    Args:
        neighbours: Unit length, [n, k, clip_dim], nearest first.
        count: How many, 1 to k.

    Returns:
        [n, count, clip_dim].
    """
    everyone = np.arange(len(neighbours))
    latest = neighbours[:, 0]  # [n, clip_dim]
    chosen = [latest]
    similarity = np.full(neighbours.shape[:2], -np.inf)
    for _ in range(count - 1):
        cosine = np.einsum("nkd,nd->nk", neighbours, latest)
        similarity = np.maximum(similarity, cosine)
        latest = neighbours[everyone, similarity.argmin(axis=1)]
        chosen.append(latest)
    return np.stack(chosen, axis=1)


def dirichlet_weights(
    shape: tuple[int, int, int], concentration: float, seed: int
) -> np.ndarray:
    """Return Dirichlet weights, [n, num_samples, count], rows of sum 1.

    Args:
        shape: (n, num_samples, count).
        concentration: Of every one; small ones favour a single embedding.
        seed: Weights (i, j) depend on (seed, i, j) alone.
    """
    weights = np.empty(shape)
    for i, j in product(range(shape[0]), range(shape[1])):
        stream = np.random.Philox(key=derive_seed(seed, "retrieval", i, j))
        generator = np.random.Generator(stream)
        weights[i, j] = generator.dirichlet(np.full(shape[2], concentration))
    return weights
