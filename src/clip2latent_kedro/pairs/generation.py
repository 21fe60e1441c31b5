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
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clip2latent_kedro.batches import map_batches
from clip2latent_kedro.engines import Engine
from clip2latent_kedro.images import quantise
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import group_starts, repeat_latents
from clip2latent_kedro.pairs.config import DataConfig, GenerationConfig
from clip2latent_kedro.pairs.contents import (
    Array,
    PairShard,
    ShardProgress,
    ShardWriter,
)
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
    engine: Engine,
    progress: ShardProgress,
    resume: bool,
) -> Iterator[PairShard]:
    """Yield the shards that are not stored yet, or one empty shard if all are.

    Workers of an engine write their shards themselves: those that are yielded for them
    are empty.

    Args:
        generator: z -> w -> image.
        encoder: image -> clip_embedding; it reads images as `data` says.
        data: Groups of latents.
        generation: Number of pairs, sizes, truncation, arithmetic.
        seed: Seed of the run.
        engine: What to compute with.
        progress: What is stored already; what other code, versions or another kind
            of device have made is made again.
        resume: Whether to keep it; otherwise the first shard replaces it.

    Raises:
        InputError: If models and settings do not fit each other, or if what is
            stored was made under other settings.
    """
    encoder = data.embedder(encoder)
    check_layers(generator, data)
    device = engine.device
    recipe = describe_recipe(generator, encoder, data, generation, seed, device)
    fresh = ShardProgress(writer=progress.writer)
    kept = keep_progress(recipe, progress) if resume else fresh
    total, size = generation.n_samples, generation.samples_per_shard
    num_shards = -(-total // size)  # the last one may be shorter
    missing = [i for i in range(num_shards) if i not in kept.valid_shards]
    if not missing:
        yield PairShard(0, 0, total, {}, recipe)
        return
    shards = [
        PairShard(i, i * size, total, {}, recipe, kept.recipe is None and i == 0)
        for i in missing
    ]
    work = Work(generator, encoder, data, generation, seed)
    num_pairs = sum(len(_rows(shard)) for shard in shards)
    with progress_bar("pairs", total=num_pairs, unit="pairs") as advance:
        if engine.is_here or kept.writer is None:
            with engine.limiting_threads():
                yield from _make_here(work, shards, engine.device, advance)
        else:
            yield from _make_by_workers(work, shards, engine, kept.writer, advance)


@dataclass(frozen=True)
class Work:
    """What makes pairs, wherever that is.

    Attributes:
        generator: z -> w -> image.
        encoder: image -> clip_embedding.
        data: Groups of latents.
        generation: Sizes, truncation, arithmetic.
        seed: Seed of the run.
    """

    generator: Generator
    encoder: Encoder
    data: DataConfig
    generation: GenerationConfig
    seed: int

    def begin(self, device: str) -> Callable[..., dict[str, Array]]:
        """Return a function of rows, on a device, and perhaps `advance`."""
        generator, encoder = self.generator.to(device), self.encoder.to(device)
        synthesis = prepare_synthesis(generator, encoder, self.generation, device)
        return partial(
            generate_rows,
            generator,
            encoder,
            self.data,
            self.generation,
            seed=self.seed,
            device=device,
            synthesis=synthesis,
        )

    def empty_arrays(self) -> dict[str, Array]:
        """Return the arrays of no pairs, by which a store is laid out."""
        dtype = np.dtype(self.generation.dtype)
        num_latents = len(self.data.latent_repeats)
        arrays: dict[str, Array] = {
            "w": np.empty((0, num_latents, self.generator.w_dim), dtype),
            "clip_embedding": np.empty((0, self.encoder.embed_dim), dtype),
        }
        if self.generation.save_images:
            side = self.generation.out_image_size or self.generator.resolution
            arrays["images"] = np.empty((0, side, side, 3), np.uint8)
        return arrays


def _rows(shard: PairShard) -> range:
    size = shard.recipe["samples_per_shard"]
    return range(shard.start, min(shard.start + size, shard.total))


def _make_here(
    work: Work, shards: Sequence[PairShard], device: str, advance: Callable[[int], None]
) -> Iterator[PairShard]:
    """Yield shards with their arrays; the next is made while one is being stored."""
    generate = work.begin(device)

    def make(rows: range, cancelled: Event) -> dict[str, Array]:
        def count(number: int) -> None:
            if cancelled.is_set():
                raise CancelledError
            advance(number)

        return generate(rows, advance=count)

    with closing(one_ahead(make, [_rows(shard) for shard in shards])) as made:
        for shard, arrays in zip(shards, made, strict=True):
            yield replace(shard, arrays=arrays)


def _make_by_workers(
    work: Work,
    shards: Sequence[PairShard],
    engine: Engine,
    writer: ShardWriter,
    advance: Callable[[int], None],
) -> Iterator[PairShard]:
    """Yield the shards that workers have stored, in the order of their coming."""
    writer.hold()
    if shards[0].fresh:
        writer.lay_out(replace(shards[0], arrays=work.empty_arrays()))
    prepare = partial(_begin_worker, work, writer)
    for number, _ in engine.run(prepare, _write_shard, shards):
        advance(len(_rows(shards[number])))
        yield replace(shards[number], fresh=False)


def _begin_worker(
    work: Work, writer: ShardWriter, device: str
) -> tuple[Callable[..., dict[str, Array]], ShardWriter]:
    return work.begin(device), writer


def _write_shard(
    ready: tuple[Callable[..., dict[str, Array]], ShardWriter], shard: PairShard
) -> None:
    generate, writer = ready
    writer.write(replace(shard, arrays=generate(_rows(shard))))


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

    def see(w: Tensor) -> tuple[Tensor, Tensor]:
        w_layers = repeat_latents(w, data.latent_repeats)
        with arithmetic(generation.precision, device):
            image = synthesis(w_layers, noise_mode="const").float()
            if generation.out_image_size is not None:
                image = F.interpolate(image, generation.out_image_size, mode="area")
            return encoder.encode_image(image).float(), image

    with torch.inference_mode():
        w = sample_w(
            generator, data, rows, seed=seed, psi=generation.psi, device=device
        )
        setting = "data_generation.batch_size"
        for embedding, image in map_batches(
            see, w, generation.batch_size, setting=setting
        ):
            embeddings.append(_leave(embedding))
            if generation.save_images:
                images.append(_leave(quantise(image)))
            advance(len(image))
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
