from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from clip2latent_kedro.datasets import ModelDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.worlds.portraits import judge as judge_module
from clip2latent_kedro.worlds.portraits.attributes import (
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.renderer import render

WEIGHTS = Path(judge_module.__file__).parent / "weights" / "judge.safetensors"


@pytest.fixture(scope="module")
def encoder():
    dataset = ModelDataset(role="encoder", kind="judge_features", filepath=str(WEIGHTS))
    return dataset.load()


def test_it_is_an_encoder_that_is_not_the_judge(encoder):
    judge = judge_module.load_judge(WEIGHTS, {})
    assert isinstance(encoder, Encoder)
    assert encoder.embed_dim == 256
    assert encoder.identity.name == "judge_features"
    assert encoder.identity.digest == judge.identity.digest


def test_features_are_what_the_heads_read_centred_and_scaled(encoder):
    network = judge_module.load_judge(WEIGHTS, {}).network
    image = render(sample_z(300, make_generator(0)))
    read = []
    handle = network.heads.register_forward_pre_hook(lambda _, x: read.append(x[0]))
    network(image)
    handle.remove()
    features = encoder.encode_image(image)
    difference = features[1:] - features[:1]
    expected = read[0][1:] - read[0][:1]
    scale = expected.norm() / difference.norm()
    torch.testing.assert_close(difference * scale, expected, atol=1e-3, rtol=1e-3)
    assert features.mean(dim=0).norm() < 0.15
    assert features.square().sum(dim=1).mean().item() == pytest.approx(1, abs=0.1)


def test_one_picture_gets_the_features_that_it_gets_among_others(encoder):
    image = render(sample_z(300, make_generator(1)))
    alone = encoder.encode_image(image[7:8])
    torch.testing.assert_close(
        encoder.encode_image(image)[7:8], alone, atol=1e-5, rtol=0
    )


def test_the_nearest_portraits_share_attributes(encoder):
    z = sample_z(800, make_generator(2))
    labels = labels_of(z)
    features = F.normalize(
        torch.cat([encoder.encode_image(render(rows)) for rows in z.split(300)]), dim=1
    )
    cosine = features[:200] @ features[200:].T
    nearest = labels[200:][cosine.argmax(dim=1)]
    seen = visible_mask(labels[:200])
    shared = ((nearest == labels[:200]) & seen).sum() / seen.sum()
    chance = ((labels[200:400] == labels[:200]) & seen).sum() / seen.sum()
    assert shared > chance + 0.3


def test_texts_are_refused(encoder):
    with pytest.raises(InputError, match=r"pictures and no text, got 'a man"):
        encoder.encode_text(["a man"])
