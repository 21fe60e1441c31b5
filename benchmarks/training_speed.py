"""Training steps per second of the prior's networks, at equal batch size.

Whole steps are timed: noise, forward, backward, AdamW and the moving average.
Example: `python benchmarks/training_speed.py --threads 1 mlp:256:4 dalle2:128:6`, with
kind:width:depth for each network. With `--workers 2` these are timed as well, by turns
with one process that has all threads; of the ratio of each turn the median counts.
"""

import argparse
import json
import time
from collections.abc import Iterator
from functools import partial
from statistics import median

import numpy as np
import torch

from clip2latent_kedro.engines import EngineConfig
from clip2latent_kedro.engines.groups import AloneGroup, Group, Report, Seat
from clip2latent_kedro.engines.spawned import SpawnedGroup
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.checkpoint import Checkpoint, build_prior
from clip2latent_kedro.prior.config import PriorSettings, TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig, build_network
from clip2latent_kedro.prior.training import prior_task
from clip2latent_kedro.runtime import Precision, describe_machine, pick_device
from clip2latent_kedro.training import LOSS_SCORE, Task
from clip2latent_kedro.training.team import Team
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


def time_steps(task: Task, team: Team, device: str, seconds: float) -> float:
    """Return steps per second, after ten steps to warm up.

    All of a team make the same number of steps, which the first of them chooses.
    """
    updates = Updates(task, team)
    for step in range(1, 6):
        float(updates.step(step))
    began = time.perf_counter()
    for step in range(6, 11):
        float(updates.step(step))
    num = max(5, round(5 * seconds / (time.perf_counter() - began)))
    num = team.broadcast(num)
    began = time.perf_counter()
    for step in range(11, 11 + num):
        loss = updates.step(step)
        if step % 10 == 0 or device == "cpu":
            float(loss)  # waits for the GPU
    float(loss)
    return num / (time.perf_counter() - began)


def time_at_seat(
    network: NetworkConfig,
    options: argparse.Namespace,
    seat: Seat,
    start: None,
    report: Report,
) -> Iterator[float]:
    """Yield steps per second of a group's process (see `engines.groups.Work`)."""
    task = make_task(
        network,
        options.dim,
        options.batch_size,
        seat.device,
        precision=options.precision,
        is_compiled=options.compile,
    )
    yield time_steps(task, Team.at(seat), seat.device, options.seconds)


def time_group(
    network: NetworkConfig, options: argparse.Namespace, group: Group
) -> float:
    """Return steps per second of a group."""
    work = partial(time_at_seat, network, options)
    (rate,) = group.run(work, work, None, lambda *told: None)
    return float(rate)


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
    parser.add_argument("--workers", type=int, default=1, help="to time as well")
    parser.add_argument("--rounds", type=int, default=3, help="turns, with workers")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)

    print(json.dumps({"machine": describe_machine(), "device": device}))
    for network in map(read_network, options.networks):
        groups: list[Group] = [AloneGroup(device)]
        if options.workers > 1:
            config = EngineConfig(workers=options.workers)
            groups.append(SpawnedGroup(device, config))
        rounds = range(options.rounds if len(groups) > 1 else 1)
        turns = [
            [time_group(network, options, each) for each in groups] for _ in rounds
        ]
        built = build_network(network, 1, options.dim, options.dim, 0)
        weights = sum(weight.numel() for weight in built.parameters())
        line = {
            "network": network.kind,
            "dim": network.dim,
            "depth": network.depth,
            "weights": weights,
            "batch_size": options.batch_size,
            "precision": options.precision,
            "compiled": options.compile,
            "steps_per_second": round(median(turn[0] for turn in turns), 2),
        }
        if options.workers > 1:
            line["workers"] = options.workers
            line["of_workers"] = round(median(turn[1] for turn in turns), 2)
            line["ratios"] = [round(turn[1] / turn[0], 2) for turn in turns]
        print(json.dumps(line))


if __name__ == "__main__":
    main()
