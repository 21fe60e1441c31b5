"""Settings of ways of editing, side by side.

Each row edits the same pictures toward every target of `params:editing.targets` at
several strengths. The judge tells in how many the target's attribute comes out right,
and how many of the other attributes are kept. The audit has other latents, so that what
is chosen here is reported on those. Train the prior first.

    uv run python benchmarks/edit_settings.py prior prior:num_steps=4,start=0.8 clip2gan
    uv run python benchmarks/edit_settings.py prior prior:around=sample --of prompts

`--of prompts` edits what the prior has drawn for the prompt bank instead of random w.
Prints a JSON object a row.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from clip2latent_kedro.editing import EDIT_METHODS, EditMethod, Source
from clip2latent_kedro.editing.edit import read_targets
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.editing.optimisation import take_latents
from clip2latent_kedro.generators import synthesise_latents
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.sampling import draw_noise
from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.samplers import SamplingConfig

PROJECT = Path(__file__).parents[1]
WANTED = (0.9, 0.95, 0.97)  # shares of right targets at which the rows are compared


def load_models(catalog: Any, parameters: dict[str, Any]) -> EditingModels:
    """Return the models of the domain, on the CPU."""
    loaded = {n: catalog.load(n) for n in ("generator", "encoder", "judge", "clip2gan")}
    names = ("prior", "student")
    return EditingModels(
        models=Models(
            **loaded,
            embedder=loaded["encoder"],
            latent_repeats=DataConfig(**parameters["data"]).latent_repeats,
            latent_batch_size=1024,
            image_batch_size=64,
            priors={name: catalog.load(name) for name in names if catalog.exists(name)},
        ),
        identity_encoder=catalog.load("identity_encoder"),
        directions=catalog.load("directions") or {},
        channel_relevance=catalog.load("channel_relevance"),
        mappers=catalog.load("mappers") or {},
    )


def make_sources(
    models: EditingModels, options: argparse.Namespace, catalog: Any, settings: Any
) -> Source:
    """Return what is edited: random w, or samples of prompts."""
    domain, generator = models.models, models.generator
    if options.of == "random":
        noise = np.random.default_rng(options.seed).standard_normal(
            (options.latents, generator.z_dim), np.float32
        )
        return Source(Latents(generator.mapping(torch.from_numpy(noise))))
    prior = domain.find_prior("prior")
    model, sampling = domain.text_to_image(prior), SamplingConfig(**settings)
    prompts = list(catalog.load("prompt_bank")["prompt"])[-options.latents :]
    condition = model.condition(
        domain.encoder.encode_text(prompts), sampling, num_samples=1, seed=options.seed
    )
    w = model.sample_w(condition, sampling, num_samples=1, seed=options.seed)
    x_T = draw_noise(prior, options.seed, [(row, 0) for row in range(len(prompts))])
    return Source(Latents(w[:, 0]), condition, x_T)


def take(source: Source, rows: slice | torch.Tensor) -> Source:
    """Return some of the pictures."""
    parts = [source.latents.w, source.condition, source.x_T]
    w, condition, x_T = (None if part is None else part[rows] for part in parts)
    return Source(Latents(w), condition, x_T)


def classify(models: EditingModels, latents: Latents) -> torch.Tensor:
    """Return the judge's values, [n, num_attributes]."""
    judge = models.models.judge
    labels = []
    for rows in torch.arange(len(latents.w)).split(64):
        part = take_latents(latents, rows)
        labels.append(judge.classify(synthesise_latents(models.generator, part)))
    return torch.cat(labels)


def score_target(
    models: EditingModels, edit: EditMethod, source: Source, strengths: list[float]
) -> list[tuple[float, float]]:
    """Return the shares of right targets and of kept attributes at each strength."""
    attributes, target = models.models.judge.attributes, edit.target
    names = list(attributes)
    before = classify(models, source.latents)
    is_editable = torch.ones(len(before), dtype=torch.bool)
    for name, value in target.only.items():
        number = attributes[name].index(value)
        is_editable &= before[:, names.index(name)] == number
    before, column = before[is_editable], names.index(target.attribute)
    others = [
        number
        for number, name in enumerate(names)
        if name not in (target.attribute, *target.free)
    ]
    wanted = attributes[target.attribute].index(target.value)
    scores = []
    for edited in edit.apply_all(take(source, is_editable), strengths):
        after = classify(models, edited)
        right = (after[:, column] == wanted).float().mean().item()
        kept = (after[:, others] == before[:, others]).float().mean().item()
        scores.append((right, kept))
    return scores


def kept_at(right: np.ndarray, kept: np.ndarray, wanted: float) -> float | None:
    """Return the share kept at the first strength at which enough targets are right."""
    right, kept = np.append(0.0, right), np.append(1.0, kept)  # strength 0
    after = int(np.argmax(right >= wanted))
    if after == 0:
        return None
    ends = slice(after - 1, after + 1)
    return round(float(np.interp(wanted, right[ends], kept[ends])), 4)


def rows(
    options: argparse.Namespace, catalog: Any, parameters: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield what is known of each row."""
    models = load_models(catalog, parameters)
    source = make_sources(models, options, catalog, parameters["sampling"])
    targets = list(read_targets(parameters["editing"]["targets"]).values())
    for text in options.edits:
        key, _, rest = text.partition(":")
        changes = dict(item.split("=") for item in rest.split(",") if item)
        method = EDIT_METHODS[key]
        settings = method.Settings(
            **{name: yaml.safe_load(value) for name, value in changes.items()}
        )
        edits = [method.prepare(settings, models, target) for target in targets]
        scores = np.array(
            [score_target(models, e, source, options.strengths) for e in edits]
        )  # [num_targets, num_strengths, 2]
        right, kept = scores.mean(axis=0).T
        known = {
            "edit": text,
            "of": options.of,
            "latents": len(source.latents.w),
            "kept_at": {str(share): kept_at(right, kept, share) for share in WANTED},
            "mean": {
                str(strength): [round(float(r), 3), round(float(k), 4)]
                for strength, r, k in zip(options.strengths, right, kept, strict=True)
            },
        }
        if options.targets:
            known["targets"] = {
                target.name: scores[row].round(3).tolist()
                for row, target in enumerate(targets)
            }
        yield known


def main() -> None:
    """Compare the rows that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("edits", nargs="+", metavar="KEY:NAME=VALUE,NAME=VALUE")
    parser.add_argument("--of", choices=["random", "prompts"], default="random")
    parser.add_argument("--latents", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--strengths",
        nargs="+",
        type=float,
        default=[0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0],
    )
    parser.add_argument("--targets", action="store_true", help="report each target")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--env", default=None)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env=options.env) as session:
        context = session.load_context()
        with torch.no_grad():  # a way that searches turns gradients on
            parameters = context.config_loader["parameters"]
            for row in rows(options, context.catalog, parameters):
                print(json.dumps(row), flush=True)
    print(json.dumps({"machine": describe_machine()}))


if __name__ == "__main__":
    main()
