import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.prior.checkpoint import prior_from_checkpoint
from clip2latent_kedro.prior.training import Validation, noise_batch, prior_task

from .test_checkpoint import assert_same
from .toy import (
    make_data_config,
    make_network_config,
    make_pairs,
    make_settings,
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


def test_same_seed_same_bits_whatever_the_global_state():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    *_, one = train()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    *_, other = train()
    assert_same(one, other)


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


def test_settings_reach_the_loop():
    changes = {
        "max_it": 8,
        "lr": 0.8,
        "lr_decay": "linear",
        "warmup_it": 4,
        "clip_grad": 0.5,
        "accumulate": 3,
        "precision": "bfloat16",
        "ema_update_every": 5,
        "ema_beta": 0.9,
        "ema_power": 1.0,
        "best_by": "text_score_g2",
    }
    first, *_ = train()
    prior = prior_from_checkpoint(first).requires_grad_()
    task = prior_task(prior, make_settings(**changes), lambda step: None, ((), ()))
    rates = [task.learning_rate(0.8, update) for update in (1, 2, 4, 8)]
    assert rates == pytest.approx([0.2, 0.35, 0.5, 0.1])
    assert [task.ema_decay(update) for update in (1, 99)] == [0.5, 0.9]
    assert (task.clip_grad, task.accumulate, task.precision) == (0.5, 3, "bfloat16")
    assert (task.ema_every, task.best_by) == (5, "text_score_g2")
    assert task.lr_setting == "train.lr = 0.8"
    groups = task.objectives[0].optimizer.param_groups
    assert {group["lr"] for group in groups} == {0.8}
    for group, decay in zip(groups, (0.01, 0.0), strict=True):
        assert group["weight_decay"] == decay
        assert {p.ndim >= 2 for p in group["params"]} == {decay > 0}
        assert (group["betas"], group["eps"]) == ((0.9, 0.999), 1e-6)


def test_what_trains_a_prior_is_recorded():
    first = next(train())
    (making,) = first.settings["made_by"]
    assert making["pairs"] == make_pairs().made_by
    assert prior_from_checkpoint(first).training_seconds == first.seconds > 0
    other_pairs = replace(make_pairs(), recipe={**make_pairs().recipe, "psi": 0.7})
    message = r"prior_checkpoint of step 5.*pairs.psi \(stored None, asked 0.7\)"
    with pytest.raises(InputError, match=message):
        next(train(other_pairs, start=first))


def test_validation_sees_the_same_noise_each_time():
    *_, last = train(lr=1e-12)
    losses = {row["validation_loss"] for row in last.history}
    assert max(losses) == pytest.approx(min(losses), rel=1e-6)


@pytest.mark.parametrize("kind", ["mlp", "clip2latent"])
def test_a_batch_in_parts_is_the_whole_batch(kind):
    network = make_network_config(kind=kind, noise_level_input=True)
    *_, whole = train(network=network, max_it=3)
    *_, parts = train(network=network, max_it=3, accumulate=3)
    for name, moment in whole.optimizer.items():
        torch.testing.assert_close(
            parts.optimizer[name], moment, rtol=1e-3, atol=1e-6, msg=name
        )


@pytest.mark.parametrize("kind", ["mlp", "clip2latent"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_that_of_the_network_alone(kind, precision):
    """Its products are rounded to 2^-8 or 2^-11; weights and averages are not."""
    network = make_network_config(kind=kind)
    *_, full = train(network=network)
    *_, half = train(network=network, precision=precision)
    for row, other in zip(half.history, full.history, strict=True):
        assert row != other
        assert row == pytest.approx(other, rel=0.02)
    for tensor in (*half.network.values(), *half.ema.values()):
        assert tensor.dtype == torch.float32


def test_a_compiled_network_keeps_its_names_and_its_values():
    """What is compiled runs as it is here; test_compiled_training compiles it."""
    *_, plain = train()
    with torch.compiler.set_stance("force_eager"):
        *_, compiled = train(compile=True)
    for part in ("network", "ema", "best"):
        one, other = getattr(plain, part), getattr(compiled, part)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mlp", "clip2latent"])
def test_compiled_training(kind):
    network = make_network_config(kind=kind)
    *_, plain = train(network=network)
    try:
        *_, compiled = train(network=network, compile=True)
    except torch._dynamo.exc.BackendCompilerFailed as error:
        pytest.skip(f"needs a C++ compiler ({error})")
    assert compiled.ema.keys() == plain.ema.keys()
    for row, other in zip(compiled.history, plain.history, strict=True):
        assert row == pytest.approx(other, rel=1e-4)


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


def test_levels_of_noise_lie_evenly_between_the_least_and_the_most():
    network = make_network_config(noise_level_input=True)
    data = make_data_config(embed_noise_scale=2.0, embed_noise_least=0.5)
    first, *_ = train(network=network, data=data)
    prior = prior_from_checkpoint(first)
    assert (prior.embed_noise_least, prior.embed_noise_scale) == (0.5, 2.0)

    num = 4000
    x0, embedding = torch.zeros(num, *prior.latent_shape), torch.ones(num, 4)
    random = torch.Generator().manual_seed(0)
    drawn = noise_batch(prior, x0, embedding, (0.5, 2.0), random)
    told, turned = drawn["condition"][:, -1], drawn["condition"][:, :-1]
    assert 0.5 <= told.min() < 0.52
    assert 1.98 < told.max() <= 2
    assert told.mean() == pytest.approx(1.25, abs=0.05)
    near = torch.cosine_similarity(turned, embedding) > 0.9
    assert told[near].mean() < told[~near].mean() - 0.2


def test_a_least_noise_of_none_is_no_setting_of_its_own():
    assert "embed_noise_least" not in next(train()).settings["data"]
    stored = next(train(data=make_data_config(embed_noise_least=0.25)))
    assert stored.settings["data"]["embed_noise_least"] == 0.25
    with pytest.raises(
        ValueError, match=r"embed_noise_least.*at most embed_noise_scale"
    ):
        make_data_config(embed_noise_least=0.75)
