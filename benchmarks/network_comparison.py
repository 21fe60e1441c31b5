"""Quality of the prior's networks at equal training time, on the stored pairs.

Each network is timed for some steps, then trained for as many as fit in the budget of
CPU seconds, so that its learning rate falls over its own run, and is then scored as
the evaluation scores a row. Weights, batches and noise of all follow the same seed.
Make the pairs first: `kedro run --pipeline=data_generation`.

Example: `python benchmarks/network_comparison.py --seconds 150 mlp:256:4
clip2latent:128:6 dalle2:128:6`, with kind:width:depth for each network.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from clip2latent_kedro.conditioning import mean_direction
from clip2latent_kedro.evaluation import (
    Clip2Latent,
    EvaluationConfig,
    draw_row,
    read_queries,
    score_prompts,
)
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.checkpoint import Checkpoint, prior_from_checkpoint
from clip2latent_kedro.prior.config import LOSS_SCORE, TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.training import train_prior
from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

PROJECT = Path(__file__).parents[1]
TIMED = (5, 45)  # steps; what a run costs beside its steps falls out of the difference


class Run(NamedTuple):
    """A finished training, and what it took."""

    checkpoint: Checkpoint
    cpu_seconds: float
    seconds: float


def read_network(text: str, base: dict[str, Any]) -> NetworkConfig:
    """Return the network that kind:width:depth names."""
    kind, dim, depth = text.split(":")
    return NetworkConfig(**{**base, "kind": kind, "dim": int(dim), "depth": int(depth)})


def train_steps(max_it: int, train: dict[str, Any], arguments: dict[str, Any]) -> Run:
    """Train anew, measured at the end only."""
    only_last = {"max_it": max_it, "save_it": max_it, "val_it": max_it}
    config = TrainConfig(**{**train, **only_last, "best_by": LOSS_SCORE})
    began_cpu, began = time.process_time(), time.perf_counter()
    (checkpoint,) = train_prior(**arguments, train=config)
    return Run(checkpoint, time.process_time() - began_cpu, time.perf_counter() - began)


def train_for(seconds: float, train: dict[str, Any], arguments: dict[str, Any]) -> Run:
    """Train for as many steps as fit in a budget of CPU seconds."""
    train_steps(TIMED[0], train, arguments)  # imports, first allocations
    few, more = (train_steps(steps, train, arguments) for steps in TIMED)
    per_step = (more.cpu_seconds - few.cpu_seconds) / (TIMED[1] - TIMED[0])
    return train_steps(max(TIMED[1], round(seconds / per_step)), train, arguments)


def main() -> None:
    """Print one JSON line for the machine, then one for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", help="kind:width:depth")
    parser.add_argument("--seconds", type=float, default=150.0, help="of CPU time")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lr", type=float, default=None, help="instead of train.lr")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT) as session:
        context = session.load_context()
        catalog, parameters = context.catalog, context.config_loader["parameters"]
        pairs = catalog.load("training_pairs")
        statistics = catalog.load("latent_statistics")
        generator, encoder = catalog.load("generator"), catalog.load("encoder")
        judge, prompts = catalog.load("judge"), catalog.load("prompts")
        prompt_bank = catalog.load("prompt_bank")

    data = DataConfig(**parameters["data"])
    evaluation = EvaluationConfig(**parameters["evaluation"])
    sampling = SamplingConfig(**parameters["sampling"])
    queries = read_queries(
        prompts.to_dict("records"), encoder, judge.attributes, num_prompts=None
    )
    with torch.no_grad():
        text_mean = mean_direction(encoder.encode_text(list(prompt_bank["prompt"])))
    train = dict(parameters["train"])
    if options.lr is not None:
        train["lr"] = options.lr
    networks = [
        read_network(text, parameters["model"]["network"]) for text in options.networks
    ]
    print(json.dumps({"machine": describe_machine(), "pairs": len(pairs)}))
    for network in networks:
        run = train_for(
            options.seconds,
            train,
            {
                "pairs": pairs,
                "statistics": LatentStatistics(
                    torch.tensor(statistics["mean"]), torch.tensor(statistics["std"])
                ),
                "embedding_statistics": EmbeddingStatistics(
                    torch.tensor(statistics["embedding_mean"]),
                    statistics["embedding_norm"],
                ),
                "data": data,
                "network": network,
                "diffusion": DiffusionConfig(**parameters["model"]["diffusion"]),
                "seed": parameters["seed"],
                "device": "cpu",
                "text_mean": text_mean,
            },
        )
        prior = prior_from_checkpoint(run.checkpoint)
        model = TextToImage(
            generator,
            encoder,
            prior,
            data.latent_repeats,
            evaluation.latent_batch_size,
            evaluation.image_batch_size,
        )
        drawn = draw_row(
            Clip2Latent(model, sampling),
            queries,
            encoder=encoder,
            judge=judge,
            num_samples=evaluation.num_samples,
            seed=parameters["seed"],
            image_batch_size=evaluation.image_batch_size,
            stored_image_size=evaluation.stored_image_size,
        )
        scores = score_prompts(drawn, queries, prior.cloud, data.latent_repeats)
        means = {name: float(np.nanmean(values)) for name, values in scores.items()}
        last = run.checkpoint.history[-1]
        line = {
            "network": dataclasses.asdict(network),
            "lr": train["lr"],
            "weights": sum(weight.numel() for weight in prior.parameters()),
            "steps": run.checkpoint.step,
            "cpu_seconds": round(run.cpu_seconds, 1),
            "seconds": round(run.seconds, 1),
            "loss": round(last["loss"], 4),
            LOSS_SCORE: round(last[LOSS_SCORE], 4),
            **{name: round(value, 4) for name, value in means.items()},
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
