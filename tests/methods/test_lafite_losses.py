"""LAFITE's loss terms and its discriminator, against their definitions."""

from math import exp, log, sqrt

import pytest
import torch
from generators.reference import dense, lrelu, outer, upfirdn
from torch.nn import functional as F

from clip2latent_kedro.methods.lafite.discriminator import (
    Discriminator,
    DiscriminatorConfig,
    append_deviation,
)
from clip2latent_kedro.methods.lafite.losses import (
    conditional_logits,
    contrastive_loss,
    gradient_penalty,
)
from clip2latent_kedro.methods.lafite.trainer import pseudo_text


def normal(*shape, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("form", ["released", "corrected"])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_contrast_is_the_cross_entropy_of_cosines(form, lam):
    """Sums and logarithms written out, pair by pair."""
    image, text, temperature = normal(4, 6), normal(4, 6, seed=1), 0.5

    def logit(i, j):
        cosine = float(image[i] @ text[j] / (image[i].norm() * text[j].norm()))
        scaled = cosine / temperature
        return exp(scaled) if form == "released" else scaled

    total = 0.0
    for i in range(4):
        for_text = log(sum(exp(logit(i, j)) for j in range(4))) - logit(i, i)
        for_image = log(sum(exp(logit(j, i)) for j in range(4))) - logit(i, i)
        total += (lam * for_text + (1 - lam) * for_image) / 4
    made = contrastive_loss(
        7 * image, text / 3, temperature=temperature, lam=lam, form=form
    )
    assert made.item() == pytest.approx(total, rel=1e-12)


def test_the_discriminator_adds_products_of_its_features_with_the_text():
    logits = torch.tensor([1.0, 2.0])
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    text = torch.tensor([[0.6, 0.8], [1.0, 0.0]])
    own = conditional_logits(logits, features, text, "corrected")
    torch.testing.assert_close(own, torch.tensor([3.2, 5.0]))
    released = conditional_logits(logits, features, text, "released")
    torch.testing.assert_close(released, torch.tensor([6.2, 7.2]))


def test_the_penalty_is_the_squared_gradient_and_can_be_learnt_from():
    """Of D(x) = sum(a x^2), the gradient is 2 a x."""
    image = normal(3, 2, 4, 4).requires_grad_(True)
    factor = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty((factor * image.square()).sum((1, 2, 3)), image)
    squares = image.detach().square().sum() / 3
    torch.testing.assert_close(penalty, 4 * 1.5**2 * squares)
    penalty.backward()
    torch.testing.assert_close(factor.grad, 8 * 1.5 * squares)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.75])
def test_a_pseudo_text_mixes_unit_vectors(share):
    embedding, noise = 9 * normal(5, 7), normal(5, 7, seed=1)
    made = pseudo_text(embedding, noise, share)
    for e, n, h in zip(embedding, noise, made, strict=True):
        mixed = (1 - share) * e / e.norm() + share * n / n.norm()
        torch.testing.assert_close(h, mixed / mixed.norm())


def test_three_quarters_of_noise_leave_a_cosine_of_a_third():
    embedding, noise = normal(4000, 512), normal(4000, 512, seed=1)
    cosine = F.cosine_similarity(pseudo_text(embedding, noise, 0.75), embedding)
    assert cosine.mean().item() == pytest.approx(1 / sqrt(10), abs=2e-3)


def test_the_deviation_is_that_of_groups_of_four():
    x = normal(8, 3, 2, 2)
    made = append_deviation(x)
    torch.testing.assert_close(made[:, :3], x)
    for first in (0, 1):
        group = x[first::2]
        expected = (group.var(0, correction=0) + 1e-8).sqrt().mean()
        for image in made[first::2, 3]:
            torch.testing.assert_close(image, expected.expand(2, 2))
    odd = append_deviation(x[:3])[:, 3]
    deviation = (x[:3].var(0, correction=0) + 1e-8).sqrt().mean()
    torch.testing.assert_close(odd, deviation.expand(3, 2, 2))


def test_the_discriminator_is_stylegan2s():
    """The layers written out: filters as convolutions, every second sample kept."""
    torch.manual_seed(0)
    config = DiscriminatorConfig(
        resolution=16, channel_base=64, channel_max=6, text_dim=5
    )
    network = Discriminator(config).double()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.normal_()
    t = network.state_dict()
    image = normal(4, 3, 16, 16)

    def convolve(name, x, *, down=False):
        weight = t[f"{name}.weight"]
        size = weight.shape[-1]
        weight = weight / sqrt(weight[0].numel())
        bias = t.get(f"{name}.bias")
        if not down:
            return F.conv2d(x, weight, bias, padding=size // 2)
        num = 2 if size == 3 else 1
        x = upfirdn(x, outer((1, 3, 3, 1)), pad=(num, num))
        return F.conv2d(x, weight, bias)[:, :, ::2, ::2]

    x = lrelu(convolve("from_rgb", image))
    for index in range(2):
        name = f"blocks.{index}"
        y = lrelu(convolve(f"{name}.conv0", x))
        y = lrelu(convolve(f"{name}.conv1", y, down=True))
        x = (y + convolve(f"{name}.skip", x, down=True)) / sqrt(2)
    assert x.shape == (4, 6, 4, 4)
    deviation = (x.var(0, correction=0) + 1e-8).sqrt().mean()
    x = torch.cat([x, deviation.expand(4, 1, 4, 4)], dim=1)
    x = lrelu(convolve("conv", x)).flatten(1)
    x = lrelu(dense(x, t["fc.weight"], t["fc.bias"]))
    logits, features = network(image)
    torch.testing.assert_close(logits, dense(x, t["out.weight"], t["out.bias"])[:, 0])
    torch.testing.assert_close(features, dense(x, t["text.weight"], t["text.bias"]))
