"""Trainings of an ablation's seeds, in processes side by side and one after another.

By turns, with the settings of `params:ablation.budget` on random pairs. The first round
starts the processes, and does not count.
Example: `python benchmarks/side_by_side.py --seeds 3 --rounds 3`.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.parameters import Parameters
from clip2latent_kedro.processes import Processes, count_processes
from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.study.ablation.config import OWN, OwnConfig, change_groups
from clip2latent_kedro.study.ablation.plan import train_variant

PROJECT = Path(__file__).parents[1]


def main() -> None:
    """Print a line of JSON for each round, and one for the machine and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=16_384)
    options = parser.parse_args()

    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT) as session:
        tree = session.load_context().config_loader["parameters"]
    parameters = read_settings(Parameters, tree)
    data = parameters.data
    base = {
        "sampling": parameters.sampling,
        "data": data,
        "model.network": parameters.model.network,
        "model.diffusion": parameters.model.diffusion,
        "train": parameters.train,
        OWN: OwnConfig(),
    }
    generator = np.random.default_rng(0)
    shape = (options.pairs, data.n_latents, data.latent_dim)
    w, embedding = (generator.normal(size=shape).astype(np.float32) for _ in range(2))
    recipe = {"generator": "random@00", "encoder": "random@11"}
    train = partial(
        train_variant,
        pairs=TrainingPairs(w, embedding[:, 0], recipe),
        groups=change_groups(base, parameters.ablation.budget),
        device="cpu",
        text_mean=None,
    )
    ways = {
        "side_by_side": Processes(count_processes("cpu", options.seeds)),
        "one_after_another": Processes(0),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, processes in ways.items():
            began = time.perf_counter()
            list(processes.map(train, range(options.seeds)))
            took = time.perf_counter() - began
            if number:
                seconds[name].append(took)
        print(json.dumps({n: v[-1] for n, v in seconds.items() if v}))
    medians = {name: median(values) for name, values in seconds.items()}
    ratio = medians["one_after_another"] / medians["side_by_side"]
    print(json.dumps({"machine": describe_machine(), **medians, "ratio": ratio}))


if __name__ == "__main__":
    main()
