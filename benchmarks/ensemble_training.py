"""Seconds of training several priors together, against one after another.

Both ways take turns in the same run, and train the same priors. Example:
`python benchmarks/ensemble_training.py --threads 1 --members 12 --dim 128`.
"""

import argparse
import json
import time
from statistics import median

import numpy as np
import torch

from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.config import LOSS_SCORE, TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig
from clip2latent_kedro.prior.ensemble import Member, train_alone, train_together
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.runtime import describe_machine, pick_device

WIDTH = 128  # of w and of embeddings, as in the portraits


def make_pairs(num_pairs: int) -> TrainingPairs:
    """Return random pairs; what they hold decides nothing about speed."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((num_pairs, 1, WIDTH), np.float32)
    embedding = rng.standard_normal((num_pairs, WIDTH), np.float32)
    return TrainingPairs(w, embedding, {"generator": "none@0", "encoder": "none@0"})


def make_member(options: argparse.Namespace, seed: int) -> Member:
    """Return what decides one of the priors, with a noise of its own."""
    return Member(
        DataConfig(
            bs=options.batch_size,
            embed_noise_scale=0.25 * seed,
            clip_variant="none",
            n_latents=1,
            latent_dim=WIDTH,
            latent_repeats=[1],
        ),
        NetworkConfig(
            kind="mlp",
            dim=options.dim,
            num_timesteps=1000,
            depth=options.depth,
            dim_head=64,
            heads=8,
            noise_level_input=True,
        ),
        DiffusionConfig(
            cond_drop_prob=0.2,
            image_embed_scale=1.0,
            text_embed_scale=1.0,
            beta_schedule="cosine",
            predict_x_start=True,
        ),
        TrainConfig(
            max_it=options.steps,
            val_it=options.steps,
            val_pairs=0,
            best_by=LOSS_SCORE,
            save_it=options.steps,
            lr=1e-3,
            lr_decay="cosine",
            warmup_it=0,
            weight_decay=0.01,
            clip_grad=None,
            accumulate=1,
            precision="float32",
            compile=False,
            ema_update_every=1,
            ema_beta=0.99,
            ema_power=1.0,
            znorm_latent=True,
            buffer_pairs=1_000_000,
        ),
        seed,
    )


def main() -> None:
    """Print one line of JSON for the machine, and one for what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=12)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    print(json.dumps({"machine": describe_machine(), "device": device}))

    pairs = make_pairs(options.pairs)
    members = [make_member(options, seed) for seed in range(options.members)]
    seconds: dict[str, list[float]] = {"together": [], "alone": []}
    for _ in range(options.rounds + 1):  # the first does not count
        began = time.perf_counter()
        train_together(pairs, members, device=device)
        between = time.perf_counter()
        for member in members:
            train_alone(pairs, member, device=device)
        seconds["together"].append(between - began)
        seconds["alone"].append(time.perf_counter() - between)
    medians = {way: median(times[1:]) for way, times in seconds.items()}
    ratios = np.divide(seconds["alone"][1:], seconds["together"][1:])
    line = {
        "members": options.members,
        "dim": options.dim,
        "depth": options.depth,
        "batch_size": options.batch_size,
        "steps": options.steps,
        "seconds": {way: round(value, 2) for way, value in medians.items()},
        "ratio": round(float(np.median(ratios)), 2),
        "ratios": [round(float(ratio), 2) for ratio in ratios],
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
