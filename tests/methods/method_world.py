"""Models that methods are tried with."""

from dataclasses import replace

import numpy as np
from world import (
    ColourEncoder,
    ColourGenerator,
    make_colour_pairs,
    make_prior,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods import METHODS, make_settings
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig

SEARCH = OptimisationConfig(
    start="mean", num_steps=40, lr=0.05, record_steps=[0, 10, 40]
)


class EchoText:
    """A generator that draws the colours of the text, brightened by z."""

    z_dim, text_dim = 2, 3
    training_seconds = 60.0
    training_images = 16_000
    identity = Identity("echo", "44")

    def sample(self, z, text_embedding, *, psi):
        colour = text_embedding / 4 + psi * z.mean(dim=1, keepdim=True) / 8
        return colour[:, :, None, None].expand(-1, -1, 4, 4)

    def check_encoder(self, identity):
        if identity.name == "another" or identity.digest == "12":
            raise InputError("It must be given texts by colours.")

    def to(self, device):
        return self


class WideText(EchoText):
    text_dim = 9


GROUPS = {
    "sampling": make_sampling(),
    "baselines.optimisation.refine": replace(SEARCH, start="samples"),
    **{
        f"baselines.optimisation.{name}": SEARCH
        for name in ("strong", "article", "styleclip")
    },
}
REFERENCES = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 4, 3), np.uint8)
Z = np.random.default_rng(0).standard_normal((3, 4, 3)).astype(np.float32)


def make_models():
    return Models(
        generator=ColourGenerator(),
        encoder=ColourEncoder(),
        embedder=ColourEncoder(),
        priors={"prior": make_prior(0.5)},
        latent_repeats=[2],
        latent_batch_size=64,
        image_batch_size=64,
        sampling=make_sampling(),
        training_pairs=make_colour_pairs(),
        reference_images=REFERENCES,
        reference_z=Z,
        lafite=EchoText(),
    )


def build(models, method, **overrides):
    settings = make_settings("row", overrides, GROUPS, method)
    return METHODS[method].build(settings, models, make_queries())
