"""The models of every world go to other processes and answer there as here."""

import pickle
from pathlib import Path

import pytest
import torch
from world import seeded

from clip2latent_kedro.downloads.packages import package_folder
from clip2latent_kedro.interfaces import Judge
from clip2latent_kedro.project import open_project

ROOT = Path(__file__).parents[1]
NEEDS_FACES = pytest.mark.skipif(
    package_folder("gan_face_generate") is None, reason="needs the extra faces"
)


@pytest.mark.parametrize(
    "env",
    [
        "base",
        "vae",
        "features",
        pytest.param("faces", marks=NEEDS_FACES),
        pytest.param("faces_identity", marks=NEEDS_FACES),
    ],
)
@torch.inference_mode()
def test_models_that_travelled_give_the_same_bits(env):
    catalog = open_project(ROOT, env).catalog
    generator, encoder = (catalog.load(name) for name in ("generator", "encoder"))
    judge = catalog.load("judge")
    z = torch.randn(4, generator.z_dim, generator=seeded())

    def answers(generator, encoder, judge):
        w = generator.mapping(z)
        image = generator.synthesis(w, noise_mode="const").float()
        seen = judge.classify(image) if isinstance(judge, Judge) else torch.empty(0)
        return w, image, encoder.encode_image(image), seen

    travelled = pickle.loads(pickle.dumps((generator, encoder, judge)))  # noqa: S301
    for found, expected in zip(
        answers(*travelled), answers(generator, encoder, judge), strict=True
    ):
        assert torch.equal(found, expected)
