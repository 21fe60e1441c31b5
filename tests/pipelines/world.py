"""Runs of a pipeline by Kedro, in memory but for what it stores bit by bit."""

from dataclasses import asdict, fields
from pathlib import Path

from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from world import PROMPTS

from clip2latent_kedro.engines import EngineConfig, Engines, StepEngines
from clip2latent_kedro.methods.optimisation.config import (
    OptimisationConfig,
    OptimisationParameters,
)

DATA = {
    "bs": 16,
    "embed_noise_scale": 0.5,
    "clip_variant": "colour",
    "n_latents": 1,
    "latent_dim": 3,
    "latent_repeats": [2],
}
ENGINES = Engines("cpu", EngineConfig(), StepEngines())
BANK = [{"prompt": "9 9 9"}, *PROMPTS]  # the first is the validation's


class KeptDataset(MemoryDataset):
    """In memory also after the last node that reads it."""

    def _release(self):
        pass


def run_pipeline(pipeline, given, stored, *outputs):
    """Run a pipeline, or what leads to some outputs, and return its catalog.

    Args:
        pipeline: What is run.
        given: Its inputs, by name.
        stored: Datasets by name; all other outputs stay in memory.
        outputs: Names; all of them if there are none.
    """
    catalog = DataCatalog(
        {
            **{n: MemoryDataset(v, copy_mode="assign") for n, v in given.items()},
            **{n: KeptDataset(copy_mode="assign") for n in pipeline.all_outputs()},
            **stored,
        }
    )
    wanted = pipeline.to_outputs(*outputs) if outputs else pipeline
    SequentialRunner().run(wanted, catalog)
    return catalog


def written(folder):
    """Return when each file of a folder was written, by name."""
    files = Path(folder).iterdir()
    return {path.stem: path.stat().st_mtime_ns for path in files}


def make_searches(**changes):
    """Parameters of searches, each one step long but for those that are given."""
    search = OptimisationConfig("mean", num_steps=1, lr=0.1)
    names = [field.name for field in fields(OptimisationParameters)]
    return {n: asdict(changes.get(n, search)) for n in names}
