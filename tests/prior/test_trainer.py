import pytest
import torch
from clip2latent_kedro.prior.ema import ema_decay
from clip2latent_kedro.prior.trainer import Trainer
from torch import nn

from clip2latent_kedro.latents import measure_statistics
from clip2latent_kedro.prior.checkpoint import build_prior
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics

from .toy import (
    ENCODER,
    GENERATOR,
    make_diffusion_config,
    make_network_config,
    make_pairs,
    make_train_config,
    train,
)


def make_trainer(*, kind="mlp", noise_level_input=False, **changes):
    """A trainer of the toy prior; the same weights each time."""
    torch.manual_seed(0)
    prior = build_prior(
        make_network_config(kind=kind, noise_level_input=noise_level_input),
        make_diffusion_config(),
        measure_statistics(torch.from_numpy(make_pairs().w)),
        EmbeddingStatistics(torch.zeros(4), 1.0),
        znorm_latent=True,
        generator_identity=GENERATOR,
        encoder_identity=ENCODER,
    )
    for parameter in prior.parameters():
        nn.init.normal_(parameter, std=0.1)  # none is zero, as some are at first
    return Trainer(
        prior,
        make_train_config(**changes),
        embed_noise_scale=0.5,
        cond_drop_prob=0.4,
        seed=7,
        device="cpu",
        start=None,
    )


def make_batch(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    x0 = torch.randn(8, 2, 3, generator=generator).to(dtype)
    return x0, torch.randn(8, 4, generator=generator).to(dtype)


def gradients(trainer):
    named = trainer.prior.network.named_parameters()
    return {name: parameter.grad.clone() for name, parameter in named}


def norm_of(tensors):
    return torch.cat([tensor.flatten() for tensor in tensors]).norm()


@pytest.mark.parametrize("kind", ["mlp", "clip2latent"])
@pytest.mark.parametrize("noise_level_input", [False, True])
@pytest.mark.parametrize("accumulate", [2, 3, 8, 100])
def test_accumulated_gradient_is_that_of_the_whole_batch(
    kind, noise_level_input, accumulate
):
    """Parts of 3, 3 and 2 rows for 3; of one row each for 8 and more."""
    made = {"kind": kind, "noise_level_input": noise_level_input}
    whole, parts = make_trainer(**made), make_trainer(**made, accumulate=accumulate)
    for step in (1, 2):
        loss = whole.step(*make_batch(), step)
        torch.testing.assert_close(parts.step(*make_batch(), step), loss)
        expected = gradients(whole)
        for name, gradient in gradients(parts).items():
            torch.testing.assert_close(
                gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name
            )


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_gradient_is_clipped_to_a_norm(precision):
    free, bound, loose = (
        make_trainer(precision=precision, clip_grad=limit) for limit in (None, 1e-3, 9)
    )
    for trainer in (free, bound, loose):
        trainer.step(*make_batch(), 1)
    size = norm_of(gradients(loose).values())
    assert 1e-3 < size < 9
    clipped = gradients(bound)
    torch.testing.assert_close(
        norm_of(clipped.values()), torch.tensor(1e-3), rtol=1e-3, atol=0
    )
    for name, gradient in gradients(loose).items():
        torch.testing.assert_close(clipped[name], gradient * 1e-3 / size)
        if precision != "float16":  # whose gradients stay scaled without a limit
            assert torch.equal(gradients(free)[name], gradient)


def test_learning_rate_warms_up_and_decays():
    """lr * min(1, step / 4) * (1 - (step - 1) / 8)."""
    trainer = make_trainer(lr=0.8, lr_decay="linear", warmup_it=4, max_it=8)
    rates = []
    for step in range(1, 9):
        trainer.step(*make_batch(), step)
        (rate,) = {group["lr"] for group in trainer._optimizer.param_groups}
        rates.append(rate)
    expected = [0.2, 0.35, 0.45, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["mlp", "clip2latent"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_that_of_the_network_alone(kind, precision):
    """Its products are rounded to 2^-8 or 2^-11; weights and averages are not."""
    network = make_network_config(kind=kind)
    *_, full = train(network=network)
    *_, half = train(network=network, precision=precision)
    assert half.settings["train"]["precision"] == precision
    for row, other in zip(half.history, full.history, strict=True):
        assert row != other
        assert row == pytest.approx(other, rel=0.02)
    for tensor in (*half.network.values(), *half.ema.values()):
        assert tensor.dtype == torch.float32


def test_only_float16_scales_its_loss():
    *_, full = train(max_it=2)
    *_, half = train(max_it=2, precision="float16")
    added = half.optimizer.keys() - full.optimizer.keys()
    assert added == {"grad_scaler:scale", "grad_scaler:growth_tracker"}


def test_overflow_in_float16_changes_no_weight():
    trainer = make_trainer(precision="float16", clip_grad=1.0)
    before = trainer.state()
    x0, clip_embedding = make_batch()
    trainer.step(1e4 * x0, clip_embedding, 1)
    after = trainer.state()
    for name, weight in before["network"].items():
        assert torch.equal(weight, after["network"][name])
    scale = "grad_scaler:scale"
    assert after["optimizer"][scale] == before["optimizer"][scale] / 2


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


@pytest.mark.parametrize("first_is_skipped", [False, True])
def test_a_step_that_half_precision_skips_moves_nothing(monkeypatch, first_is_skipped):
    """Neither weights nor average, and the next is the step that it would have been."""
    settings = {"ema_update_every": 1, "warmup_it": 4, "precision": "float16"}
    trainer = make_trainer(**settings)
    skipped = 1 if first_is_skipped else 2
    if not first_is_skipped:
        trainer.step(*make_batch(), 1)
    before = trainer.state()
    with monkeypatch.context() as patched:
        loss = trainer.prior.loss
        patched.setattr(
            trainer.prior, "loss", lambda **batch: loss(**batch) * torch.inf
        )
        trainer.step(*make_batch(), skipped)
    after = trainer.state()
    for group in ("network", "ema"):
        for name, weight in before[group].items():
            assert torch.equal(after[group][name], weight), name

    trainer.step(*make_batch(), skipped + 1)
    assert trainer._optimizer.param_groups[0]["lr"] == pytest.approx(1e-2 * skipped / 4)
    decay = ema_decay(skipped, beta=0.99, power=0.75)
    last = trainer.state()
    for name, weight in last["network"].items():
        expected = torch.lerp(before["ema"][name], weight, 1 - decay)
        torch.testing.assert_close(last["ema"][name], expected)
