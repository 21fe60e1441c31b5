"""A toy prior and its training, small enough for milliseconds."""

import numpy as np
import torch

from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics, measure_statistics
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.config import PriorSettings, TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.training import train_prior

GENERATOR = Identity("toy-generator", "a" * 64)
ENCODER = Identity("toy-encoder", "b" * 64)


def make_pairs(num_pairs=50, num_latents=2, w_dim=3, clip_dim=4, seed=0):
    """Pairs whose embedding is linear in w; row i starts with the number i."""
    rng = np.random.default_rng(seed)
    w = 2 * rng.standard_normal((num_pairs, num_latents, w_dim), np.float32) + 1
    w[:, 0, 0] = np.arange(num_pairs)
    mixing = rng.standard_normal((num_latents * w_dim, clip_dim), np.float32)
    recipe = {
        "n_samples": num_pairs,
        "generator": f"{GENERATOR.name}@{GENERATOR.digest}",
        "encoder": f"{ENCODER.name}@{ENCODER.digest}",
        "versions": {"torch": "0"},
    }
    return TrainingPairs(w, w.reshape(num_pairs, -1) @ mixing, recipe)


def make_network_config(**changes):
    settings = {
        "kind": "mlp",
        "dim": 8,
        "num_timesteps": 20,
        "depth": 2,
        "dim_head": 4,
        "heads": 2,
    }
    return NetworkConfig(**{**settings, **changes})


def make_diffusion_config(**changes):
    settings = {
        "cond_drop_prob": 0.2,
        "image_embed_scale": 1.0,
        "text_embed_scale": 1.0,
        "beta_schedule": "cosine",
        "predict_x_start": True,
    }
    return DiffusionConfig(**{**settings, **changes})


def make_train_config(**changes):
    settings = {
        "max_it": 12,
        "val_it": 3,
        "val_pairs": 6,
        "best_by": "validation_loss",
        "save_it": 5,
        "lr": 1e-2,
        "lr_decay": "none",
        "warmup_it": 0,
        "weight_decay": 0.01,
        "clip_grad": None,
        "accumulate": 1,
        "precision": "float32",
        "compile": False,
        "ema_update_every": 2,
        "ema_beta": 0.99,
        "ema_power": 0.75,
        "znorm_latent": True,
        "buffer_pairs": 1000,
    }
    return TrainConfig(**{**settings, **changes})


def make_data_config(**changes):
    settings = {
        "bs": 8,
        "embed_noise_scale": 0.5,
        "clip_variant": "toy-encoder",
        "n_latents": 2,
        "latent_dim": 3,
        "latent_repeats": [1, 1],
    }
    return DataConfig(**{**settings, **changes})


def train(
    pairs=None,
    *,
    network=None,
    diffusion=None,
    data=None,
    start=None,
    device="cpu",
    text_mean=None,
    validate=None,
    group=None,
    **changes,
):
    """Train the toy prior; `changes` are those of its TrainConfig."""
    pairs = make_pairs() if pairs is None else pairs
    statistics = measure_statistics(torch.from_numpy(pairs.w))
    embedding_mean = torch.full((pairs.clip_embedding.shape[1],), 0.25)
    return train_prior(
        pairs,
        LatentStatistics(statistics.mean, statistics.std),
        EmbeddingStatistics(embedding_mean, 3.0, text_mean),
        make_settings(network=network, diffusion=diffusion, data=data, **changes),
        device=device,
        start=start,
        validate=validate,
        group=group,
    )


def make_settings(*, network=None, diffusion=None, data=None, **changes):
    return PriorSettings(
        data or make_data_config(),
        network or make_network_config(),
        diffusion or make_diffusion_config(),
        make_train_config(**changes),
        seed=7,
    )
