import json
import math
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
from clip2latent_kedro.prior.record import Validation

from .test_checkpoint import assert_same
from .toy import (
    make_data_config,
    make_network_config,
    make_pairs,
    train,
)


def waver(prior, step):
    """Scores that depend on the weights, and on the step in no simple way."""
    torch.rand(step)  # what a validation may do to global generators ...
    np.random.seed(step)  # noqa: NPY002 - ... is no business of training
    size = sum(float(p.double().norm()) for p in prior.network.parameters())
    return Validation({"text_score_g2": math.sin(1000 * size + step)})


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("mlp", {"buffer_pairs": 1000}),
        ("mlp", {"buffer_pairs": 20, "precision": "float16", "clip_grad": 0.1}),
        ("mlp", {"buffer_pairs": 20, "precision": "bfloat16", "accumulate": 3}),
        ("clip2latent", {"buffer_pairs": 20, "warmup_it": 8}),
    ],
)
def test_resumed_equals_uninterrupted(kind, changes):
    settings = {
        "network": make_network_config(kind=kind),
        "lr_decay": "cosine",
        "best_by": "text_score_g2",
        "validate": waver,
        "save_it": 4,
        **changes,
    }
    straight = list(train(**settings))
    assert [checkpoint.step for checkpoint in straight] == [4, 8, 12]
    for number, start in enumerate(straight[:-1], start=1):
        resumed = list(train(**settings, start=start))
        for one, other in zip(straight[number:], resumed, strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("best_by", ["validation_loss", "text_score_g2"])
def test_best_is_the_average_of_the_best_validation(best_by):
    settings = {"max_it": 15, "val_it": 3, "save_it": 1, "lr": 0.3}
    steps = list(train(**settings, best_by=best_by, validate=waver))
    validated = [row for row in steps[-1].history if "text_score_g2" in row]
    assert [row["step"] for row in validated] == [3, 6, 9, 12, 15]
    sign = -1 if best_by == "validation_loss" else 1
    best = max(validated, key=lambda row: sign * row[best_by])["step"]
    assert best < 15
    for checkpoint in steps[best - 1 :]:
        assert checkpoint.best_step == best
        assert checkpoint.best.keys() == steps[best - 1].ema.keys()
        for name, weight in steps[best - 1].ema.items():
            assert torch.equal(checkpoint.best[name], weight)
    assert (steps[1].best_step, steps[1].best) == (0, {})


def test_validation_sees_the_average_and_leaves_training_alone():
    seen = {}

    def validate(prior, step):
        seen[step] = {k: v.clone() for k, v in prior.network.state_dict().items()}
        assert not prior.training
        return waver(prior, step)

    validated = list(train(save_it=3, validate=validate))
    plain = list(train(save_it=3))
    assert list(seen) == [3, 6, 9, 12]
    for one, other in zip(validated, plain, strict=True):
        assert torch.equal(seen[one.step]["null_condition"], one.ema["null_condition"])
        for part in ("network", "ema", "optimizer"):
            first, second = getattr(one, part), getattr(other, part)
            assert all(torch.equal(first[name], second[name]) for name in second)


def test_history_holds_what_was_measured_where_it_was():
    def validate(prior, step):
        scores = {"image_similarity": float("nan") if step == 6 else 0.5}
        return Validation({**scores, "text_score_g1": 0.25})

    *_, last = train(val_pairs=0, best_by="image_similarity", validate=validate)
    rows = {row["step"]: row for row in last.history}
    assert list(rows) == [3, 5, 6, 9, 10, 12]
    assert rows[5].keys() == rows[10].keys() == {"step", "loss"}
    assert rows[6].keys() == {"step", "loss", "text_score_g1"}
    assert rows[9] | {"loss": 0} == {
        "step": 9,
        "loss": 0,
        "image_similarity": 0.5,
        "text_score_g1": 0.25,
    }
    assert last.best_step == 12  # the latest of equals
    json.dumps(last.history, allow_nan=False)


def test_prior_keeps_the_text_mean():
    text_mean = torch.tensor([0.1, 0.2, 0.3, 0.4])
    *_, last = train(text_mean=text_mean)
    prior = prior_from_checkpoint(last, "best")
    assert torch.equal(prior.embedding_statistics.text_mean, text_mean)
    (again,) = train(start=last, text_mean=2 * text_mean)
    assert torch.equal(again.embedding_statistics.text_mean, 2 * text_mean)
    assert again.step == last.step


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
    """The loss of a row is the mean of the steps since the row before."""
    *_, last = train()
    *_, each = train(val_it=1)
    rows = {row["step"]: row for row in last.history}
    assert list(rows) == [3, 5, 6, 9, 10, 12]
    losses = [row["loss"] for row in each.history]
    assert rows[9]["loss"] == pytest.approx(np.mean(losses[6:9]))
    assert rows[10]["loss"] == losses[9]
    assert rows[12]["validation_loss"] == each.history[-1]["validation_loss"]
    *_, unvalidated = train(val_pairs=0)
    assert {frozenset(row) for row in unvalidated.history} == {
        frozenset({"step", "loss"})
    }


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
    assert last.history[-1]["validation_loss"] < 0.1


def test_finished_run_is_given_back_or_replaced(finished):
    (given_back,) = train(start=finished)
    assert_same(given_back, finished)
    *_, replaced = train(start=finished, lr=0.02)
    *_, fresh = train(lr=0.02)
    assert_same(replaced, fresh)


def test_a_run_that_goes_on_under_other_code_says_so_and_records_both(caplog):
    first = next(train())
    (making,) = first.settings["made_by"]
    assert making["pairs"] == make_pairs().made_by
    older = {**making, "code": "of another formula"}
    first = replace(first, settings={**first.settings, "made_by": [older]})
    *_, last = train(start=first)
    assert last.settings["made_by"] == [older, making]
    assert "prior was trained otherwise: code (stored 'of another" in caplog.text
    (kept,) = train(start=replace(last, settings={**last.settings, "made_by": [older]}))
    assert kept.settings["made_by"] == [older]


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
    with pytest.raises(InputError, match=r"finite.*Lower train.lr = 1e\+30"):
        seen.extend(train(lr=1e30, max_it=200, val_it=50, save_it=1))
    for checkpoint in seen:
        assert all(tensor.isfinite().all() for tensor in checkpoint.network.values())


def test_latents_can_stay_unnormalised():
    *_, last = train(znorm_latent=False)
    prior = prior_from_checkpoint(last)
    w = torch.randn(4, 2, 3)
    assert torch.equal(prior.statistics.denormalise(w), w)
    assert torch.equal(prior.w_mean, last.statistics.mean)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_trains_on_a_gpu(precision):
    settings = {"device": "cuda", "precision": precision, "accumulate": 2}
    straight = list(train(**settings))
    resumed = list(train(**settings, start=straight[0]))
    torch.testing.assert_close(resumed[-1].ema, straight[-1].ema)


def test_time_is_counted_over_all_runs():
    first, *_, last = train(save_it=4)
    assert 0 < first.seconds < last.seconds
    resumed = list(train(save_it=4, start=replace(first, seconds=100.0)))
    assert resumed[-1].seconds > 100
    assert prior_from_checkpoint(resumed[-1]).training_seconds == resumed[-1].seconds
    (unknown, *_) = train(save_it=4, start=replace(first, seconds=None))
    assert unknown.seconds is None
