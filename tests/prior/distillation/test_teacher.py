import pytest
import torch

from clip2latent_kedro.prior.checkpoint import prior_from_checkpoint
from clip2latent_kedro.prior.distillation.teacher import SamplePool, Teacher
from clip2latent_kedro.runtime import make_generator
from prior.toy import make_network_config, train

from .worlds import make_batches, make_config, make_teacher, ode_end


@pytest.fixture(scope="module")
def noise_aware():
    """A toy teacher that is told the noise level of its condition."""
    *_, checkpoint = train(network=make_network_config(noise_level_input=True))
    return prior_from_checkpoint(checkpoint)


def test_samples_are_where_the_guided_ode_ends():
    teacher = make_teacher(teacher_steps=200)
    generator = make_generator(0)
    _, embedding = make_batches()(1)
    samples = teacher.sample(teacher.random_condition(embedding, generator), generator)
    assert len(samples.x0) == 8 * 32
    expected = ode_end(samples.condition, samples.x_T)
    torch.testing.assert_close(samples.x0, expected, atol=3e-3, rtol=0)


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_the_guided_prediction_is_that_of_sampling(noise_aware, scale):
    own = noise_aware.join_condition(torch.randn(3, 4), noise_level=0.3)
    condition = torch.cat([own, torch.full((3, 1), scale)], dim=1)
    teacher = Teacher(noise_aware, make_config(), seed=0)
    x_t = torch.randn(6, 2, 3)
    expected = noise_aware.denoiser(own, scale)(x_t, 7)
    for t in (torch.tensor([7]), torch.full((3,), 7)):
        torch.testing.assert_close(teacher.predict_x0(x_t, t, condition), expected)


def test_each_condition_has_its_own_scale_and_timestep(noise_aware):
    own = noise_aware.join_condition(torch.randn(2, 4))
    condition = torch.cat([own, torch.tensor([[1.5], [3.0]])], dim=1)
    x_t = torch.randn(4, 2, 3)
    t = torch.tensor([4, 11])
    both = Teacher(noise_aware, make_config(), seed=0).predict_x0(x_t, t, condition)
    for row, scale in enumerate((1.5, 3.0)):
        part = slice(2 * row, 2 * row + 2)
        alone = noise_aware.denoiser(own[row : row + 1], scale)(x_t[part], int(t[row]))
        torch.testing.assert_close(both[part], alone)


def test_conditions_cover_noise_levels_scales_and_mixtures(noise_aware):
    embedding = 3 * torch.randn(4000, 4)
    config = make_config(guidance_range=[1.0, 3.0], mix=0.0)
    condition = Teacher(noise_aware, config, seed=0).random_condition(
        embedding, make_generator(0)
    )
    noisy, level, scale = condition.split([4, 1, 1], dim=1)
    torch.testing.assert_close(noisy.norm(dim=1), embedding.norm(dim=1))
    for column, low, high in ((level, 0, 0.5), (scale, 1, 3)):
        assert float(column.min()) == pytest.approx(low, abs=0.01)
        assert float(column.max()) == pytest.approx(high, abs=0.01)
        assert float(column.mean()) == pytest.approx((low + high) / 2, abs=0.05)
    cosine = torch.cosine_similarity(noisy, embedding)
    assert float(cosine.min()) > (1 - 0.5**2) ** 0.5 - 1e-3  # the most of 0.5 at 90°
    assert float(torch.corrcoef(torch.stack([cosine, level[:, 0]]))[0, 1].abs()) < 0.1


def test_a_mixture_lies_between_neighbours_in_the_batch():
    teacher = make_teacher(mix=1.0)
    teacher.prior.embed_noise_scale = 0.0
    embedding = torch.eye(16)[:3] * 5
    condition = teacher.random_condition(embedding, make_generator(0))[:, :-1]
    torch.testing.assert_close(condition.norm(dim=1), torch.full((3,), 5.0))
    assert torch.equal(condition[:, 3:], torch.zeros(3, 13))
    own, partner = condition.diagonal(), condition[[0, 1, 2], [2, 0, 1]]
    torch.testing.assert_close(own**2 + partner**2, torch.full((3,), 25.0))
    assert (partner > 0).all()


def test_the_pool_uses_each_batch_as_often_as_set():
    teacher = make_teacher(pool_batches=3, pool_uses=2, teacher_steps=2)
    pool = SamplePool(teacher, make_batches())
    steps = [pool.samples(step) for step in range(1, 13)]
    assert len({float(samples.x_T.sum()) for samples in steps}) == 6
    samples = [samples.x0 for samples in steps]
    for first in (0, 6):
        new, again = samples[first : first + 3], samples[first + 3 : first + 6]
        assert sorted(id(x0) for x0 in new) == sorted(id(x0) for x0 in again)
    assert len({id(x0) for x0 in samples}) == 6
    assert len({float(x0.sum()) for x0 in samples}) == 6


@pytest.mark.parametrize("step", [2, 4, 5, 6, 7, 11])
def test_samples_are_a_function_of_the_step(step):
    def start():
        teacher = make_teacher(pool_batches=3, pool_uses=2, teacher_steps=2)
        return SamplePool(teacher, make_batches())

    straight = start()
    for earlier in range(1, step):
        straight.samples(earlier)
    expected, resumed = straight.samples(step), start().samples(step)
    for name in ("condition", "x_T", "x0"):
        assert torch.equal(getattr(resumed, name), getattr(expected, name))
