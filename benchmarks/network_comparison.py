"""Quality of the prior's networks at equal training time, on the stored pairs.

Each network is timed for some steps, then trained for as many as fit in the budget of
CPU seconds, so that its learning rate falls over its own run, and is then scored as
the evaluation scores a row. Make the pairs first.

Example: `python benchmarks/network_comparison.py --seconds 150 mlp:256:4 mlp:512:4`,
with kind:width:depth for each network.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

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
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.training import train_prior
from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

PROJECT = Path(__file__).parents[1]


def read_network(text: str, base: dict[str, Any]) -> NetworkConfig:
    """Return the network that kind:width:depth names."""
    kind, dim, depth = text.split(":")
    return NetworkConfig(**{**base, "kind": kind, "dim": int(dim), "depth": int(depth)})


def train_for(
    seconds: float, train: dict[str, Any], arguments: dict[str, Any]
) -> tuple[Checkpoint, int]:
    """Return the last checkpoint of as many steps as fit, and their number."""

    def run(max_it: int) -> Checkpoint:
        config = TrainConfig(**{**train, "max_it": max_it, "save_it": max_it})
        return list(train_prior(**arguments, train=config))[-1]

    run(5)
    began = time.process_time()
    run(40)
    rate = 40 / (time.process_time() - began)
    steps = max(100, int(seconds * rate))
    return run(steps), steps


def main() -> None:
    """Print one JSON line per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", help="kind:width:depth")
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lr", type=float, default=None)
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

    data = DataConfig(**parameters["data"])
    evaluation = EvaluationConfig(**parameters["evaluation"])
    sampling = SamplingConfig(**parameters["sampling"])
    queries = read_queries(
        prompts.to_dict("records"), encoder, judge.attributes, num_prompts=None
    )
    train = dict(parameters["train"])
    if options.lr is not None:
        train["lr"] = options.lr
    print(json.dumps({"machine": describe_machine(), "pairs": len(pairs)}))
    for text in options.networks:
        network = read_network(text, parameters["model"]["network"])
        checkpoint, steps = train_for(
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
            },
        )
        prior = prior_from_checkpoint(checkpoint)
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
        scores = score_prompts(drawn, queries)
        means = {name: float(np.nanmean(values)) for name, values in scores.items()}
        weights = sum(weight.numel() for weight in prior.parameters())
        print(
            json.dumps(
                {"network": dataclasses.asdict(network), "lr": train["lr"]}
                | {"steps": steps, "weights": weights}
                | {"validation_loss": float(checkpoint.losses[-1, 2])}
                | {name: round(value, 4) for name, value in means.items()}
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
