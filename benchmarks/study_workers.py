"""The variants of a study by workers side by side, and one after another, by turns.

Both ways compute with as many threads a worker, so that their results are compared in
every bit. The trained prior and the pairs are those of the project's own data.
Example: `python benchmarks/study_workers.py --workers 2 --only embedding_noise,psi`.
"""

import argparse
import json
import pickle
import time
from pathlib import Path
from statistics import median

import numpy as np
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from clip2latent_kedro.engines import EngineConfig, Engines, StepEngines
from clip2latent_kedro.pipelines import studies
from clip2latent_kedro.runtime import describe_machine

PROJECT = Path(__file__).parents[1]


def main() -> None:
    """Print a line of JSON for each round, and one for the machine and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default=None, help="of the configuration")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument("--engine", default="local", choices=["local", "ray"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", help="studies, with commas between; all without it")
    options = parser.parse_args()

    bootstrap_project(PROJECT)
    changes = {} if options.only is None else {"ablation": {"only": options.only}}
    nodes = ["frozen_models", "ablation_variants"]
    with KedroSession.create(
        PROJECT, env=options.env, runtime_params=changes
    ) as session:
        made = session.run(pipeline_names=["ablation"], to_outputs=nodes)
    planned = pickle.dumps(made["ablation_variants"].load())
    ways = {
        "one after another": EngineConfig(workers=1, threads=options.threads),
        "side by side": EngineConfig(options.engine, options.workers, options.threads),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for _ in range(options.rounds):
        for name, config in ways.items():
            engines = Engines("cpu", config, StepEngines())
            variants = pickle.loads(planned)  # noqa: S301 (without what was computed)
            began = time.perf_counter()
            found = {}
            for part in studies.run_variants(variants, engines, {}, resume=False):
                found |= part
            seconds[name].append(time.perf_counter() - began)
            results[name] = found
        print(json.dumps({name: took[-1] for name, took in seconds.items()}))
    medians = {name: median(took) for name, took in seconds.items()}
    report = {
        "machine": describe_machine(),
        "variants": len(results["side by side"]),
        **medians,
        "ratio": medians["one after another"] / medians["side by side"],
        "equal in every bit": _are_equal(*results.values()),
    }
    print(json.dumps(report))


def _are_equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(array, other[name][0][key], equal_nan=array.dtype.kind == "f")
        for name, (arrays, _) in one.items()
        for key, array in arrays.items()
    )


if __name__ == "__main__":
    main()
