"""The models of the portraits that the package ships, with priors that are untrained.

They are apart from `world`, whose code must not import networks of the prior: tests of
what a stored result depends on count what is imported.
"""

from pathlib import Path

import torch

from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.latents import measure_statistics
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.network import NetworkConfig, build_network

WEIGHTS = Path(__file__).parents[1] / "src/clip2latent_kedro/worlds/portraits/weights"
PORTRAITS = {
    "generator": {
        "kind": "stylegan2",
        "filepath": str(WEIGHTS / "generator.safetensors"),
    },
    "encoder": {"kind": "compact_clip", "filepath": str(WEIGHTS / "clip.safetensors")},
}
MLP = {
    "kind": "mlp",
    "dim": 8,
    "num_timesteps": 20,
    "depth": 1,
    "dim_head": 4,
    "heads": 2,
}
NETWORK = {
    "kind": "clip2latent",
    "dim": 128,
    "num_timesteps": 20,
    "depth": 1,
    "dim_head": 16,
    "heads": 2,
    "noise_level_input": False,
}
DIFFUSION = {
    "cond_drop_prob": 0.2,
    "image_embed_scale": 1.0,
    "text_embed_scale": 1.0,
    "beta_schedule": "cosine",
    "predict_x_start": True,
}


def load_portraits():
    generator = load_generator("stylegan2", WEIGHTS / "generator.safetensors")
    encoder = load_encoder("compact_clip", WEIGHTS / "clip.safetensors", {})
    return generator, encoder


def make_checkpoint(network, statistics, **changes):
    """A checkpoint whose network and settings are given, and which lacks the rest."""
    settings = {
        "step": 5,
        "network": {},
        "ema": {name: value.clone() for name, value in network.state_dict().items()},
        "optimizer": {},
        "best": {},
        "best_step": 0,
        "history": [],
        "embedding_statistics": None,
        "gaussian": None,
        "generator_identity": None,
        "encoder_identity": None,
    }
    return Checkpoint(statistics=statistics, **{**settings, **changes})


def make_portraits_checkpoint(*, w_offset=0.0):
    """As `read_published` returns it; the mean of w may be off."""
    generator, _ = load_portraits()
    torch.manual_seed(0)
    w = generator.mapping(torch.randn(4000, generator.z_dim))[:, :1] + w_offset
    settings = {
        "data": {
            "embed_noise_scale": 1.0,
            "n_latents": 1,
            "latent_dim": 128,
            "latent_repeats": [generator.num_ws],
        },
        "model": {"network": NETWORK, "diffusion": DIFFUSION, "clip_dim": 128},
        "train": {"znorm_latent": True},
    }
    network = build_network(NetworkConfig(**NETWORK), 1, 128, 128)
    return make_checkpoint(network, measure_statistics(w), settings=settings)
