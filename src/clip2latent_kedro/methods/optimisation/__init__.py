"""Latents found by gradient descent on CLIP's own score, one search for each sample.

One loop (`loop`), whose start, coordinates, loss, views and bounds are settings
(`config`). `optimise` searches from nothing but the text; `refine` goes on from samples
of another method, such as a prior.

Of StyleCLIP (Patashnik et al. 2021, section 4) this is the optimisation with
lambda_ID = 0: its identity loss takes a network for faces, which this project has not.
"""

from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.methods.optimisation.coordinates import (
    fit_generator_gaussian,
    repeat_gaussian,
)
from clip2latent_kedro.methods.optimisation.loop import (
    OptimisedLatents,
    optimise_latents,
)
from clip2latent_kedro.methods.optimisation.methods import optimise, refine

__all__ = [
    "OptimisationConfig",
    "OptimisedLatents",
    "fit_generator_gaussian",
    "optimise",
    "optimise_latents",
    "refine",
    "repeat_gaussian",
]
