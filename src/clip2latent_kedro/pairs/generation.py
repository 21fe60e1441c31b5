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
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.pairs.config import DataConfig, GenerationConfig
from clip2latent_kedro.pairs.contents import Array, PairProgress, PairShard
from clip2latent_kedro.pairs.recipe import (
    check_layers,
    describe_recipe,
    find_missing_shards,
)
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
    with _progress_bar(sum(map(len, spans.values()))) as advance:
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
    repeats = torch.tensor(data.latent_repeats, device=device)
    embeddings, images = [], []
    with torch.inference_mode():
        w = sample_w(
            generator, data, rows, seed=seed, psi=generation.psi, device=device
        )
        for w_batch in torch.split(w, generation.batch_size):
            w_layers = w_batch.repeat_interleave(repeats, dim=1)  # [n, num_ws, w_dim]
            image = generator.synthesis(w_layers, noise_mode="const")
            if generation.out_image_size is not None:
                image = F.interpolate(image, generation.out_image_size, mode="area")
            embeddings.append(encoder.encode_image(image).float().cpu())
            if generation.save_images:
                images.append(_quantise(image))
            advance(len(w_batch))
    arrays: dict[str, Array] = {
        "w": w.float().cpu().numpy().astype(dtype),
        "clip_embedding": torch.cat(embeddings).numpy().astype(dtype),
    }
    if images:
        arrays["images"] = torch.cat(images).numpy()
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
    starts = np.cumsum([0, *data.latent_repeats[:-1]]).tolist()
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


@contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[int], None]]:
    """Show pairs per second and the time left; yield a function that advances."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("pairs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} pairs/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task("pairs", total=total, rate="-")

        def advance(count: int) -> None:
            speed = bar.tasks[task].speed
            rate = "-" if speed is None else f"{speed:.0f}"
            bar.update(task, advance=count, rate=rate)

        yield advance


def _quantise(image: Tensor) -> Tensor:
    """Return uint8 [n, h, w, 3] on the CPU of images [n, 3, h, w] in [-1, 1]."""
    levels = (image.float().clamp(-1, 1) + 1) * 127.5
    return levels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()
