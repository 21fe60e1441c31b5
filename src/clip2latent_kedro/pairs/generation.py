"""Training pairs (w, clip_embedding) from a generator and an encoder alone.

    z ~ N(0, I)  ->  w  ->  image  ->  clip_embedding

Pair i is a function of (seed, i) and of nothing else. z comes from Philox, a
counter-based generator: block b of 64 samples is stream b of the key that the
seed gives. The mapping network always sees whole blocks, so that w is equal in
every bit whatever the batch size, the shards, or the point of interruption.
Synthesis uses constant noise maps; it runs in batches, whose size can change the
last bits of `clip_embedding` on some machines, and nothing else.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import group_starts, repeat_latents
from clip2latent_kedro.pairs.config import DataConfig, GenerationConfig
from clip2latent_kedro.pairs.contents import Array, PairProgress, PairShard
from clip2latent_kedro.pairs.recipe import (
    check_layers,
    describe_recipe,
    find_missing_shards,
)
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import derive_seed

BLOCK = 64  # samples that share one Philox stream and one pass through the mapping


def generate_pairs(
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    generation: GenerationConfig,
    *,
    seed: int,
    device: str,
    progress: PairProgress,
    resume: bool,
) -> Iterator[PairShard]:
    """Yield the shards that are not stored yet, or one empty shard if all are.

    Args:
        generator: z -> w -> image.
        encoder: image -> clip_embedding.
        data: Groups of latents.
        generation: Number of pairs, sizes, truncation.
        seed: Seed of the run.
        device: Where to compute.
        progress: What is stored already.
        resume: Whether to keep it; otherwise the first shard replaces it.

    Raises:
        InputError: If models and settings do not fit each other, or if what is
            stored was made under other settings.
    """
    check_layers(generator, data)
    recipe = describe_recipe(generator, encoder, data, generation, seed)
    missing = find_missing_shards(recipe, progress if resume else PairProgress())
    total, size = generation.n_samples, generation.samples_per_shard
    if not missing:
        yield PairShard(0, 0, total, {}, recipe)
        return
    spans = {i: range(i * size, min((i + 1) * size, total)) for i in missing}

    generator, encoder = generator.to(device), encoder.to(device)
    num_missing = sum(map(len, spans.values()))
    with progress_bar("pairs", total=num_missing, unit="pairs") as advance:
        for index, rows in spans.items():
            arrays = generate_rows(
                generator,
                encoder,
                data,
                generation,
                rows,
                seed=seed,
                device=device,
                advance=advance,
            )
            fresh = not resume and index == 0
            yield PairShard(index, rows.start, total, arrays, recipe, fresh)


def generate_rows(
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    generation: GenerationConfig,
    rows: range,
    *,
    seed: int,
    device: str,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, Array]:
    """Return the arrays of consecutive pairs (see `PairShard.arrays`).

    Args:
        generator: On `device`.
        encoder: On `device`.
        data: Groups of latents.
        generation: Batch size, image size, truncation.
        rows: Which pairs.
        seed: Seed of the run.
        device: Where to compute.
        advance: Called with the number of pairs after each batch.
    """
    dtype = np.dtype(generation.dtype)
    embeddings, images = [], []
    with torch.inference_mode():
        w = sample_w(
            generator, data, rows, seed=seed, psi=generation.psi, device=device
        )
        for w_batch in torch.split(w, generation.batch_size):
            w_layers = repeat_latents(w_batch, data.latent_repeats)
            image = generator.synthesis(w_layers, noise_mode="const")
            if generation.out_image_size is not None:
                image = F.interpolate(image, generation.out_image_size, mode="area")
            embeddings.append(encoder.encode_image(image).float().cpu())
            if generation.save_images:
                images.append(image_to_uint8(image))
            advance(len(w_batch))
    arrays: dict[str, Array] = {
        "w": w.float().cpu().numpy().astype(dtype),
        "clip_embedding": torch.cat(embeddings).numpy().astype(dtype),
    }
    if images:
        arrays["images"] = np.concatenate(images)
    return arrays


def sample_w(
    generator: Generator,
    data: DataConfig,
    rows: range,
    *,
    seed: int,
    psi: float,
    device: str,
) -> Tensor:
    """Return w, [len(rows), num_latents, w_dim], one independent z for each group.

    A group is read at its first layer: the running sum of the sizes before it.
    """
    num_latents = len(data.latent_repeats)
    starts = group_starts(data.latent_repeats)
    first = rows.start // BLOCK
    blocks = []
    for block in range(first, -(-rows.stop // BLOCK)):
        z = sample_z(seed, block, num_latents, generator.z_dim).to(device)
        w = generator.mapping(z.flatten(0, 1), psi=psi)  # [BLOCK * num_latents, ...]
        groups = [w[g::num_latents, start] for g, start in enumerate(starts)]
        blocks.append(torch.stack(groups, dim=1))
    offset = rows.start - first * BLOCK
    return torch.cat(blocks)[offset : offset + len(rows)]


def sample_z(seed: int, block: int, num_latents: int, z_dim: int) -> Tensor:
    """Return z, [BLOCK, num_latents, z_dim], of samples BLOCK * block and on."""
    bits = np.random.Philox(key=derive_seed(seed, "z"), counter=[0, 0, 0, block])
    shape = (BLOCK, num_latents, z_dim)
    return torch.from_numpy(
        np.random.Generator(bits).standard_normal(shape, np.float32)
    )
