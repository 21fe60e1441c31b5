"""The judge's convolutions as a perceptual loss, and the catalog's ways to have one."""

import pytest
import torch
from projects import open_config
from shipped import WEIGHTS
from torch import nn
from world import seeded

from clip2latent_kedro.datasets import ModelDataset
from clip2latent_kedro.interfaces import PerceptualLoss


@pytest.fixture(scope="module")
def loss():
    entry = open_config()["catalog"]["perceptual"]
    assert entry["kind"] == "judge"
    return ModelDataset(
        role="perceptual", kind="judge", filepath=str(WEIGHTS / "judge.safetensors")
    ).load()


def test_the_distance_is_that_of_unit_features_after_each_stage(loss):
    """In float64, stage by stage: a stage ends before the next stride of 2."""
    one, other = 2 * torch.rand(2, 2, 3, 64, 64, generator=seeded()) - 1
    stages = nn.Sequential(*loss.network.features).double()
    expected = torch.zeros(2, dtype=torch.float64)
    x, y = one.double(), other.double()
    for first in (0, 6, 12):
        x, y = stages[first : first + 6](x), stages[first : first + 6](y)
        unit = [z / z.norm(dim=1, keepdim=True).clamp_min(1e-9) for z in (x, y)]
        square = (unit[0] - unit[1]).square().sum(dim=1)
        expected += square.mean(dim=(1, 2)) / 3
    stages.float()
    found = (loss.features(one) - loss.features(other)).square().sum(dim=1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=0)


def test_it_is_zero_of_a_picture_itself_and_has_gradients(loss):
    assert isinstance(loss, PerceptualLoss)
    image = torch.rand(1, 3, 64, 64, generator=seeded()).requires_grad_()
    wanted = loss.features(torch.zeros(1, 3, 64, 64))
    square = (loss.features(image) - wanted).square().sum()
    (gradient,) = torch.autograd.grad(square, image)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("env", "overrides", "kind"),
    [
        ("base", {}, "judge"),
        ("ffhq", {}, "lpips"),
        ("lhq", {}, "lpips"),
        ("base", {"editing": {"inversion": {"perceptual": "pixels"}}}, "pixels"),
    ],
)
def test_the_catalog_chooses_by_the_parameter(env, overrides, kind):
    config = open_config(env, **overrides)
    entry = dict(config["catalog"]["perceptual"])
    assert entry.pop("kind") == kind
    assert config["parameters"]["editing"]["inversion"]["perceptual"] == kind
    assert entry["type"].endswith("ModelDataset")


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (
            {"role": "perceptual", "kind": "lpips", "options": {"heads": "none"}},
            "lpips",
        ),
        ({"role": "encoder", "kind": "arcface"}, "arcface"),
    ],
)
def test_what_cannot_be_had_here_may_be_missing(entry, kind, tmp_path):
    path = str(tmp_path / f"{kind}.pth")
    assert ModelDataset(filepath=path, missing_ok=True, **entry).load() is None
