from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.checkpoint import prior_from_checkpoint
from clip2latent_kedro.prior.ema import ema_decay

from .test_checkpoint import assert_same
from .toy import (
    make_data_config,
    make_network_config,
    make_pairs,
    make_train_config,
    train,
)


@pytest.mark.parametrize("kind", ["mlp", "clip2latent"])
@pytest.mark.parametrize("buffer_pairs", [1000, 20])
def test_resumed_equals_uninterrupted(kind, buffer_pairs):
    network = make_network_config(kind=kind)
    settings = {"network": network, "buffer_pairs": buffer_pairs, "lr_decay": "cosine"}
    straight = list(train(**settings))
    assert [checkpoint.step for checkpoint in straight] == [5, 10, 12]
    resumed = list(train(**settings, start=straight[0]))
    assert [checkpoint.step for checkpoint in resumed] == [10, 12]
    for one, other in zip(straight[1:], resumed, strict=True):
        assert_same(one, other)


def test_training_longer_equals_training_at_once():
    *_, at_once = train(max_it=20)
    *_, first = train(max_it=10)
    *_, longer = train(max_it=20, start=first)
    assert_same(at_once, longer)


def test_same_seed_same_bits_whatever_the_global_state():
    torch.manual_seed(1)
    *_, one = train()
    torch.manual_seed(2)
    *_, other = train()
    assert_same(one, other)


def test_global_generator_is_left_alone():
    torch.manual_seed(3)
    expected = torch.get_rng_state()
    list(train(max_it=2))
    assert torch.equal(torch.get_rng_state(), expected)


def test_ema_follows_the_weights():
    """EMA_k = d_k EMA_(k-1) + (1 - d_k) w_k, from EMA_0 = w_0, every second step."""
    steps = list(train(max_it=6, save_it=1, lr=0.1))
    key = "blocks.0.linear_in.weight"
    # One step moves the average by nothing: it is still the starting weights.
    average = steps[0].ema[key].double()
    for checkpoint in steps:
        if checkpoint.step % 2 == 0:
            decay = ema_decay(checkpoint.step, beta=0.99, power=0.75)
            weights = checkpoint.network[key].double()
            average = decay * average + (1 - decay) * weights
        torch.testing.assert_close(checkpoint.ema[key].double(), average)


def test_losses_are_recorded():
    *_, last = train()
    assert last.losses[:, 0].tolist() == [3, 5, 6, 9, 10, 12]
    assert last.losses.isfinite().all()
    *_, unvalidated = train(val_pairs=0)
    assert unvalidated.losses[:, 2].isnan().all()


def test_a_prior_learns_a_linear_relation():
    """w is a linear map of the embedding: the loss falls far below the data's 1."""
    rng = np.random.default_rng(0)
    embedding = rng.standard_normal((2000, 4)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    mixing = rng.standard_normal((4, 6)).astype(np.float32)
    recipe = make_pairs().recipe
    pairs = TrainingPairs((embedding @ mixing).reshape(-1, 2, 3), embedding, recipe)
    *_, last = train(
        pairs,
        network=make_network_config(dim=32),
        data=make_data_config(bs=128, embed_noise_scale=0.0),
        max_it=400,
        val_it=400,
        save_it=400,
        val_pairs=200,
    )
    assert last.losses[-1, 2] < 0.1


def test_finished_run_is_given_back_or_replaced(finished):
    assert list(train(start=finished)) == [finished]
    *_, replaced = train(start=finished, lr=0.02)
    *_, fresh = train(lr=0.02)
    assert_same(replaced, fresh)


def test_unfinished_run_of_other_settings_is_refused():
    first = next(train())
    with pytest.raises(InputError, match=r"train.lr \(stored 0.01, asked 0.02\)"):
        next(train(start=first, lr=0.02))
    other_pairs = replace(make_pairs(), recipe={**make_pairs().recipe, "psi": 0.7})
    with pytest.raises(InputError, match=r"pairs.psi \(stored None, asked 0.7\)"):
        next(train(other_pairs, start=first))


def test_divergence_keeps_the_last_good_checkpoint():
    """Pairs that the first epoch, steps 1 to 5, happens to leave out are not finite."""
    pairs = make_pairs()
    raw = LatentStatistics(torch.zeros(2, 3), torch.ones(2, 3))
    batches = PairBatches(
        pairs,
        raw,
        num_pairs=44,
        batch_size=8,
        buffer_pairs=1000,
        seed=7,
        device="cpu",
    )
    first_epoch = [batch[0][:, 0, 0] for batch in islice(batches.starting_at(0), 5)]
    left_out = set(range(44)) - set(torch.cat(first_epoch).long().tolist())
    pairs.clip_embedding[list(left_out)] = np.nan
    seen = []
    with pytest.raises(
        InputError, match=r"steps 6 to .* must be finite.*checkpoint of step 5 is kept"
    ):
        seen.extend(train(pairs))
    assert [checkpoint.step for checkpoint in seen] == [5]


def test_divergence_by_the_learning_rate_yields_no_bad_checkpoint():
    seen = []
    with pytest.raises(InputError, match=r"finite.*Lower train.lr = 1e\+38"):
        seen.extend(train(lr=1e38, max_it=200, val_it=50, save_it=1))
    for checkpoint in seen:
        assert all(tensor.isfinite().all() for tensor in checkpoint.network.values())


def test_latents_can_stay_unnormalised():
    *_, last = train(znorm_latent=False)
    prior = prior_from_checkpoint(last)
    w = torch.randn(4, 2, 3)
    assert torch.equal(prior.statistics.denormalise(w), w)
    assert torch.equal(prior.w_mean, last.statistics.mean)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_it": 0}, "train.max_it must be 1 or more, got 0"),
        ({"lr": float("nan")}, "train.lr must be above 0, got nan"),
        ({"ema_beta": 1.1}, "train.ema_beta must be within 0 and 1"),
        ({"lr_decay": "step"}, "train.lr_decay must be one of none, cosine, linear"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        make_train_config(**changes)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trains_on_a_gpu():
    straight = list(train(device="cuda"))
    resumed = list(train(device="cuda", start=straight[0]))
    torch.testing.assert_close(resumed[-1].ema, straight[-1].ema)
