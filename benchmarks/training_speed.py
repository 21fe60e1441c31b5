"""Training steps per second of the prior's networks, at equal batch size.

Whole steps are timed: noise, forward, backward, AdamW and the moving average.
Example: `python benchmarks/training_speed.py --threads 1 mlp:256:4 dalle2:128:6`, with
kind:width:depth for each network.
"""

import argparse
import json
import time

import torch
from clip2latent_kedro.prior.trainer import Trainer

from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.prior.checkpoint import build_prior
from clip2latent_kedro.prior.config import LOSS_SCORE, Precision, TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.runtime import describe_machine, pick_device


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


def make_trainer(
    network: NetworkConfig,
    dim: int,
    device: str,
    *,
    precision: Precision,
    is_compiled: bool,
) -> Trainer:
    """Return a trainer of one latent of width `dim`, given embeddings as wide."""
    prior = build_prior(
        network,
        DiffusionConfig(
            cond_drop_prob=0.2,
            image_embed_scale=1.0,
            text_embed_scale=1.0,
            beta_schedule="cosine",
            predict_x_start=True,
        ),
        LatentStatistics(torch.zeros(1, dim), torch.ones(1, dim)),
        EmbeddingStatistics(torch.zeros(dim), 10.0),
        znorm_latent=True,
        generator_identity=Identity("none", ""),
        encoder_identity=Identity("none", ""),
    )
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
    return Trainer(
        prior,
        train,
        embed_noise_scale=1.0,
        cond_drop_prob=0.2,
        seed=0,
        device=device,
        start=None,
    )


def time_steps(
    trainer: Trainer, batch_size: int, dim: int, device: str, seconds: float
) -> float:
    """Return steps per second, after five steps to warm up."""
    x0 = torch.randn(batch_size, 1, dim, device=device)
    clip_embedding = 10 * torch.randn(batch_size, dim, device=device)
    for step in range(1, 6):
        float(trainer.step(x0, clip_embedding, step))
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        done += 1
        loss = trainer.step(x0, clip_embedding, 5 + done)
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
        trainer = make_trainer(
            network,
            options.dim,
            device,
            precision=options.precision,
            is_compiled=options.compile,
        )
        weights = sum(p.numel() for p in trainer.prior.parameters())
        rate = time_steps(
            trainer, options.batch_size, options.dim, device, options.seconds
        )
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
