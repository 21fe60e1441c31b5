import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import prior_from_checkpoint
from clip2latent_kedro.prior.distillation.student import (
    build_student,
    digest_weights,
    one_step,
)
from clip2latent_kedro.prior.distillation.training import describe_settings
from prior.kinds import KINDS
from prior.toy import make_diffusion_config, make_network_config, make_pairs, train

from .worlds import make_config


def build(teacher, **changes):
    settings = describe_settings(
        teacher, make_pairs(), distillation=make_config(), seed=1
    )
    return build_student(teacher, settings, **{"warm_start": True, "seed": 1} | changes)


@pytest.mark.parametrize("noise_level_input", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_start_equals_the_teacher_at_every_scale(kind, noise_level_input):
    network = make_network_config(kind=kind, noise_level_input=noise_level_input)
    *_, checkpoint = train(network=network, max_it=3)
    teacher = prior_from_checkpoint(checkpoint)
    student = build(checkpoint).eval()
    own = teacher.join_condition(torch.randn(3, 4), noise_level=torch.rand(3, 1))
    condition = torch.cat([own, torch.tensor([[1.0], [2.0], [4.0]])], dim=1)
    x_t, t = torch.randn(6, 2, 3), torch.tensor([0, 9, 19])
    with torch.no_grad():
        expected = teacher.predict_x0(x_t, t, own)
        torch.testing.assert_close(student.predict_x0(x_t, t, condition), expected)


def test_the_guidance_scale_can_be_learned_from_a_warm_start():
    *_, checkpoint = train(network=make_network_config(noise_level_input=True))
    student = build(checkpoint)
    x_T = torch.randn(4, 2, 3)
    condition = torch.cat([torch.randn(2, 5), torch.tensor([[1.0], [3.0]])], dim=1)
    one_step(student, x_T, condition).square().sum().backward()
    columns = student.network.embed.weight.grad[:, 33:]  # those of the new scalar
    assert columns.shape[1] == 33
    assert float(columns.abs().max()) > 0


def test_a_cold_start_is_seeded(finished):
    one, same, other = (build(finished, warm_start=False, seed=s) for s in (1, 1, 2))
    weights = [
        digest_weights(prior.network.state_dict()) for prior in (one, same, other)
    ]
    assert weights[0] == weights[1] != weights[2]
    assert weights[0] != digest_weights(build(finished).network.state_dict())


def test_a_teacher_of_noise_gives_no_warm_start():
    diffusion = make_diffusion_config(predict_x_start=False)
    *_, checkpoint = train(diffusion=diffusion, max_it=3)
    with pytest.raises(
        InputError, match=r"warm_start must be false.*predicts the noise"
    ):
        build(checkpoint)
    assert build(checkpoint, warm_start=False).predict_x_start


def test_one_step_is_one_evaluation_at_the_end_of_the_schedule(finished):
    student = build(finished).eval()
    own = student.join_condition(torch.randn(3, 4))
    condition = torch.cat([own, torch.full((3, 1), 2.0)], dim=1)
    x_T = torch.randn(6, 2, 3)
    with torch.no_grad():
        expected = student.denoiser(own, 2.0)(x_T, 19)
        assert torch.equal(one_step(student, x_T, condition), expected)


def test_digest_sees_names_and_values():
    weights = {"a": torch.ones(2), "b": torch.zeros(2)}
    same = {"b": torch.zeros(2), "a": torch.ones(2)}
    assert digest_weights(weights) == digest_weights(same)
    for other in ({**weights, "b": torch.full((2,), 1e-9)}, {"a": weights["a"]}):
        assert digest_weights(weights) != digest_weights(other)
