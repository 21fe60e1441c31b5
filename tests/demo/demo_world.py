"""A service on linear models: a w is a colour, and so are picture and text."""

import io

import numpy as np
from editing.edits import REDDER, StyledColours
from PIL import Image
from world import ColourEncoder, ColourGenerator, make_prior, make_sampling

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.api.parts import EditingParts
from clip2latent_kedro.api.sources import LoadedModels
from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.demo.request import DrawRequest
from clip2latent_kedro.demo.service import Service
from clip2latent_kedro.editing import EditTarget
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.prior.checkpoint import Checkpoint

RED = "1 0 0"
TARGETS = {"green": EditTarget("0 1 0", "0 0 1", name="green")}


class ThreeRows(ColourGenerator):
    """As many rows of w as style mixing takes."""

    num_ws = 3


def make_api(spread=0.5, generator=None, **changes):
    generator = generator or StyledColours()
    models = LoadedModels(
        generator,
        ColourEncoder(),
        make_prior(spread, generator_identity=generator.identity),
        sampling=make_sampling(sampler="ddim"),
        preprocess={},
        references=(None, None),
        checkpoint=Checkpoint(
            step=0,
            settings={"data": {"latent_repeats": [generator.num_ws]}},
            statistics=None,
        ),
        find_editing=lambda: EditingParts(directions={"redder": REDDER}),
        targets=TARGETS,
        neutral="0 0 1",
        inversion=InversionConfig(start="mean", num_steps=20, perceptual_weight=0.0),
        **changes,
    )
    return Clip2StyleGAN(models, "cpu")


def make_service(spread=0.5, **limits):
    return Service(make_api(spread), Limits(**limits))


def make_request(prompt=RED, **changes):
    settings = {"sampler": "ddim", "num_steps": 5, "num_images": 6}
    return DrawRequest(prompt=prompt, **{**settings, **changes})


def draw(service, name="one", prompt=RED, **changes):
    """Return the last that comes of a request."""
    return [*service.draw(name, make_request(prompt, **changes))][-1].drawing


def store(picture, kind="PNG", **options):
    """Return the file of a picture, uint8 [h, w, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format=kind, **options)
    return buffer.getvalue()


def plain(colour, width=16, height=16):
    return np.full((height, width, 3), colour, np.uint8)
