"""Training batches of pairs, in an order that depends on seed and step alone."""

from collections.abc import Iterator

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.pairs.contents import TrainingPairs
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.training.team import ALONE, Team

CHUNKS_PER_BUFFER = 16


class PairBatches:
    """Batches (x0, clip_embedding), epoch after epoch, from any step on.

    Pairs that fit in one buffer stay on the device and are shuffled anew in each
    epoch. More of them are read in chunks: the chunks' order is shuffled, some are
    gathered in a buffer, and its rows are shuffled. An epoch leaves out the rows
    that fill no batch, other ones each time.

    All of a team get the same batches. Each reads its share of what is read, and has
    the rest from the others.
    """

    def __init__(
        self,
        pairs: TrainingPairs,
        statistics: LatentStatistics,
        *,
        num_pairs: int,
        batch_size: int,
        buffer_pairs: int,
        seed: int,
        device: str,
        team: Team = ALONE,
    ) -> None:
        """Plan the reading.

        Args:
            pairs: Where to read.
            statistics: Takes w to x0.
            num_pairs: Number of pairs to use, from the first on.
            batch_size: Pairs in a batch.
            buffer_pairs: Pairs in memory at once.
            seed: Of the order.
            device: Where batches are wanted.
            team: Who reads, all of them the same steps.

        Raises:
            InputError: If there are fewer pairs than a batch takes.
        """
        if num_pairs < batch_size:
            msg = (
                f"data.bs must be at most the {num_pairs} pairs to train on, got "
                f"{batch_size}. Lower data.bs or train.val_pairs, or make more pairs."
            )
            raise InputError(msg)
        self.batch_size = batch_size
        self.batches_per_epoch = num_pairs // batch_size
        self._pairs = pairs
        self._statistics = statistics
        self._seed = seed
        self._device = device
        self.team = team
        self._buffer_chunks = 1
        chunk = num_pairs
        if num_pairs > buffer_pairs:
            self._buffer_chunks = CHUNKS_PER_BUFFER
            chunk = max(1, buffer_pairs // CHUNKS_PER_BUFFER)
        starts = range(0, num_pairs, chunk)
        self._chunks = [slice(start, min(start + chunk, num_pairs)) for start in starts]
        self._kept: tuple[Tensor, Tensor] | None = None
        self._source: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._due = 0  # the step whose batch `_source` gives next

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the batch of a step (from 1); steps in a row are read as they come."""
        if step != self._due:
            self._source = self.starting_at(step - 1)
        self._due = step + 1
        return next(self._source)

    def starting_at(self, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches without end, beginning with the batch of a step (from 0).

        x0 is [batch_size, num_latents, w_dim], clip_embedding [batch_size, clip_dim].
        """
        epoch, first = divmod(step, self.batches_per_epoch)
        while True:
            yield from self._epoch(epoch, first * self.batch_size)
            epoch, first = epoch + 1, 0

    def _epoch(self, epoch: int, skip: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch after its first `skip` rows."""
        generator = make_generator(self._seed, "chunk_order", epoch)
        order = torch.randperm(len(self._chunks), generator=generator).tolist()
        rest: list[Tensor] | None = None  # rows that have not filled a batch yet
        for first in range(0, len(order), self._buffer_chunks):
            chosen = order[first : first + self._buffer_chunks]
            chunks = [self._chunks[index] for index in chosen]
            num_rows = sum(chunk.stop - chunk.start for chunk in chunks)
            generator = make_generator(self._seed, "row_order", epoch, first)
            rows = torch.randperm(num_rows, generator=generator)[skip:]
            skip = max(0, skip - num_rows)
            if len(rows) == 0:
                continue
            rows = rows.to(self._device)
            buffer = self._load(chunks)
            num_rest = 0 if rest is None else len(rest[0])
            while num_rest + len(rows) >= self.batch_size:
                num_taken = self.batch_size - num_rest
                x0, clip_embedding = _append(rest, buffer, rows[:num_taken])
                yield x0, clip_embedding
                rows, rest, num_rest = rows[num_taken:], None, 0
            rest = _append(rest, buffer, rows)

    def _load(self, chunks: list[slice]) -> tuple[Tensor, Tensor]:
        """Return x0 and clip_embedding of the chunks, float32, on the device."""
        if self._kept is not None:
            return self._kept
        num_rows = sum(chunk.stop - chunk.start for chunk in chunks)
        own = self.team.rows(num_rows)
        parts = [self._pairs.take(rows) for rows in _cut(chunks, own)]
        w = torch.cat([torch.from_numpy(part[0]) for part in parts])
        clip_embedding = torch.cat([torch.from_numpy(part[1]) for part in parts])
        x0 = self._statistics.normalise(w)
        x0, clip_embedding = (
            self._share(part.to(self._device), own, num_rows)
            for part in (x0, clip_embedding)
        )
        buffer = x0, clip_embedding
        if len(self._chunks) == 1:
            self._kept = buffer
        return buffer

    def _share(self, part: Tensor, own: slice, num_rows: int) -> Tensor:
        """Return the rows of all, of which this process has read its own."""
        if self.team.size == 1:
            return part
        rows = part.new_empty(num_rows, *part.shape[1:])
        rows[own] = part
        self.team.fill(rows)
        return rows


def _cut(chunks: list[slice], own: slice) -> list[slice]:
    """Return what is within some rows of the chunks, counted one after another."""
    parts, first = [], 0
    for chunk in chunks:
        start = max(own.start - first, 0) + chunk.start
        stop = min(own.stop - first + chunk.start, chunk.stop)
        if start < stop:
            parts.append(slice(start, stop))
        first += chunk.stop - chunk.start
    return parts or [slice(0, 0)]


def _append(
    rest: list[Tensor] | None, buffer: tuple[Tensor, Tensor], rows: Tensor
) -> list[Tensor]:
    """Return the rest, if any, followed by the given rows of the buffer."""
    taken = [array[rows] for array in buffer]
    if rest is None:
        return taken
    return [torch.cat(parts) for parts in zip(rest, taken, strict=True)]
