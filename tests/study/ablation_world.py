"""An ablation of three colours, with priors that train in milliseconds."""

from dataclasses import replace

import torch
from prior.toy import make_data_config, make_diffusion_config, make_network_config
from prior.toy import make_train_config as _make_train_config
from world import (
    TurnedEncoder,
    make_colour_pairs,
    make_models,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.study.ablation.config import OWN, AblationConfig, OwnConfig
from clip2latent_kedro.study.ablation.plan import (
    Ablation,
    AblationQueries,
    read_pictures,
)

NUM_KEPT = 10


def make_data(**changes):
    settings = {"n_latents": 1, "latent_repeats": [2], **changes}
    return make_data_config(**settings)


def make_train(**changes):
    return _make_train_config(**{"val_pairs": NUM_KEPT, "max_it": 4, **changes})


def make_base(**changes):
    groups = {
        "sampling": make_sampling(),
        "data": make_data(),
        "model.network": make_network_config(),
        "model.diffusion": make_diffusion_config(),
        "train": make_train(),
        OWN: OwnConfig(),
    }
    return {**groups, **changes}


def make_config(studies, **changes):
    settings = {
        "num_prompts": 3,
        "num_samples": 2,
        "num_seeds": 2,
        "confidence": 0.95,
        "strip_prompts": 2,
        "budget": "short",
        "budgets": {"short": {"train.max_it": 3}, "long": {"train.max_it": 6}},
        "only": None,
        "studies": studies,
    }
    return AblationConfig(**{**settings, **changes})


def make_ablation(studies, spread=0.0, seed=0, **changes):
    pairs = make_colour_pairs()
    kept = tuple(map(torch.from_numpy, pairs.take(slice(-NUM_KEPT, -NUM_KEPT + 3))))
    own = TrainingPairs(*pairs.take(slice(0, -NUM_KEPT)), pairs.recipe)
    models = make_models(spread, training_pairs=own)
    seen = replace(models, held_out=TurnedEncoder())
    pictures = read_pictures(seen, kept, strip_prompts=2, stored_image_size=64)
    return Ablation(
        make_config(studies, **changes),
        models,
        AblationQueries(make_queries(), *pictures),
        seed=seed,
        stored_image_size=64,
    )
