from itertools import islice

import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.pairs.batches import PairBatches

from .toy import make_pairs


def make_batches(pairs=None, **changes):
    settings = {
        "num_pairs": 50,
        "batch_size": 8,
        "buffer_pairs": 1000,
        "seed": 1,
        "device": "cpu",
    }
    raw = LatentStatistics(torch.zeros(2, 3), torch.ones(2, 3))
    return PairBatches(pairs or make_pairs(), raw, **{**settings, **changes})


def row_numbers(batches):
    return [batch[0][:, 0, 0].long().tolist() for batch in batches]


@pytest.mark.parametrize("buffer_pairs", [1000, 50, 34, 16, 1])
def test_an_epoch_has_each_row_once(buffer_pairs):
    batches = make_batches(buffer_pairs=buffer_pairs)
    epochs = row_numbers(islice(batches.starting_at(0), 12))
    for epoch in (epochs[:6], epochs[6:]):
        rows = [row for batch in epoch for row in batch]
        assert all(len(batch) == 8 for batch in epoch)
        assert len(set(rows)) == 48
        assert rows != sorted(rows)
    assert epochs[:6] != epochs[6:]


@pytest.mark.parametrize("buffer_pairs", [1000, 34, 16])
def test_any_step_can_be_the_first(buffer_pairs):
    batches = make_batches(buffer_pairs=buffer_pairs)
    straight = row_numbers(islice(batches.starting_at(0), 20))
    later = make_batches(buffer_pairs=buffer_pairs)
    for first in (9, 1, 7, 16, 12):
        steps = range(first, first + 5)
        assert row_numbers(map(later, steps)) == straight[first - 1 : first + 4]


def test_pairs_stay_together_and_are_normalised():
    pairs = make_pairs()
    statistics = LatentStatistics(torch.full((2, 3), 2.0), torch.full((2, 3), 4.0))
    batches = PairBatches(
        pairs,
        statistics,
        num_pairs=50,
        batch_size=8,
        buffer_pairs=20,
        seed=1,
        device="cpu",
    )
    for x0, clip_embedding in islice(batches.starting_at(0), 6):
        w = 2 + 4 * x0
        rows = w[:, 0, 0].round().long()
        torch.testing.assert_close(w, torch.from_numpy(pairs.w)[rows])
        expected = torch.from_numpy(pairs.clip_embedding)[rows]
        torch.testing.assert_close(clip_embedding, expected)


def test_only_the_first_pairs_are_used_and_memory_is_bounded():
    pairs = ReadingObserver(make_pairs())
    batches = make_batches(pairs, num_pairs=40, buffer_pairs=16)
    epoch = row_numbers(islice(batches.starting_at(0), 5))
    rows = [row for batch in epoch for row in batch]
    assert set(rows) == set(range(40))
    assert max(pairs.reads) <= 16


def test_too_few_pairs_are_refused():
    with pytest.raises(InputError, match=r"data.bs must be at most the 7 pairs"):
        make_batches(num_pairs=7)


class ReadingObserver(TrainingPairs):
    """Pairs that note how many rows each read takes."""

    def __init__(self, pairs):
        super().__init__(pairs.w, pairs.clip_embedding, pairs.recipe)
        object.__setattr__(self, "reads", [])

    def take(self, rows):
        taken = super().take(rows)
        self.reads.append(len(taken[0]))
        return taken
