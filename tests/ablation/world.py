"""A bench of three colours, with priors that train in milliseconds."""

import torch
from linear_models import (
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    TurnedEncoder,
    make_colour_pairs,
    make_prior,
    make_queries,
    make_sampling,
)
from prior.toy import make_data_config, make_diffusion_config, make_network_config
from prior.toy import make_train_config as _make_train_config

from clip2latent_kedro.ablation import Bench, Settings
from clip2latent_kedro.ablation.bench import image_queries
from clip2latent_kedro.latents import fit_gaussian
from clip2latent_kedro.pairs import TrainingPairs

NUM_KEPT = 10


def make_data(**changes):
    settings = {"n_latents": 1, "latent_repeats": [2], **changes}
    return make_data_config(**settings)


def make_train(**changes):
    return _make_train_config(**{"val_pairs": NUM_KEPT, "max_it": 4, **changes})


def make_settings(**changes):
    settings = {
        "sampling": make_sampling(),
        "data": make_data(),
        "network": make_network_config(),
        "diffusion": make_diffusion_config(),
        "train": make_train(),
    }
    return Settings(**{**settings, **changes})


def make_bench(spread=0.0):
    pairs = make_colour_pairs()
    w, embedding = (array[-NUM_KEPT:] for array in (pairs.w, pairs.clip_embedding))
    images, given = image_queries(
        torch.from_numpy(w[:3]),
        torch.from_numpy(embedding[:3]),
        ColourGenerator(),
        TurnedEncoder(),
        ColourJudge(),
        [2],
        strip_prompts=2,
        stored_image_size=64,
    )
    own = TrainingPairs(
        pairs.w[:-NUM_KEPT], pairs.clip_embedding[:-NUM_KEPT], pairs.recipe
    )
    return Bench(
        generator=ColourGenerator(),
        encoder=ColourEncoder(),
        embedder=ColourEncoder(),
        held_out=None,
        judge=ColourJudge(),
        prior=make_prior(spread),
        pairs=own,
        gaussian=fit_gaussian(torch.from_numpy(own.w)),
        texts=make_queries(),
        images=images,
        given=given,
        latent_repeats=[2],
        latent_batch_size=1024,
        image_batch_size=64,
        stored_image_size=64,
        device="cpu",
    )
