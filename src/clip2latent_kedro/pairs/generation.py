"""Training pairs (w, clip_embedding) from a generator and an encoder alone.

    z ~ N(0, I)  ->  w  ->  image  ->  clip_embedding

The w of pair i is a function of (seed, i) and of nothing else. z comes from Philox, a
counter-based generator: block b of 64 samples is stream b of the key that the
seed gives. The mapping network always sees whole blocks, in single precision, so that
w is equal in every bit whatever the batch size, the shards, the precision or the point
of interruption. Synthesis uses constant noise maps, but runs in batches, and a sum may
be taken in another order in a batch of another size: `clip_embedding` is equal in every
bit for equal `batch_size` and `samples_per_shard`, after an interruption too, and up to
rounding for others: within 1e-5 of its length in single precision.

While a shard is stored the next one is being made, in a thread. On a GPU nothing waits
for it before the end of a shard.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Yields
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from threading import Event

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clip2latent_kedro.images import quantise
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import group_starts, repeat_latents
from clip2latent_kedro.pairs.config import DataConfig, GenerationConfig
from clip2latent_kedro.pairs.contents import Array, PairShard, ShardProgress
from clip2latent_kedro.pairs.recipe import (
    check_layers,
    describe_recipe,
    keep_progress,
)
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import arithmetic, check_compiler, derive_seed

BLOCK = 64  # samples that share one Philox stream and one pass through the mapping

Synthesis = Callable[..., Tensor]


def generate_pairs(
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    generation: GenerationConfig,
    *,
    seed: int,
    device: str,
    progress: ShardProgress,
    resume: bool,
) -> Iterator[PairShard]:
    """Yield the shards that are not stored yet, or one empty shard if all are.

    Args:
        generator: z -> w -> image.
        encoder: image -> clip_embedding; it reads images as `data` says.
        data: Groups of latents.
        generation: Number of pairs, sizes, truncation, arithmetic.
        seed: Seed of the run.
        device: Where to compute.
        progress: What is stored already; what other code, versions or another kind
            of device have made is made again.
        resume: Whether to keep it; otherwise the first shard replaces it.

    Raises:
        InputError: If models and settings do not fit each other, or if what is
            stored was made under other settings.
    """
    encoder = data.embedder(encoder)
    check_layers(generator, data)
    recipe = describe_recipe(generator, encoder, data, generation, seed, device)
    kept = keep_progress(recipe, progress) if resume else ShardProgress()
    total, size = generation.n_samples, generation.samples_per_shard
    num_shards = -(-total // size)  # the last one may be shorter
    missing = [i for i in range(num_shards) if i not in kept.valid_shards]
    if not missing:
        yield PairShard(0, 0, total, {}, recipe)
        return
    spans = [range(i * size, min((i + 1) * size, total)) for i in missing]

    generator, encoder = generator.to(device), encoder.to(device)
    generate = partial(
        generate_rows,
        generator,
        encoder,
        data,
        generation,
        seed=seed,
        device=device,
        synthesis=prepare_synthesis(generator, encoder, generation, device),
    )
    with progress_bar("pairs", total=sum(map(len, spans)), unit="pairs") as advance:

        def make(rows: range, cancelled: Event) -> dict[str, Array]:
            def count(number: int) -> None:
                if cancelled.is_set():
                    raise CancelledError
                advance(number)

            return generate(rows, advance=count)

        with closing(one_ahead(make, spans)) as made:
            for index, rows, arrays in zip(missing, spans, made, strict=True):
                fresh = kept.recipe is None and index == 0
                yield PairShard(index, rows.start, total, arrays, recipe, fresh)


def one_ahead(
    make: Callable[[range, Event], dict[str, Array]], spans: Sequence[range]
) -> Yields[dict[str, Array], None, None]:
    """Yield what is made of each span, in order; the next is made meanwhile.

    Args:
        make: Called in another thread with a span, and an event that is set when
            nobody waits for the result any more.
        spans: One or more.
    """
    cancelled = Event()
    threads = torch.get_num_threads()  # a setting that a new thread does not inherit
    pool = ThreadPoolExecutor(1, "pairs", torch.set_num_threads, (threads,))
    with pool:
        try:
            pending = pool.submit(make, spans[0], cancelled)
            for span in spans[1:]:
                made = pending.result()
                pending = pool.submit(make, span, cancelled)
                yield made
            yield pending.result()
        finally:
            cancelled.set()


def prepare_synthesis(
    generator: Generator,
    encoder: Encoder,
    generation: GenerationConfig,
    device: str,
) -> Synthesis:
    """Return the generator's synthesis, laid out and compiled as the settings say.

    Args:
        generator: On `device`.
        encoder: On `device`; laid out as well.
        generation: `channels_last` and `compile`.
        device: Where to compute.

    Raises:
        InputError: If it is to be compiled where there is no compiler.
    """
    if generation.channels_last:
        for model in (generator, encoder):
            parts = [model] if isinstance(model, nn.Module) else vars(model).values()
            for part in parts:
                if isinstance(part, nn.Module):
                    part.to(memory_format=torch.channels_last)
    if not generation.compile:
        return generator.synthesis
    check_compiler("data_generation.compile", device)
    return torch.compile(generator.synthesis, dynamic=False)


def generate_rows(
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    generation: GenerationConfig,
    rows: range,
    *,
    seed: int,
    device: str,
    synthesis: Synthesis | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, Array]:
    """Return the arrays of consecutive pairs (see `PairShard.arrays`).

    Args:
        generator: On `device`.
        encoder: On `device`.
        data: Groups of latents.
        generation: Batch size, image size, truncation, precision.
        rows: Which pairs.
        seed: Seed of the run.
        device: Where to compute.
        synthesis: Of `prepare_synthesis`; the generator's own if None.
        advance: Called with the number of pairs after each batch.
    """
    dtype = np.dtype(generation.dtype)
    synthesis = synthesis or generator.synthesis
    embeddings, images = [], []
    with torch.inference_mode():
        w = sample_w(
            generator, data, rows, seed=seed, psi=generation.psi, device=device
        )
        for w_batch in torch.split(w, generation.batch_size):
            w_layers = repeat_latents(w_batch, data.latent_repeats)
            with arithmetic(generation.precision, device):
                image = synthesis(w_layers, noise_mode="const").float()
                if generation.out_image_size is not None:
                    image = F.interpolate(image, generation.out_image_size, mode="area")
                embeddings.append(_leave(encoder.encode_image(image).float()))
            if generation.save_images:
                images.append(_leave(quantise(image)))
            advance(len(w_batch))
        w = w.float().cpu()  # on a GPU, after everything that has left it before
    arrays: dict[str, Array] = {
        "w": w.numpy().astype(dtype),
        "clip_embedding": torch.cat(embeddings).numpy().astype(dtype),
    }
    if images:
        arrays["images"] = torch.cat(images).numpy()
    return arrays


def _leave(tensor: Tensor) -> Tensor:
    """Return a tensor of the CPU that holds this one once the GPU comes to it."""
    if not tensor.is_cuda:
        return tensor
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


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
    for block in range(first, -(-rows.stop // BLOCK)):  # every block that rows touch
        z = sample_z(seed, block, num_latents, generator.z_dim).to(device)
        w = generator.mapping(z.flatten(0, 1), psi=psi)  # [BLOCK * num_latents, ...]
        # Row i * num_latents + g is of sample i and group g.
        groups = [w[g::num_latents, start] for g, start in enumerate(starts)]
        blocks.append(torch.stack(groups, dim=1))
    offset = rows.start - first * BLOCK  # of the first row within its block
    return torch.cat(blocks)[offset : offset + len(rows)]


def sample_z(seed: int, block: int, num_latents: int, z_dim: int) -> Tensor:
    """Return z, [BLOCK, num_latents, z_dim], of samples BLOCK * block and on."""
    bits = np.random.Philox(key=derive_seed(seed, "z"), counter=[0, 0, 0, block])
    shape = (BLOCK, num_latents, z_dim)
    return torch.from_numpy(
        np.random.Generator(bits).standard_normal(shape, np.float32)
    )
