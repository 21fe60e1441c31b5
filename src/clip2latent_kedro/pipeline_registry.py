"""The pipelines that `kedro run --pipeline=NAME` knows, imported when they are used."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from kedro.pipeline import Pipeline

from clip2latent_kedro import pipelines

# What creates each: a module of `pipelines` and a function in it.
CREATED_BY = {
    "models": "models:create_pipeline",
    "data_generation": "data_generation:create_pipeline",
    "training": "training:create_pipeline",
    "distillation": "distillation:create_pipeline",
    "evaluation": "evaluation:create_pipeline",
    "inference": "inference:create_pipeline",
    "inversion": "inversion:create_pipeline",
    "inverter": "inverter:create_pipeline",
    "coverage": "coverage:create_pipeline",
    "sweep": "sweep:create_pipeline",
    "tuning": "tuning:create_pipeline",
    "ablation": "ablation:create_pipeline",
    "editing": "editing:create_pipeline",
    "audit": "editing:create_audit_pipeline",
    "faces": "faces:create_pipeline",
    "portraits": "portraits:create_pipeline",
    "published": "published:create_pipeline",
    "export": "published:create_export_pipeline",
    "baselines": "baselines:create_pipeline",
    "directions": "editing.directions:create_pipeline",
    "relevance": "editing.relevance:create_pipeline",
    "mappers": "editing.mappers:create_mappers_pipeline",
}
METHOD = ("data_generation", "training", "distillation", "evaluation")


class LazyPipeline(Pipeline):
    """A pipeline that is created when something of it is first asked for.

    Kedro looks at every pipeline to list their names. This is what lets it, without
    the modules of all of them: seconds, where the names are all that is wanted.
    """

    def __init__(self, create: Callable[[], Pipeline]) -> None:
        """Keep what creates it."""
        self._create = create

    def __getattr__(self, name: str) -> Any:
        """Become a whole pipeline where an attribute of one is not there yet."""
        known = vars(self)
        if name.startswith("__") or "_nodes" in known or "_create" not in known:
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg)
        super().__init__(self._create())
        return getattr(self, name)


def register_pipelines() -> dict[str, Pipeline]:
    """Return each pipeline by name; `__default__` is the method from z to scores.

    The nodes of each are a namespace of its name, which kedro viz folds into one box:
    `--nodes=training.plot_history` runs one of them, `--namespaces=training` all.
    """
    registered: dict[str, Pipeline] = {
        name: LazyPipeline(partial(_create, name)) for name in CREATED_BY
    }
    method = [registered[name] for name in METHOD]
    registered["__default__"] = LazyPipeline(partial(Pipeline, method))
    return registered


def _create(name: str) -> Pipeline:
    """Return a pipeline as a namespace."""
    module, _, function = CREATED_BY[name].partition(":")
    create = getattr(import_module(f"{pipelines.__name__}.{module}"), function)
    return Pipeline(create(), namespace=name, prefix_datasets_with_namespace=False)
