from dataclasses import replace

import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import (
    prior_from_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from clip2latent_kedro.prior.distillation.objectives import OBJECTIVES
from prior.test_checkpoint import assert_same
from prior.toy import make_network_config, make_pairs, train

from .worlds import distill


def _at(step):
    """Settings of a run that ends at a step and is measured only there."""
    return {"max_it": step, "val_it": step, "save_it": step}


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("pool", [{}, {"pool_batches": 4, "pool_uses": 3}])
def test_resumed_equals_uninterrupted(finished, objective, pool):
    settings = {"objective": objective, "lr_decay": "cosine", "save_it": 3, **pool}
    straight = list(distill(finished, **settings))
    assert [checkpoint.step for checkpoint in straight] == [3, 6, 8]
    for place in (0, 1):
        resumed = list(distill(finished, **settings, start=straight[place]))
        for one, other in zip(straight[place + 1 :], resumed, strict=True):
            assert_same(one, other)


def test_same_seed_same_bits_whatever_the_global_state(finished):
    torch.manual_seed(1)
    *_, one = distill(finished, warm_start=False)
    torch.manual_seed(2)
    *_, same = distill(finished, warm_start=False)
    assert_same(one, same)
    *_, other = distill(finished, warm_start=False, seed=8)
    name = "network.embed_latent.weight"
    assert not torch.equal(one.ema[name], other.ema[name])


def test_a_student_is_a_prior_that_looks_at_the_guidance_scale(finished, tmp_path):
    *_, checkpoint = distill(finished, max_it=40, save_it=40)
    write_checkpoint(tmp_path / "student.safetensors", checkpoint)
    stored = read_checkpoint(tmp_path / "student.safetensors")
    assert_same(stored, checkpoint)
    assert stored.finished
    student = prior_from_checkpoint(stored)
    assert student.condition_inputs == ("guidance_scale",)
    assert student.generator_identity == finished.generator_identity
    assert student.embedding_statistics == stored.embedding_statistics
    condition, x_T = torch.randn(5, 4), torch.randn(5, 2, 3)
    weak, strong = (student.denoiser(condition, scale)(x_T, 19) for scale in (1, 3))
    assert float((weak - strong).abs().mean()) > 1e-3


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_student_comes_close_to_its_teacher(precision):
    """The teacher's own answer of one step has next to no spread."""
    (teacher,) = train(make_pairs(200), val_pairs=100, **_at(200))
    settings = {**_at(200), "bs": 16, "num_samples": 4, "teacher_steps": 10}
    settings |= {"pool_batches": 6, "pool_uses": 20, "precision": precision}
    (early,) = distill(teacher, make_pairs(200), **{**settings, **_at(1)})
    (late,) = distill(teacher, make_pairs(200), **settings)
    before, after = early.history[-1], late.history[-1]
    assert after["validation_loss"] < before["validation_loss"] / 4
    assert before["spread"] < 0.7
    assert after["spread"] == pytest.approx(1, abs=0.15)


def test_a_teacher_may_take_noise_levels():
    *_, teacher = train(network=make_network_config(noise_level_input=True))
    *_, checkpoint = distill(teacher)
    student = prior_from_checkpoint(checkpoint)
    assert student.condition_inputs == ("noise_level", "guidance_scale")
    assert student.embed_noise_scale == 0.5


def test_what_is_measured_is_kept(finished):
    *_, last = distill(finished)
    assert [row["step"] for row in last.history] == [3, 5, 6, 8]
    assert all(
        set(row) == {"step", "loss", "validation_loss", "spread"}
        for row in last.history
    )
    *_, unmeasured = train(val_pairs=0)
    *_, last = distill(unmeasured)
    assert all(set(row) == {"step", "loss"} for row in last.history)


def test_a_student_of_another_teacher_is_another(finished):
    first, *_, last = distill(finished)
    ema = {name: 2 * tensor for name, tensor in finished.ema.items()}
    other = replace(finished, ema=ema)
    with pytest.raises(
        InputError,
        match=r"student_checkpoint of step 5 .*distillation.teacher \(stored",
    ):
        next(distill(other, start=first))
    *_, replaced = distill(other, start=last)
    *_, fresh = distill(other)
    assert_same(replaced, fresh)


def test_an_unfinished_teacher_is_refused(finished):
    with pytest.raises(InputError, match=r"all of its 12 steps, got 5"):
        next(distill(replace(finished, step=5)))


def test_pairs_of_other_models_are_refused(finished):
    pairs = make_pairs()
    other = replace(pairs, recipe={**pairs.recipe, "encoder": "clip@ff"})
    with pytest.raises(
        InputError, match=r"the teacher's encoder, toy-encoder.* clip@ff"
    ):
        next(distill(finished, other))


def test_divergence_names_the_learning_rate(finished):
    with pytest.raises(InputError, match=r"finite.*Lower distillation.lr = 1e\+30"):
        list(distill(finished, lr=1e30, max_it=20))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_distils_on_a_gpu(finished, objective):
    settings = {"objective": objective, "device": "cuda"}
    straight = list(distill(finished, **settings))
    resumed = list(distill(finished, **settings, start=straight[0]))
    torch.testing.assert_close(resumed[-1].ema, straight[-1].ema)
