"""Training steps per second of the prior's networks, at equal batch size.

Whole steps are timed: noise, forward, backward, AdamW and the moving average.
Example: `python benchmarks/training_speed.py --threads 1 mlp:256:4 dalle2:128:6`, with
kind:width:depth for each network.
"""

import argparse
import json
import time

import numpy as np
import torch

from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.checkpoint import Checkpoint, build_prior
from clip2latent_kedro.prior.config import PriorSettings, TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.training import prior_task
from clip2latent_kedro.runtime import Precision, describe_machine, pick_device
from clip2latent_kedro.training import LOSS_SCORE, Task
from clip2latent_kedro.training.updates import Updates

DIFFUSION = {
    "cond_drop_prob": 0.2,
    "image_embed_scale": 1.0,
    "text_embed_scale": 1.0,
    "beta_schedule": "cosine",
    "predict_x_start": True,
}


def read_network(text: str) -> NetworkConfig:
    """Return the network that kind:width:depth names."""
    kind, dim, depth = text.split(":")
    return NetworkConfig(
        kind=kind,
        dim=int(dim),
        num_timesteps=1000,
        depth=int(depth),
        dim_head=64,
        heads=8,
    )


def make_task(
    network: NetworkConfig,
    dim: int,
    batch_size: int,
    device: str,
    *,
    precision: Precision,
    is_compiled: bool,
) -> Task:
    """Return the training of a prior of one latent of width `dim`.

    Its embeddings are as wide, and random like the latents.
    """
    train = TrainConfig(
        max_it=10**9,
        val_it=1,
        val_pairs=0,
        best_by=LOSS_SCORE,
        save_it=1,
        lr=1e-4,
        lr_decay="none",
        warmup_it=0,
        weight_decay=0.01,
        clip_grad=None,
        accumulate=1,
        precision=precision,
        compile=is_compiled,
        ema_update_every=10,
        ema_beta=0.9999,
        ema_power=0.75,
        znorm_latent=True,
        buffer_pairs=1,
    )
    data = DataConfig(batch_size, 1.0, "none", 1, dim, [1])
    settings = PriorSettings(data, network, DiffusionConfig(**DIFFUSION), train, seed=0)
    pairs = TrainingPairs(np.zeros((1, 1, dim)), np.zeros((1, dim)), {})
    prior = build_prior(
        Checkpoint(
            step=0,
            settings=settings.describe(pairs),
            statistics=LatentStatistics(torch.zeros(1, dim), torch.ones(1, dim)),
            embedding_statistics=EmbeddingStatistics(torch.zeros(dim), 10.0),
        )
    ).to(device)
    if is_compiled:
        prior.network.compile()
    x0 = torch.randn(batch_size, 1, dim, device=device)
    clip_embedding = 10 * torch.randn(batch_size, dim, device=device)
    nothing = x0[:0], clip_embedding[:0]
    batch = x0, clip_embedding
    return prior_task(prior, settings, lambda step: batch, nothing)


def time_steps(updates: Updates, device: str, seconds: float) -> float:
    """Return steps per second, after five steps to warm up."""
    for step in range(1, 6):
        float(updates.step(step))
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        done += 1
        loss = updates.step(5 + done)
        if done % 10 == 0 or device == "cpu":
            float(loss)  # waits for the GPU
    float(loss)
    return done / (time.perf_counter() - began)


def main() -> None:
    """Print one line of JSON for each network, and one for the machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "networks",
        nargs="*",
        default=["mlp:256:4", "clip2latent:128:6", "dalle2:128:6"],
        help="kind:width:depth",
    )
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--dim", type=int, default=128, help="of w and of embeddings")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)

    print(json.dumps({"machine": describe_machine(), "device": device}))
    for network in map(read_network, options.networks):
        task = make_task(
            network,
            options.dim,
            options.batch_size,
            device,
            precision=options.precision,
            is_compiled=options.compile,
        )
        weights = sum(p.numel() for p in task.network.parameters())
        rate = time_steps(Updates(task), device, options.seconds)
        line = {
            "network": network.kind,
            "dim": network.dim,
            "depth": network.depth,
            "weights": weights,
            "batch_size": options.batch_size,
            "precision": options.precision,
            "compiled": options.compile,
            "steps_per_second": round(rate, 2),
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
