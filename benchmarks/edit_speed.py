"""Own seconds of edits beside those of the synthesis, for a pair of texts that is new.

    kedro run --pipeline=relevance
    python benchmarks/edit_speed.py --methods global_directions

Of each way of editing: `prepare`, for texts that were not asked before; `apply`, to one
picture; and `synthesis` of the edited picture, which is not our own. What a method has
learned before, once for a generator or a text, is in its `preparation`. The targets of
`params:editing.targets` take turns; the first turn does not count. Prints one JSON
object of medians, with the quartiles of what `prepare` and `apply` take together.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from clip2latent_kedro.editing import EDIT_METHODS, EditTarget, Source
from clip2latent_kedro.editing.edit import read_targets
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.runtime import describe_machine, pick_device

Times = dict[str, list[float]]


def main() -> None:
    """Time each method on each target in turn."""
    options = _parse_arguments()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    models, targets = load_models(options.env, device)
    random = torch.Generator().manual_seed(0)
    z = torch.randn(1, models.generator.z_dim, generator=random).to(device)
    source = Source(Latents(models.generator.mapping(z)))

    report: dict[str, Any] = {}
    for name in options.methods:
        times: Times = {"prepare": [], "apply": [], "synthesis": []}
        try:
            for repeat in range(options.repeats + 1):
                for target in targets:
                    seconds = time_edit(name, models, target, source)
                    for part in times if repeat else ():
                        times[part].append(seconds[part])
        except UnavailableError as error:
            report[name] = str(error)
            continue
        report[name] = summarise(times)
    print(json.dumps({"seconds": report, "machine": describe_machine()}))


def time_edit(
    name: str, models: EditingModels, target: EditTarget, source: Source
) -> dict[str, float]:
    """Return the seconds of each part of one edit of one picture."""
    method = EDIT_METHODS[name]
    began = time.perf_counter()
    edit = method.prepare(method.Settings(), models, target)
    prepared = _now(models.device)
    latents = edit.apply(source, edit.strengths[-1])
    applied = _now(models.device)
    with torch.inference_mode():
        synthesise_latents(models.generator, latents)
    drawn = _now(models.device)
    return {
        "prepare": prepared - began,
        "apply": applied - prepared,
        "synthesis": drawn - applied,
    }


def summarise(times: Times) -> dict[str, Any]:
    """Return medians, and the quartiles of our own part."""
    own = [sum(pair) for pair in zip(times["prepare"], times["apply"], strict=True)]
    return {
        **{part: statistics.median(seconds) for part, seconds in times.items()},
        "own": statistics.median(own),
        "own_quartiles": statistics.quantiles(own, n=4)[::2],
        "num_edits": len(own),
    }


def load_models(env: str | None, device: str) -> tuple[EditingModels, list[EditTarget]]:
    """Return the models of a domain and its targets, from the catalog."""
    project = Path(__file__).parents[1]
    bootstrap_project(project)
    with KedroSession.create(project, env=env) as session:
        context = session.load_context()
        catalog, parameters = context.catalog, context.config_loader["parameters"]
        encoder = catalog.load("encoder")
        data = DataConfig(**parameters["data"])
        entries = {name: catalog.load(name) for name in ("prior", "student")}
        models = Models(
            generator=catalog.load("generator"),
            encoder=data.scorer(encoder),
            embedder=data.embedder(encoder),
            latent_repeats=data.latent_repeats,
            latent_batch_size=1,
            image_batch_size=1,
            device=device,
            priors={
                name: prior for name, prior in entries.items() if prior is not None
            },
            clip2gan=catalog.load("clip2gan"),
        )
        targets = list(read_targets(parameters["editing"]["targets"]).values())
        editing = EditingModels(
            models=models,
            directions=catalog.load("directions") or {},
            channel_relevance=catalog.load("channel_relevance"),
            identity_encoder=catalog.load("identity_encoder"),
            mappers=catalog.load("mappers") or {},
        )
    return editing, targets


def _now(device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=["global_directions"])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--env", default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
