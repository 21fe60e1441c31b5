"""Quality of the prior's networks at equal training time, on the stored pairs.

Each network is timed for some steps, then trained for as many as fit in the budget of
CPU seconds, so that its learning rate falls over its own run, and is then scored as
the evaluation scores a row, on prompts of the bank; `--prompts prompts` reports what
has been chosen on those of the evaluation. Weights, batches and noise of all networks
follow the same seeds. Make the pairs first: `kedro run --pipeline=data_generation`.

Example: `python benchmarks/network_comparison.py --seconds 150 mlp:256:4
clip2latent:128:6 dalle2:128:6`, with kind:width:depth for each network.
"""

import argparse
import dataclasses
import json
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from prompt_scores import PromptScorer, add_options

from clip2latent_kedro.conditioning import mean_direction
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.checkpoint import Checkpoint, prior_from_checkpoint
from clip2latent_kedro.prior.config import PriorSettings, TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.training import train_prior
from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.training import LOSS_SCORE

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
    settings = dataclasses.replace(arguments["settings"], train=config)
    (checkpoint,) = train_prior(**{**arguments, "settings": settings})
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
    add_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT) as session:
        context = session.load_context()
        catalog, parameters = context.catalog, context.config_loader["parameters"]
        pairs = catalog.load("training_pairs")
        statistics = catalog.load("latent_statistics")
        encoder, prompt_bank = map(catalog.load, ("encoder", "prompt_bank"))
        scorer = PromptScorer(
            catalog,
            parameters,
            prompts=options.prompts,
            num_prompts=options.num_prompts,
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
    for network, seed in product(networks, options.seeds):
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
                    text_mean,
                ),
                "settings": PriorSettings(
                    DataConfig(**parameters["data"]),
                    network,
                    DiffusionConfig(**parameters["model"]["diffusion"]),
                    TrainConfig(**train),
                    seed,
                ),
                "device": "cpu",
            },
        )
        prior = prior_from_checkpoint(run.checkpoint)
        last = run.checkpoint.history[-1]
        line = {
            "network": dataclasses.asdict(network),
            "prompts": options.prompts,
            "seed": seed,
            "lr": train["lr"],
            "weights": sum(weight.numel() for weight in prior.parameters()),
            "steps": run.checkpoint.step,
            "cpu_seconds": round(run.cpu_seconds, 1),
            "seconds": round(run.seconds, 1),
            "loss": round(last["loss"], 4),
            LOSS_SCORE: round(last[LOSS_SCORE], 4),
            **scorer(prior, {}),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
