"""Small priors of the kind that the published format holds."""

from dataclasses import replace

import torch

from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.network import NetworkConfig, build_network

DIM = 8
EMA = "ema_diffusion_prior.ema_model."
NETWORK = {
    "kind": "clip2latent",
    "dim": DIM,
    "num_timesteps": 40,
    "depth": 2,
    "dim_head": 4,
    "heads": 3,
    "noise_level_input": False,
}
DIFFUSION = {
    "cond_drop_prob": 0.2,
    "image_embed_scale": 1.0,
    "text_embed_scale": 1.0,
    "beta_schedule": "cosine",
    "predict_x_start": True,
}


def make_checkpoint(*, num_latents=1, seed=0, **changes):
    """A checkpoint as it is after training, with weights at random."""
    generator = torch.Generator().manual_seed(seed)
    network = changes.pop("network", NETWORK)
    diffusion = {**DIFFUSION, **changes.pop("diffusion", {})}
    train = {"max_it": 9, "lr": 1e-4, "ema_beta": 0.99, "warmup_it": 5}
    built = build_network(NetworkConfig(**network), num_latents, DIM, DIM)

    def weights():
        return {
            key: value.clone()
            if key.endswith(("freqs", "beta"))
            else torch.randn(value.shape, generator=generator)
            for key, value in built.state_dict().items()
        }

    shape = (num_latents, DIM)
    mean = torch.randn(shape, generator=generator)
    std = torch.rand(shape, generator=generator) + 0.5
    checkpoint = Checkpoint(
        step=7,
        network=weights(),
        ema=weights(),
        optimizer={},
        best={},
        best_step=0,
        history=[],
        statistics=LatentStatistics(mean, std),
        embedding_statistics=None,
        gaussian=None,
        generator_identity=None,
        encoder_identity=None,
        settings={
            "data": {
                "bs": 4,
                "embed_noise_scale": 0.75,
                "n_latents": num_latents,
                "latent_dim": DIM,
                "latent_repeats": [2] * num_latents,
            },
            "model": {"network": network, "diffusion": diffusion, "clip_dim": DIM},
            "train": {**train, "znorm_latent": changes.pop("znorm_latent", True)},
        },
    )
    return replace(checkpoint, **changes)


def average_buffers(path, *, beta=0.99999, num_updates=3000):
    """Average what is not learned, in the averaged copy of a file, as weights are.

    Returns the file's state dict after so many updates, old * beta + (1 - beta) * new,
    of values that stay the same.
    """
    content = torch.load(path, weights_only=True)
    state = content["state_dict"]
    constant = ("betas", "alphas_", "sqrt_", "log_", "posterior_", "latent_", "net.")
    keys = [
        key
        for key in state
        if key.startswith(EMA)
        and key.removeprefix(EMA).startswith(constant)
        and (".net." not in key or key.endswith(("freqs", "beta")))
    ]
    new = torch.cat([state[key].flatten() for key in keys])
    old = new.clone()
    for _ in range(num_updates):
        old = old * beta + (1 - beta) * new
    sizes = [state[key].numel() for key in keys]
    for key, value in zip(keys, old.split(sizes), strict=True):
        state[key] = value.view_as(state[key]).clone()
    torch.save(content, path)
    return state
