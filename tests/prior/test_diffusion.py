import pytest
import torch
from torch import nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.prior.diffusion import (
    DiffusionPrior,
    check_identity,
    perturb_embedding,
    prior_space,
)
from clip2latent_kedro.prior.network import build_network
from clip2latent_kedro.schedules import cosine_alpha_bar

from .kinds import KINDS
from .toy import make_network_config


def make_prior(kind="clip2latent", **settings):
    torch.manual_seed(0)
    num_scalars = len(settings.get("condition_inputs", ()))
    network = build_network(make_network_config(kind=kind), 2, 3, 5, num_scalars)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    statistics = LatentStatistics(torch.zeros(2, 3), torch.ones(2, 3))
    prior = DiffusionPrior(network, cosine_alpha_bar(20), statistics, **settings)
    return prior.double().requires_grad_(False)


def random_tensor(*shape):
    return torch.randn(shape, dtype=torch.float64)


def count_rows(prior):
    """Return a list to which each pass of the network adds its number of rows."""
    rows = []
    prior.network.register_forward_hook(
        lambda module, inputs, output: rows.append(len(output))
    )
    return rows


@pytest.mark.parametrize("scale", [0.25, 0.75, 1.0, 3.0])
def test_embedding_noise_keeps_the_norm_and_has_the_expected_cosine(scale):
    """A unit vector and orthogonal noise of length s give cos = 1 / sqrt(1 + s^2)."""
    torch.manual_seed(0)
    embedding = torch.tensor([[3.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    orthogonal = torch.tensor([[0.0, 0.0, 9.0, 0.0]], dtype=torch.float64)
    turned = perturb_embedding(embedding, scale, orthogonal)
    assert float(turned[0, 0]) == pytest.approx(3 / (1 + scale**2) ** 0.5)

    many = 10 * torch.randn(2000, 512, dtype=torch.float64)
    turned = perturb_embedding(many, scale, torch.randn_like(many))
    torch.testing.assert_close(turned.norm(dim=-1), many.norm(dim=-1))
    cosine = torch.cosine_similarity(turned, many).mean()
    assert float(cosine) == pytest.approx((1 + scale**2) ** -0.5, abs=3e-3)


def test_each_embedding_may_have_noise_of_its_own():
    embedding, noise = 10 * random_tensor(4, 64), random_tensor(4, 64)
    levels = torch.tensor([[0.0], [0.5], [1.0], [3.0]], dtype=torch.float64)
    turned = perturb_embedding(embedding, levels, noise)
    for row, level in enumerate(levels[:, 0].tolist()):
        alone = perturb_embedding(embedding[[row]], level, noise[[row]])
        torch.testing.assert_close(turned[[row]], alone)
    # cos = (1 + s c) / sqrt(1 + s^2 + 2 s c) for noise at cosine c to the embedding
    s, c = levels[:, 0], torch.cosine_similarity(embedding, noise)
    cosine = torch.cosine_similarity(turned, embedding)
    torch.testing.assert_close(cosine, (1 + s * c) / (1 + s**2 + 2 * s * c).sqrt())
    torch.testing.assert_close(turned.norm(dim=-1), embedding.norm(dim=-1))


def test_no_embedding_noise_changes_nothing():
    embedding, noise = 10 * torch.randn(3, 64), torch.randn(3, 64)
    for nothing in (0, torch.zeros(3, 1)):
        turned = perturb_embedding(embedding, nothing, noise)
        torch.testing.assert_close(turned, embedding, rtol=1e-6, atol=1e-6)


def test_forward_process_has_the_marginals_of_the_schedule():
    """Unit noise on a constant x0 has mean sqrt(bar) x0 and variance 1 - bar."""
    prior = make_prior()
    t = torch.arange(20)
    x0 = torch.full((20, 2, 3), 1.5, dtype=torch.float64)
    mean = prior.q_sample(x0, t, torch.zeros_like(x0))
    std = prior.q_sample(x0, t, torch.ones_like(x0)) - mean
    bar = cosine_alpha_bar(20)[:, None, None].expand_as(x0)
    torch.testing.assert_close(mean, bar.sqrt() * x0)
    torch.testing.assert_close(std**2, 1 - bar)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("predicts_x0", [True, False])
def test_guidance_is_the_two_passes_combined(kind, predicts_x0):
    prior = make_prior(kind, predict_x_start=predicts_x0, text_embed_scale=2.0)
    x_t, t = random_tensor(4, 2, 3), torch.full((4,), 11)
    condition = prior.join_condition(random_tensor(4, 5))
    hide = torch.zeros(4, dtype=torch.bool)
    conditional = prior.predict_x0(x_t, t, condition)
    unconditional = prior.predict_x0(x_t, t, condition, hide)
    for scale in (0.0, 0.5, 1.0, 2.0, 5.0):
        expected = unconditional + scale * (conditional - unconditional)
        torch.testing.assert_close(prior.denoiser(condition, scale)(x_t, 11), expected)


@pytest.mark.parametrize("is_negative", [False, True])
@pytest.mark.parametrize(("scale", "rows"), [(0.0, 6), (1.0, 6), (2.0, 12), (0.5, 12)])
def test_guidance_takes_one_pass(scale, rows, is_negative):
    """Of both branches at once, or of the one that counts."""
    prior = make_prior()
    passes = count_rows(prior)
    negative = random_tensor(3, 5) if is_negative else None
    prior.denoiser(random_tensor(3, 5), scale, negative=negative)(
        random_tensor(6, 2, 3), 3
    )
    assert passes == [rows]


def test_guidance_may_differ_by_timestep():
    prior = make_prior()
    x_t, condition = random_tensor(4, 2, 3), random_tensor(4, 5)
    scales = {19: 1.0, 12: 3.5, 5: 0.0}
    passes = count_rows(prior)
    scheduled = prior.denoiser(condition, scales)
    drawn = {t: scheduled(x_t, t) for t in scales}
    assert passes == [4, 8, 4]
    for t, scale in scales.items():
        torch.testing.assert_close(drawn[t], prior.denoiser(condition, scale)(x_t, t))


def test_negative_condition_stands_in_for_none():
    prior = make_prior()
    x_t, t = random_tensor(6, 2, 3), torch.full((2,), 11)
    condition, negative = random_tensor(2, 2, 5)
    wanted = prior.predict_x0(x_t, t, condition)
    unwanted = prior.predict_x0(x_t, t, negative)
    for scale in (0.0, 0.5, 1.0, 3.0):
        guided = prior.denoiser(condition, scale, negative=negative)(x_t, 11)
        torch.testing.assert_close(guided, unwanted + scale * (wanted - unwanted))


@pytest.mark.parametrize(
    "inputs", [("guidance_scale",), ("noise_level", "guidance_scale")]
)
def test_distilled_prior_is_told_the_scale(inputs):
    """It is the last column, and takes one pass that hides nothing, at any scale."""
    prior = make_prior(condition_inputs=inputs)
    x_t, t = random_tensor(6, 2, 3), torch.full((2,), 11)
    condition = prior.join_condition(random_tensor(2, 5), noise_level=0.25)
    passes = count_rows(prior)
    for scale in (0.0, 1.0, 2.5):
        told = torch.cat([condition, torch.full((2, 1), scale).double()], dim=1)
        expected = prior.network(x_t, t, told, None)
        passes.clear()
        for given in (scale, {11: scale}):
            drawn = prior.denoiser(condition, given)(x_t, 11)
            torch.testing.assert_close(drawn, expected)
        assert passes == [6, 6]


def test_distilled_prior_takes_no_negative_condition():
    prior = make_prior(condition_inputs=("guidance_scale",))
    with pytest.raises(InputError, match="guided while it samples, got a distilled"):
        prior.denoiser(random_tensor(2, 5), 2.0, negative=random_tensor(2, 5))


def test_condition_has_the_inputs_of_the_network():
    embedding, levels = random_tensor(3, 5), torch.tensor([[0.0], [0.5], [2.0]])
    prior = make_prior(text_embed_scale=3.0)
    assert torch.equal(prior.join_condition(embedding, noise_level=7.0), 3 * embedding)
    prior = make_prior(text_embed_scale=3.0, condition_inputs=("noise_level",))
    joined = prior.join_condition(embedding, noise_level=levels)
    assert torch.equal(joined, torch.cat([3 * embedding, levels], dim=1))
    joined = prior.join_condition(embedding, noise_level=0.5)
    assert joined[:, 5].tolist() == [0.5] * 3
    assert joined.dtype == torch.float64


def test_noise_prediction_is_turned_into_x0():
    """A network that knows the noise gives x0 back, and its loss is zero."""
    noise = random_tensor(4, 2, 3)
    prior = make_prior(predict_x_start=False)
    prior.network = KnownOutput(noise)
    x0, t = random_tensor(4, 2, 3), torch.tensor([0, 3, 9, 18])
    condition = torch.ones(4, 5, dtype=torch.float64)
    x_t = prior.q_sample(x0, t, noise)
    torch.testing.assert_close(prior.predict_x0(x_t, t, condition), x0)
    assert prior.loss(x0, condition, t=t, noise=noise, keep=None) == 0


@pytest.mark.parametrize("znorm_latent", [True, False])
def test_prior_space_goes_there_and_back(znorm_latent):
    statistics = LatentStatistics(torch.randn(2, 3), torch.rand(2, 3) + 0.5)
    space = prior_space(statistics, znorm_latent=znorm_latent, image_embed_scale=2.0)
    w = torch.randn(5, 2, 3)
    x0 = space.normalise(w)
    expected = statistics.normalise(w) if znorm_latent else w
    torch.testing.assert_close(x0, 2 * expected)
    torch.testing.assert_close(space.denormalise(x0), w)


def test_models_of_another_training_are_refused():
    own = Identity("own-generator", "1" * 64)
    other = Identity("other-generator", "2" * 64)
    encoder = Identity("encoder", "3" * 64)
    prior = make_prior(generator_identity=own, encoder_identity=encoder)
    check_identity(prior, own, encoder)
    check_identity(prior, Identity("renamed", own.digest), None)
    with pytest.raises(InputError, match=r"own-generator@1111.*other-generator@2222"):
        check_identity(prior, other, encoder)
    with pytest.raises(InputError, match=r"the encoder encoder@3333.*own-generator"):
        check_identity(prior, own, own)


class KnownOutput(nn.Module):
    """A network that always gives the same output."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x_t, t, condition, keep):
        return self.output


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("predict_x_start", [True, False])
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_a_condition_may_hold_for_several_latents_in_a_row(
    kind, predict_x_start, scale
):
    prior = make_prior(kind, predict_x_start=predict_x_start)
    x_t, embedding = random_tensor(6, 2, 3), random_tensor(2, 5)
    shared = prior.denoiser(embedding, scale)(x_t, 7)
    own = prior.denoiser(embedding.repeat_interleave(3, dim=0), scale)(x_t, 7)
    torch.testing.assert_close(shared, own)
